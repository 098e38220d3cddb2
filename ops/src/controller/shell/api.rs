//! The HTTP API. What it takes and gives is described in `openapi.json`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::answer::{Answer, At, allow, json, read};
use super::orders::Office;
use super::problem::Problem;
use super::rollouts;
use super::token::Scope;
use super::views;
use crate::controller::engine::reason::DeskReason;
use crate::controller::engine::{Desired, Desk};
use crate::engine::document::key::PublicKey;
use crate::engine::document::release::Manifest;
use crate::engine::document::report::Report;
use crate::engine::document::words::{Digest, Version};
use crate::engine::document::{DOCUMENT_MAX, Signed};

/// Longest time a report waits for news.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The description of the API.
pub const OPENAPI: &str = include_str!("openapi.json");

/// The routes: method, path.
pub const ROUTES: [(&str, &str); 19] = [
    ("get", "/healthz"),
    ("get", "/v1/openapi.json"),
    ("post", "/v1/checkin"),
    ("get", "/v1/nodes"),
    ("get", "/v1/nodes/{node}"),
    ("put", "/v1/nodes/{node}"),
    ("put", "/v1/nodes/{node}/desired"),
    ("get", "/v1/releases"),
    ("get", "/v1/releases/{version}"),
    ("put", "/v1/releases/{version}"),
    ("get", "/v1/blobs/{digest}"),
    ("put", "/v1/blobs/{digest}"),
    ("get", "/v1/events"),
    ("post", "/v1/rollouts/plan"),
    ("get", "/v1/rollouts"),
    ("post", "/v1/rollouts"),
    ("get", "/v1/rollouts/{rollout}"),
    ("post", "/v1/rollouts/{rollout}/{command}"),
    ("get", "/v1/rollouts/{rollout}/nodes/{node}"),
];

/// The API over `office`.
pub(super) fn router(office: Arc<Office>) -> Router {
    let documents = Router::new()
        .route("/healthz", get(healthz))
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/checkin", post(checkin))
        .route("/v1/nodes", get(nodes))
        .route("/v1/nodes/{node}", get(node).put(enrol))
        .route("/v1/nodes/{node}/desired", put(desire))
        .route("/v1/releases", get(releases))
        .route("/v1/releases/{version}", get(release).put(publish))
        .route("/v1/events", get(events))
        .merge(rollouts::router())
        .layer(DefaultBodyLimit::max(DOCUMENT_MAX));
    let programs = Router::new()
        .route("/v1/blobs/{digest}", get(blob).put(put_blob))
        .layer(DefaultBodyLimit::disable());
    documents
        .merge(programs)
        .fallback(nothing)
        .with_state(office)
}

async fn nothing() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "see /v1/openapi.json",
    )
}

fn document(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

async fn healthz(State(office): At) -> Answer {
    office.store.events(i64::MAX, 1).await?;
    Ok("ok\n".into_response())
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// A node reports, and is told its order if it has yet to accept it; within the time it says.
async fn checkin(State(office): At, body: Bytes) -> Answer {
    // Whoever has a node's key may speak for it.
    let report = Signed::<Report>::read_of_anyone(&body, |_| true)?;
    let mut changed = office.watch();
    let rows = office.desk().report(&report, office.now())?;
    office.write_soon(rows).await;
    let report = report.body;
    let wait = Duration::from_millis(report.wait_ms).min(WAIT_MAX);
    let news = async {
        loop {
            let order = office
                .desk()
                .news(&report)
                .map(|intent| intent.text().to_owned());
            if order.is_some() || changed.changed().await.is_err() {
                return order;
            }
        }
    };
    match tokio::time::timeout(wait, news).await {
        Ok(Some(order)) => Ok(document(order)),
        Ok(None) | Err(_) => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

async fn nodes(State(office): At, headers: HeaderMap) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    Ok(json(&views::nodes(&office.desk(), office.now())))
}

async fn node(State(office): At, Path(word): Path<String>, headers: HeaderMap) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    let desk = office.desk();
    Ok(json(&views::node(desk.find(&word)?, office.now())))
}

/// What a node is to be called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Enrolment {
    name: String,
    #[serde(default = "alone")]
    cluster: String,
}

fn alone() -> String {
    "default".to_owned()
}

async fn enrol(
    State(office): At,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    allow(&office, &headers, Scope::Operate).await?;
    let key = PublicKey::parse(&key).map_err(|error| Problem::malformed(error.to_string()))?;
    let Enrolment { name, cluster } = read(&body)?;
    office
        .decide(|desk| desk.enrol(key, &name, &cluster))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn desire(
    State(office): At,
    Path(word): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    allow(&office, &headers, Scope::Operate).await?;
    let desired: Desired = read(&body)?;
    let order = |desk: &Desk| {
        let node = desk.find(&word)?.row.key;
        desk.order(&node, &desired, &office.key)
    };
    office.decide(order).await?;
    let desk = office.desk();
    Ok(json(&views::node(desk.find(&word)?, office.now())))
}

async fn releases(State(office): At, headers: HeaderMap) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    Ok(json(&views::releases(&office.desk())))
}

/// A release's manifest. It is signed and no secret.
async fn release(State(office): At, Path(version): Path<String>) -> Answer {
    let version =
        Version::parse(&version).map_err(|error| Problem::malformed(error.to_string()))?;
    let desk = office.desk();
    let release = desk.releases().get(&version).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "unknown_release", "publish it first")
    })?;
    Ok(document(release.text().to_owned()))
}

async fn publish(
    State(office): At,
    Path(version): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    allow(&office, &headers, Scope::Release).await?;
    let release: Signed<Manifest> = Signed::read(&body, &office.trust_releases)?;
    if release.body.version.to_string() != version {
        return Err(Problem::malformed("the manifest is of another version"));
    }
    let mut programs = release.body.binaries.values();
    if !programs.all(|binary| office.blobs.has(binary.blake3)) {
        return Err(DeskReason::MissingProgram.into());
    }
    office.decide(|desk| desk.publish(release)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn digest(text: &str) -> Result<Digest, Problem> {
    Digest::parse(text).map_err(|error| Problem::malformed(error.to_string()))
}

async fn blob(State(office): At, Path(text): Path<String>) -> Answer {
    let digest = digest(&text)?;
    if !office.blobs.has(digest) {
        let detail = "there is no such program";
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_blob", detail));
    }
    let (length, body) = office
        .blobs
        .get(digest)
        .map_err(|error| Problem::disk(&error))?;
    let fields = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
    ];
    Ok((fields, body).into_response())
}

async fn put_blob(
    State(office): At,
    Path(text): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    allow(&office, &headers, Scope::Release).await?;
    let digest = digest(&text)?;
    if office.blobs.has(digest) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    match office.blobs.put(digest, body).await {
        Ok(true) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(false) => Err(Problem::malformed("the bytes are not those of this digest")),
        Err(error) => Err(Problem::disk(&error)),
    }
}

/// Which events are asked for.
#[derive(Debug, Deserialize)]
struct Events {
    #[serde(default)]
    after: i64,
    #[serde(default = "hundred")]
    limit: i64,
}

const fn hundred() -> i64 {
    100
}

async fn events(State(office): At, Query(asked): Query<Events>, headers: HeaderMap) -> Answer {
    allow(&office, &headers, Scope::Read).await?;
    Ok(json(&office.store.events(asked.after, asked.limit).await?))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let described: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut found = Vec::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                assert!(
                    operation["responses"]["default"].is_object(),
                    "{method} {path}"
                );
                found.push((method.clone(), path.clone()));
            }
        }
        let mut routes = ROUTES
            .map(|(method, path)| (method.to_owned(), path.to_owned()))
            .to_vec();
        routes.sort();
        found.sort();
        assert_eq!(found, routes);
    }
}
