//! The admin listener: `/metrics`, `/healthz`, `/readyz`, `/state` over HTTP/1.
//!
//! It shows, and changes nothing but whether the daemon drains (`/drain`), and what the daemon itself
//! takes orders for; it is meant for loopback or a management network. Bounds:
//! 32 connections, 10 s for a request, no request bodies.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::clock::{Clock as _, SystemClock, WallTime};

use super::inherited::Inherited;
use super::signals::Shutdown;
use super::supervisor::Supervisor;

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

/// What becomes of an order: a status, and what was done, as JSON.
pub type Ordered = Pin<Box<dyn Future<Output = (StatusCode, serde_json::Value)> + Send>>;

/// What a daemon shows of itself.
pub trait Inspect: Send + Sync + 'static {
    /// Whether it does its real work, not merely runs.
    fn readiness(&self) -> Readiness;
    /// Everything worth seeing, as JSON.
    fn state(&self) -> serde_json::Value;
    /// A page of this daemon's own, as JSON; `None` if it has none at `path`.
    fn page(&self, path: &str, query: &str) -> Option<serde_json::Value> {
        let _ = (path, query);
        None
    }
    /// An order given with POST, in fields that no web page can make a browser send here without asking
    /// first; `None` if this daemon takes none at `path`.
    fn order(&self, path: &str, headers: &HeaderMap) -> Option<Ordered> {
        let _ = (path, headers);
        None
    }
    /// Asks that nobody be sent here any more, or takes it back. Whether the daemon can do that.
    fn drain(&self, draining: bool) -> bool {
        let _ = draining;
        false
    }
}

/// Serves the admin pages on `listener` until the process drains.
pub async fn serve(
    listener: TcpListener,
    registry: Arc<Registry>,
    inspect: Arc<dyn Inspect>,
    mut shutdown: Shutdown,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let clock = SystemClock::new();
    let mut relieved = shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.abandoned() => return,
            // Who asks is answered by the process that serves.
            () = relieved.relieved() => return,
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
                let ordered = ordered(&request, &*inspect);
                let (registry, inspect) = (Arc::clone(&registry), Arc::clone(&inspect));
                async move {
                    let mut response = match ordered {
                        _ if changes(&request) && !is_named_by_address(&request) => {
                            let text =
                                "what changes something is asked for by this listener's address\n";
                            answer(StatusCode::MISDIRECTED_REQUEST, "text/plain", text.into())
                        }
                        Some(ordered) => json(ordered.await),
                        None => respond(&request, &registry, &*inspect),
                    };
                    date(response.headers_mut(), clock.wall());
                    Ok::<_, Infallible>(response)
                }
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

/// The admin listener that was handed over, or a new one; a copy of it is kept.
///
/// # Errors
/// The address is taken or not ours.
pub async fn open(
    addr: SocketAddr,
    inherited: &mut Inherited,
    supervisor: &Supervisor,
) -> std::io::Result<TcpListener> {
    let listener = match inherited.tcp(addr) {
        Some(listener) => TcpListener::from_std(listener)?,
        None => bind(addr).await?,
    };
    supervisor.keep("admin.listen", &listener)?;
    Ok(listener)
}

fn respond<B>(
    request: &Request<B>,
    registry: &Registry,
    inspect: &dyn Inspect,
) -> Response<Full<Bytes>> {
    let method = request.method();
    if request.uri().path() == "/drain" {
        return drain(method, inspect);
    }
    if method != Method::GET && method != Method::HEAD {
        return answer(
            StatusCode::METHOD_NOT_ALLOWED,
            "text/plain",
            "only GET here\n".into(),
        );
    }
    match request.uri().path() {
        "/metrics" => metrics(registry, wants_openmetrics(request)),
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
        path => {
            let query = request.uri().query().unwrap_or_default();
            if let Some(page) = inspect.page(path, query) {
                let text = serde_json::to_string_pretty(&page).unwrap_or_default();
                return answer(StatusCode::OK, "application/json", text + "\n");
            }
            let text = "pages here: /metrics /healthz /readyz /state\n";
            answer(StatusCode::NOT_FOUND, "text/plain", text.into())
        }
    }
}

/// Says in an answer what the calendar says here. The HTTP library would say it too, but of a calendar that is set
/// back it goes on saying the latest date it saw, for as long as that lies ahead.
pub fn date(headers: &mut HeaderMap, now: WallTime) {
    if let Ok(value) = header::HeaderValue::try_from(now.to_http()) {
        headers.insert(header::DATE, value);
    }
}

fn changes<B>(request: &Request<B>) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Whether the request names this listener by an address, or as this machine: a web page whose own name was made
/// to lead here (DNS rebinding) names it by that.
fn is_named_by_address<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn ordered<B>(request: &Request<B>, inspect: &dyn Inspect) -> Option<Ordered> {
    let post = request.method() == Method::POST;
    post.then(|| inspect.order(request.uri().path(), request.headers()))?
}

fn json((status, page): (StatusCode, serde_json::Value)) -> Response<Full<Bytes>> {
    let text = serde_json::to_string_pretty(&page).unwrap_or_default();
    answer(status, "application/json", text + "\n")
}

/// PUT drains, DELETE takes it back. Neither is a method that a web page can make a browser send
/// here without asking first.
fn drain(method: &Method, inspect: &dyn Inspect) -> Response<Full<Bytes>> {
    let (draining, text) = match *method {
        Method::PUT => (true, "draining\n"),
        Method::DELETE => (false, "no longer draining\n"),
        _ => {
            let text = "PUT to drain, DELETE to take it back\n";
            return answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", text.into());
        }
    };
    if inspect.drain(draining) {
        answer(StatusCode::OK, "text/plain", text.into())
    } else {
        let text = "this daemon drains by signal only\n";
        answer(StatusCode::NOT_FOUND, "text/plain", text.into())
    }
}

/// Whether a scraper asks for the newer format by name.
fn wants_openmetrics<B>(request: &Request<B>) -> bool {
    let named = |value: &header::HeaderValue| {
        value
            .to_str()
            .is_ok_and(|text| text.contains("application/openmetrics-text"))
    };
    request.headers().get_all(header::ACCEPT).iter().any(named)
}

fn metrics(registry: &Registry, openmetrics: bool) -> Response<Full<Bytes>> {
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, registry).is_err() {
        let text = "the metrics could not be rendered\n";
        return answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", text.into());
    }
    if openmetrics {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        answer(StatusCode::OK, kind, text)
    } else {
        answer(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            classic(&text),
        )
    }
}

/// The Prometheus text format of an OpenMetrics page: there a counter's comments bear the name of
/// its samples, with `_total`, and nothing marks the end.
fn classic(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        let (mark, kind) = (words.next(), words.next());
        let (name, rest) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        match (mark, kind) {
            (Some("#"), Some("HELP")) => help = Some((name, rest)),
            (Some("#"), Some("TYPE")) => {
                let end = if rest == "counter" { "_total" } else { "" };
                if let Some((name, text)) = help.take() {
                    out.push_str(&format!("# HELP {name}{end} {text}\n"));
                }
                out.push_str(&format!("# TYPE {name}{end} {rest}\n"));
            }
            (Some("#"), _) => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
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

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    struct Nobody;

    impl Inspect for Nobody {
        fn readiness(&self) -> Readiness {
            Readiness::NotReady("no proxy is verified".into())
        }

        fn state(&self) -> serde_json::Value {
            serde_json::json!({ "schema": 1 })
        }
    }

    #[test]
    fn what_changes_something_is_asked_for_by_address() {
        let named = |host: &str| {
            let request = Request::builder().method("PUT").uri("/drain");
            is_named_by_address(&request.header("host", host).body(()).unwrap())
        };
        for host in [
            "127.0.0.1:8082",
            "[::1]:8082",
            "localhost:8082",
            "LOCALHOST",
            "192.0.2.1",
        ] {
            assert!(named(host), "{host}");
        }
        for host in [
            "rebound.example",
            "rebound.example:8082",
            "127.0.0.1.example",
            "",
            "a b",
        ] {
            assert!(!named(host), "{host}");
        }
        assert!(changes(&Request::put("/drain").body(()).unwrap()));
        assert!(!changes(&Request::head("/state").body(()).unwrap()));
    }

    fn page(path: &str, accept: &str) -> (StatusCode, String, String) {
        let mut registry = Registry::default();
        let counter: Counter = Counter::default();
        counter.inc_by(3);
        registry.register("atoll_x_requests", "Requests", counter);
        registry.register(
            "atoll_x_fills",
            "Fetches under way",
            Gauge::<i64>::default(),
        );
        let request = Request::builder()
            .uri(path)
            .header("accept", accept)
            .body(())
            .unwrap();
        let response = respond(&request, &registry, &Nobody);
        let kind = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body());
        let bytes = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(body);
        (
            status,
            kind,
            String::from_utf8(bytes.unwrap().to_bytes().to_vec()).unwrap(),
        )
    }

    #[test]
    fn metrics_come_in_the_text_format_and_in_the_newer_one_when_asked() {
        let (_, kind, text) = page("/metrics", "*/*");
        assert!(kind.starts_with("text/plain; version=0.0.4"));
        assert_eq!(
            text,
            "# HELP atoll_x_requests_total Requests.\n# TYPE atoll_x_requests_total counter\n\
             atoll_x_requests_total 3\n# HELP atoll_x_fills Fetches under way.\n\
             # TYPE atoll_x_fills gauge\natoll_x_fills 0\n"
        );
        let (_, kind, text) = page("/metrics", "application/openmetrics-text;version=1.0.0");
        assert!(kind.starts_with("application/openmetrics-text") && text.ends_with("# EOF\n"));
    }

    #[test]
    fn readiness_says_what_is_missing_while_the_process_is_alive() {
        let (status, _, text) = page("/readyz", "*/*");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(text, "not ready: no proxy is verified\n");
        assert_eq!(page("/healthz", "*/*").0, StatusCode::OK);
        assert_eq!(page("/nothing", "*/*").0, StatusCode::NOT_FOUND);
    }
}
