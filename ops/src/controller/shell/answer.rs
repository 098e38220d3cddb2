//! What every route of the API needs: who may ask, how a body is read, how an answer is written.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use super::orders::Office;
use super::problem::Problem;
use super::token::{self, Scope};

pub(super) type Answer = Result<Response, Problem>;
pub(super) type At = State<Arc<Office>>;

/// Lets a request through whose token has at least `scope`.
pub(super) async fn allow(
    office: &Office,
    headers: &HeaderMap,
    scope: Scope,
) -> Result<(), Problem> {
    let field = headers
        .get(header::AUTHORIZATION)
        .and_then(|field| field.to_str().ok());
    let token = field.and_then(|field| field.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| Problem::not_allowed(scope))?;
    let found = office.store.scope(&token::hash(token)).await?;
    match found {
        Some(found) if found >= scope => Ok(()),
        Some(_) | None => Err(Problem::not_allowed(scope)),
    }
}

pub(super) fn json(value: &impl Serialize) -> Response {
    let text = serde_json::to_string(value).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) fn read<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::malformed(error.to_string()))
}
