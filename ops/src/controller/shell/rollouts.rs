//! The part of the API about rollouts.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::answer::{Answer, At, allow, json, read};
use super::orders::Office;
use super::problem::Problem;
use super::token::Scope;
use crate::controller::engine::rollout::Command;
use crate::controller::engine::rollouts::{Wish, account};

/// The routes.
pub(super) fn router() -> Router<Arc<Office>> {
    Router::new()
        .route("/v1/rollouts/plan", post(plan))
        .route("/v1/rollouts", get(list).post(start))
        .route("/v1/rollouts/{rollout}", get(status))
        .route("/v1/rollouts/{rollout}/{command}", post(tell))
        .route("/v1/rollouts/{rollout}/nodes/{node}", get(explain))
}

/// A rollout's number, or none for `latest`.
fn number(word: &str) -> Result<Option<u64>, Problem> {
    if word == "latest" {
        return Ok(None);
    }
    let number = word.parse().map(Some);
    number.map_err(|_| Problem::malformed("a rollout is a number, or `latest`"))
}

async fn plan(State(office): At, headers: HeaderMap, body: Bytes) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    let wish: Wish = read(&body)?;
    let desk = office.desk();
    let draft = desk.draft(&wish, office.now())?;
    Ok(json(&desk.show_draft(&draft)))
}

async fn start(State(office): At, headers: HeaderMap, body: Bytes) -> Answer {
    allow(&office, &headers, Scope::Operate).await?;
    let wish: Wish = read(&body)?;
    let now = office.now();
    office.step(|desk| desk.start(&wish, now).map(Some)).await?;
    Ok(json(&office.desk().show_rollout(None, now)?))
}

async fn list(State(office): At, headers: HeaderMap) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    let desk = office.desk();
    let one = desk.rollouts().map(|row| {
        let (phase, why, wave) = account::words(row.phase);
        json!({ "id": row.id, "release": row.release, "phase": phase, "why": why, "wave": wave })
    });
    Ok(json(&one.collect::<Vec<_>>()))
}

async fn status(State(office): At, Path(word): Path<String>, headers: HeaderMap) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    let desk = office.desk();
    Ok(json(&desk.show_rollout(number(&word)?, office.now())?))
}

async fn tell(
    State(office): At,
    Path((word, command)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    allow(&office, &headers, Scope::Operate).await?;
    let id = number(&word)?;
    let command = match &*command {
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "halt" => Command::Halt,
        "rollback" => Command::RollBack,
        _ => return Err(Problem::malformed("say pause, resume, halt or rollback")),
    };
    office.step(|desk| desk.tell(id, command).map(Some)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn explain(
    State(office): At,
    Path((word, node)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    let desk = office.desk();
    Ok(json(&desk.explain(number(&word)?, &node, office.now())?))
}
