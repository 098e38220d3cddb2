//! How a "no" looks: problem+json (RFC 9457), with the reason's word.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::store::StoreError;
use super::token::Scope;
use crate::controller::engine::reason::DeskReason;
use crate::engine::document::refusal::RefusalReason;

/// A "no".
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    reason: &'static str,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, reason: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            reason,
            detail,
        }
    }

    /// The token is missing, unknown, or for less than this.
    pub(super) fn not_allowed(scope: Scope) -> Self {
        let detail = format!("this needs a token with the scope {}", scope.as_str());
        Self::new(StatusCode::UNAUTHORIZED, "token", detail)
    }

    /// The body or a parameter is not what it should be.
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// There is no room for what is to be written.
    fn full() -> Self {
        let detail =
            "the controller's disk is full; nothing was changed. Make room and say it again";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "full", detail)
    }

    /// A file could not be read or written.
    pub(super) fn disk(error: &std::io::Error) -> Self {
        tracing::warn!(%error, "the disk fails");
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Self::full();
        }
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk",
            "the controller's disk fails",
        )
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the database fails");
        if error.is_full() {
            return Self::full();
        }
        let detail = "the controller's database fails; nothing was changed";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "database", detail)
    }
}

impl From<DeskReason> for Problem {
    fn from(reason: DeskReason) -> Self {
        let status = match reason {
            DeskReason::UnknownNode | DeskReason::NoRollout | DeskReason::NotInRollout => {
                StatusCode::NOT_FOUND
            }
            DeskReason::Ambiguous | DeskReason::Name | DeskReason::Times => StatusCode::BAD_REQUEST,
            DeskReason::NameTaken
            | DeskReason::OtherRelease
            | DeskReason::Replayed
            | DeskReason::UnderWay
            | DeskReason::NothingToDo
            | DeskReason::NotNow => StatusCode::CONFLICT,
            DeskReason::TooManyNodes | DeskReason::TooManyReleases => {
                StatusCode::INSUFFICIENT_STORAGE
            }
            DeskReason::UnknownRelease
            | DeskReason::MissingProgram
            | DeskReason::OtherGeneration
            | DeskReason::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, reason.as_str(), reason.advice())
    }
}

impl From<RefusalReason> for Problem {
    fn from(reason: RefusalReason) -> Self {
        DeskReason::Refused(reason).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "reason": self.reason,
            "detail": self.detail,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}
