//! The one way to write a body: JSON without spaces, the fields of each object sorted by name.
//!
//! One body has one form, so its digest names it, and two programs that sign the same say the same. A
//! reader writes what it read again and compares: that also refuses doubled fields, of which two
//! readers could take different ones.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::refusal::RefusalReason;

/// The field with the version of the schema.
const SCHEMA: &str = "schema";

/// The field that names those a reader has to understand. Others it does not know, it passes over.
const CRITICAL: &str = "critical";

/// `body` with its schema version.
#[must_use]
pub fn write<T: Serialize>(body: &T, schema: u64) -> String {
    let mut fields = match serde_json::to_value(body) {
        Ok(Value::Object(fields)) => fields,
        // Bodies are structs whose keys are text; nothing else can come out of them.
        Ok(_) | Err(_) => Map::new(),
    };
    fields.insert(SCHEMA.to_owned(), schema.into());
    Value::Object(fields).to_string()
}

/// Reads a body of schema `schema`, of which the reader knows `fields`.
///
/// # Errors
/// It is not JSON, not canonical, of another schema, or names a critical field that is not known.
pub fn read<T: DeserializeOwned>(
    json: &str,
    schema: u64,
    fields: &[&str],
) -> Result<T, RefusalReason> {
    let value: Value = serde_json::from_str(json).map_err(|_| RefusalReason::Malformed)?;
    let written = value.to_string();
    if written != json {
        return Err(RefusalReason::NotCanonical);
    }
    if value.get(SCHEMA).and_then(Value::as_u64) != Some(schema) {
        return Err(RefusalReason::UnknownSchema);
    }
    if let Some(critical) = value.get(CRITICAL) {
        let names = critical.as_array().ok_or(RefusalReason::Malformed)?;
        let known = |name: &Value| name.as_str().is_some_and(|name| fields.contains(&name));
        if !names.iter().all(known) {
            return Err(RefusalReason::UnknownCritical);
        }
    }
    serde_json::from_value(value).map_err(|_| RefusalReason::Malformed)
}
