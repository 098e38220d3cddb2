//! A TOML file as a flat list of keys, each with its line.

use toml::de::{DeTable, DeValue};

/// One key of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Dotted path.
    pub(super) path: String,
    /// The value, or the items of a list, as text.
    pub(super) items: Vec<String>,
    /// Line, from 1.
    pub(super) line: usize,
}

/// Line and message of what is wrong.
type Fault = (usize, String);

/// All keys of `text` in file order of their tables, or everything that is wrong with it.
pub(super) fn flatten(text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let line_at = |offset: usize| {
        1 + text
            .as_bytes()
            .iter()
            .take(offset)
            .filter(|byte| **byte == b'\n')
            .count()
    };
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            (
                line_at(offset),
                format!("not valid TOML: {}", error.message()),
            )
        })
        .collect();
    let mut entries = Vec::new();
    if faults.is_empty() {
        walk("", root.get_ref(), &line_at, &mut entries, &mut faults);
    }
    entries.sort_by_key(|entry: &Entry| entry.line);
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(faults)
    }
}

fn walk(
    prefix: &str,
    table: &DeTable<'_>,
    line_at: &impl Fn(usize) -> usize,
    entries: &mut Vec<Entry>,
    faults: &mut Vec<Fault>,
) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        let line = line_at(key.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => walk(&path, inner, line_at, entries, faults),
            DeValue::Array(array) => match array.iter().map(|i| scalar(i.get_ref())).collect() {
                Some(items) => entries.push(Entry { path, items, line }),
                None => faults.push((line, format!("{path}: a list holds plain values only"))),
            },
            other => match scalar(other) {
                Some(item) => entries.push(Entry {
                    path,
                    items: vec![item],
                    line,
                }),
                None => faults.push((line, format!("{path}: dates are not used here"))),
            },
        }
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
