//! The demo origin's admin pages: what it was asked, and the knobs that make it slow or dead.
//!
//! `GET /metrics /healthz /readyz /state`, `POST /delay?ms=200`, `POST /rate?bytes=100000` (0 for
//! no bound), `POST /dead`, `POST /alive`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use super::server::accept;
use super::state::State;

const HELP: &str = "GET /metrics /healthz /readyz /state; \
    POST /delay?ms=200 /rate?bytes=100000 /dead /alive\n";

/// Longest delay that can be set, in milliseconds: an hour.
const DELAY_MAX_MS: u64 = 3_600_000;

/// Serves the admin pages on `listener` for as long as the process runs.
pub async fn serve(listener: TcpListener, state: Arc<State>) {
    let answer = move |request: Request<Incoming>| {
        let page = page(
            request.method(),
            request.uri().path(),
            request.uri().query(),
            &state,
        );
        let mut response =
            Response::new(Full::new(Bytes::from(page.text)).map_err(|never| match never {}));
        *response.status_mut() = page.status;
        let media_type = HeaderValue::from_static(page.media_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        std::future::ready(response)
    };
    accept(listener, answer, std::future::pending::<()>).await;
}

struct Page {
    status: StatusCode,
    media_type: &'static str,
    text: String,
}

impl Page {
    fn plain(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            media_type: "text/plain; charset=utf-8",
            text: text.into(),
        }
    }

    fn state(state: &State) -> Self {
        let text = serde_json::to_string_pretty(&state.to_json()).unwrap_or_default() + "\n";
        Self {
            status: StatusCode::OK,
            media_type: "application/json",
            text,
        }
    }
}

fn page(method: &Method, path: &str, query: Option<&str>, state: &State) -> Page {
    if method == Method::POST {
        return change(path, query, state);
    }
    match path {
        "/metrics" => Page::plain(StatusCode::OK, state.to_metrics()),
        "/healthz" => Page::plain(StatusCode::OK, "alive\n"),
        "/readyz" if state.controls().dead => Page::plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: dead on demand; POST /alive\n",
        ),
        "/readyz" => Page::plain(StatusCode::OK, "ready\n"),
        "/state" => Page::state(state),
        _ => Page::plain(StatusCode::NOT_FOUND, HELP),
    }
}

fn change(path: &str, query: Option<&str>, state: &State) -> Page {
    let number = |name: &str| {
        let (key, value) = query?.split_once('=')?;
        value.parse::<u64>().ok().filter(|_| key == name)
    };
    match path {
        "/dead" => state.adjust(|controls| controls.dead = true),
        "/alive" => state.adjust(|controls| controls.dead = false),
        "/delay" => match number("ms").filter(|ms| *ms <= DELAY_MAX_MS) {
            Some(ms) => state.adjust(|controls| controls.delay = Duration::from_millis(ms)),
            None => {
                return Page::plain(
                    StatusCode::BAD_REQUEST,
                    "say /delay?ms=200, up to an hour\n",
                );
            }
        },
        "/rate" => match number("bytes") {
            Some(rate) => {
                state.adjust(|controls| controls.rate = Some(rate).filter(|rate| *rate > 0))
            }
            None => return Page::plain(StatusCode::BAD_REQUEST, "say /rate?bytes=100000\n"),
        },
        _ => return Page::plain(StatusCode::NOT_FOUND, HELP),
    }
    Page::state(state)
}

#[cfg(test)]
mod tests {
    use super::super::state::Controls;
    use super::*;

    #[test]
    fn knobs_turn_and_nonsense_is_refused() {
        let state = State::new(Controls::default());
        let post = |path, query| page(&Method::POST, path, query, &state).status.as_u16();
        assert_eq!(post("/delay", Some("ms=250")), 200);
        assert_eq!(post("/rate", Some("bytes=1000")), 200);
        assert_eq!(post("/dead", None), 200);
        let expected = Controls {
            delay: Duration::from_millis(250),
            rate: Some(1_000),
            dead: true,
        };
        assert_eq!(state.controls(), expected);
        assert_eq!(
            page(&Method::GET, "/readyz", None, &state).status.as_u16(),
            503
        );
        assert_eq!(post("/alive", None), 200);
        assert_eq!(post("/rate", Some("bytes=0")), 200);
        assert_eq!(
            (state.controls().dead, state.controls().rate),
            (false, None)
        );
        for (path, query) in [
            ("/delay", None),
            ("/delay", Some("ms=-1")),
            ("/delay", Some("s=1")),
            ("/delay", Some("ms=3600001")),
            ("/rate", Some("bytes=x")),
        ] {
            assert_eq!(post(path, query), 400, "{path} {query:?}");
        }
        assert_eq!(post("/nothing", None), 404);
    }
}
