//! The admin listener: `/metrics`, `/healthz`, `/readyz`, `/state` over HTTP/1.
//!
//! It shows and never changes anything, and is meant for loopback or a management network. Bounds:
//! 32 connections, 10 s for a request, no request bodies.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::signals::Shutdown;

/// Connections at once; more are closed at once. A scraper and a few people need five.
const CONNECTIONS_MAX: usize = 32;

/// For a whole request header.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// Whether the daemon does its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, because of this.
    NotReady(String),
}

/// What a daemon shows of itself.
pub trait Inspect: Send + Sync + 'static {
    /// Whether it does its real work, not merely runs.
    fn readiness(&self) -> Readiness;
    /// Everything worth seeing, as JSON.
    fn state(&self) -> serde_json::Value;
}

/// Serves the admin pages on `listener` until the process drains.
pub async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    inspect: Arc<dyn Inspect>,
    mut shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.abandoned() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: give others a moment to return some.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            continue;
        };
        let (registry, inspect) = (Arc::clone(&registry), Arc::clone(&inspect));
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response =
                    respond(request.method(), request.uri().path(), &registry, &*inspect);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_DEADLINE);
            // A client that breaks off is its own affair.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
            drop(permit);
        });
    }
}

/// Binds the admin listener.
///
/// # Errors
/// The address is taken or not ours.
pub async fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(addr).await
}

fn respond(
    method: &Method,
    path: &str,
    registry: &Registry,
    inspect: &dyn Inspect,
) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        return answer(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "only GET here\n".into(),
        );
    }
    match path {
        "/metrics" => metrics(registry),
        "/healthz" => answer(StatusCode::OK, "text/plain", "alive\n".into()),
        "/readyz" => match inspect.readiness() {
            Readiness::Ready => answer(StatusCode::OK, "text/plain", "ready\n".into()),
            Readiness::NotReady(why) => {
                let text = format!("not ready: {why}\n");
                answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text)
            }
        },
        "/state" => {
            let text = serde_json::to_string_pretty(&inspect.state()).unwrap_or_default();
            answer(StatusCode::OK, "application/json", text + "\n")
        }
        _ => {
            let text = "pages here: /metrics /healthz /readyz /state\n";
            answer(StatusCode::NOT_FOUND, "text/plain", text.into())
        }
    }
}

fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            answer(StatusCode::OK, kind, text)
        }
        Err(_) => {
            let text = "the metrics could not be rendered\n";
            answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text.into())
        }
    }
}

fn answer(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    response
}
