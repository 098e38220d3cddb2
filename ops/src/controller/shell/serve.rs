//! Connections: how many at once, and how long each may take over what.
//!
//! Every node has one that waits for news. So silence alone is no fault; a head or a body that does not
//! come, and an answer that is not taken, are.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use common::clock::{Clock as _, SystemClock};
use common::shell::admin;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::timely::{Timely, TimelyBody};
use crate::controller::engine::NODES_MAX;

/// After a connection could not be accepted: others may give back descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once; one more is closed.
    pub(super) connections: usize,
    /// For a whole request header, also of the next request.
    pub(super) header: Duration,
    /// Longest silence of whoever sends a body, or takes an answer.
    pub(super) silence: Duration,
}

/// One for each node, and room for operators and downloads.
pub(super) const LIMITS: Limits = Limits {
    connections: NODES_MAX + 1_024,
    header: Duration::from_secs(10),
    silence: Duration::from_secs(30),
};

/// Serves for as long as it is polled.
pub(super) async fn serve(listener: TcpListener, routes: Router, limits: Limits) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let silence = limits.silence;
    let timely = from_fn(move |request: Request, next: Next| timely(request, next, silence));
    let routes = routes.layer(timely).layer(from_fn(dated));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(%from, "too many connections; one was closed");
            continue;
        };
        let routes = routes.clone();
        tokio::spawn(async move {
            connection(stream, routes, limits).await;
            drop(permit);
        });
    }
}

/// Both bodies of a request get on.
async fn timely(request: Request, next: Next, silence: Duration) -> Response {
    let bound = |body: Body| TimelyBody::of(body, silence);
    next.run(request.map(bound)).await.map(bound)
}

/// The calendar here, for agents to compare with theirs.
async fn dated(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    admin::date(response.headers_mut(), SystemClock::new().wall());
    response
}

async fn connection(stream: TcpStream, routes: Router, limits: Limits) {
    // Answers are small, and somebody waits.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(Timely::new(stream, limits.silence));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .serve_connection(stream, TowerToHyperService::new(routes))
        .await;
    if let Err(error) = served {
        tracing::trace!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// For anything that is to happen.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Larger than what the kernel keeps for both ends of a connection.
    const LARGE: usize = 64 << 20;

    const QUICK: Limits = Limits {
        connections: 2,
        header: Duration::from_millis(100),
        silence: Duration::from_millis(100),
    };

    async fn served() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let routes = Router::new()
            .route("/", post(async |body: Bytes| body))
            .route("/large", get(async || vec![0; LARGE]));
        tokio::spawn(serve(listener, routes, QUICK));
        addr
    }

    async fn said(addr: std::net::SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn rest(mut stream: TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Closed in the middle, a connection may be reset.
        let ended = timeout(DEADLINE, stream.read_to_end(&mut bytes)).await;
        drop(ended.expect("the connection is ended"));
        bytes
    }

    #[tokio::test]
    async fn a_head_or_a_body_that_does_not_come_is_not_waited_for() {
        let addr = served().await;
        rest(said(addr, "POST / HT").await).await;
        rest(said(addr, "").await).await;
        let half = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab";
        let answer = String::from_utf8(rest(said(addr, half).await).await).unwrap();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
        let whole = format!("{half}cd").replace("host", "connection: close\r\nhost");
        let answer = String::from_utf8(rest(said(addr, &whole).await).await).unwrap();
        assert!(answer.ends_with("abcd"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_is_given_up() {
        let addr = served().await;
        let ask = "GET /large HTTP/1.1\r\nhost: a\r\n\r\n";
        let stalled = said(addr, ask).await;
        // The two others that fit end at once only if nobody holds their place.
        let other = said(addr, ask).await;
        assert!(rest(other).await.len() > LARGE);
        let free = async {
            let whole =
                "POST / HTTP/1.1\r\nconnection: close\r\nhost: a\r\ncontent-length: 1\r\n\r\na";
            let both = [
                said(addr, whole).await,
                TcpStream::connect(addr).await.unwrap(),
            ];
            let [one, _other] = both;
            rest(one).await
        };
        assert!(!timeout(DEADLINE, free).await.unwrap().is_empty());
        assert!(rest(stalled).await.len() < LARGE);
    }

    #[tokio::test]
    async fn one_connection_more_than_there_may_be_is_closed() {
        let addr = served().await;
        let held = [said(addr, "POST").await, said(addr, "POST").await];
        let start = tokio::time::Instant::now();
        assert!(rest(said(addr, "").await).await.is_empty());
        drop(held);
        assert!(start.elapsed() < DEADLINE);
    }
}
