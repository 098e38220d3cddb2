//! Both doors of HTTP/2: the same request gets the same answer from either.

use bytes::Bytes;
use common::shell::signals::Shutdown;
use h2::client::SendRequest;

use super::doors::{KEPT, Lab, bounds, connect, difference};
use super::*;
use crate::engine::http2::Limits;
use crate::shell::listen::Bounds;

const LIMITS: Limits = Limits {
    streams: 100,
    resets: 100,
    frames: 1_000,
};

/// A connection, through the plain door or past it.
async fn client(lab: &Lab, plain: bool) -> SendRequest<Bytes> {
    let (handle, shutdown) = Shutdown::manual();
    let bounds = Bounds {
        http2: Some(LIMITS),
        ..bounds(plain)
    };
    let stream = connect(&lab.ctx, bounds, shutdown);
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        drop(connection.await);
        drop(handle);
    });
    // The first words go through the doors of HTTP/1.
    ask(&mut client, page(lab, "/a")).await;
    client
}

fn page(lab: &Lab, path: &str) -> Request<()> {
    let uri = format!("http://127.0.0.1.{}.nyud.test{path}", lab.origin.port);
    Request::builder().uri(uri).body(()).unwrap()
}

/// The answer as text.
async fn ask(client: &mut SendRequest<Bytes>, request: Request<()>) -> String {
    let (response, _) = client.send_request(request, true).unwrap();
    let response = timeout(DEADLINE, response).await.unwrap().unwrap();
    let mut text = format!("{:?}\r\n", response.status());
    for (name, value) in response.headers() {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text.push_str("\r\n");
    let mut body = response.into_body();
    while let Some(data) = timeout(DEADLINE, body.data()).await.unwrap() {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    text
}

/// Fields of requests, and whether the plain door takes them.
const FIELDS: [(&str, &str, bool); 10] = [
    ("accept", "text/html", true),
    ("accept-encoding", "identity", true),
    ("cookie", "a=b", true),
    ("user-agent", "x", true),
    ("range", "bytes=0-1", false),
    ("if-none-match", "\"v\"", false),
    ("if-modified-since", "Mon, 01 Jan 2024 00:00:00 GMT", false),
    ("cache-control", "only-if-cached", false),
    ("x-unknown", "1", false),
    ("via", "1.1 elsewhere", false),
];

#[tokio::test]
async fn both_doors_of_http2_give_the_same_answers() {
    let lab = Lab::start().await;
    let (mut careful, mut plain) = (client(&lab, false).await, client(&lab, true).await);
    for path in KEPT {
        for method in ["GET", "HEAD"] {
            for (name, value, is_plain) in FIELDS {
                let request = || {
                    let mut request = page(&lab, path);
                    *request.method_mut() = method.parse().unwrap();
                    let value = http::HeaderValue::from_static(value);
                    request.headers_mut().insert(name, value);
                    request
                };
                let one = ask(&mut careful, request()).await;
                let before = lab.handed();
                let other = ask(&mut plain, request()).await;
                let case = format!("{method} {path} {name}");
                assert_eq!(difference(&one, &other), None, "{case}: {one} and {other}");
                // What is empty, or not short, goes on.
                let taken = is_plain && !["/empty", "/large"].contains(&path);
                assert_eq!(lab.handed() == before, taken, "{case}");
            }
        }
    }
    assert_eq!(
        lab.origin.asked(),
        KEPT.len() + 1,
        "no request caused a fetch"
    );
}

#[tokio::test]
async fn what_is_asked_together_is_answered_together_by_whoever_is_to() {
    let lab = Lab::start().await;
    let mut client = client(&lab, true).await;
    let before = lab.handed();
    let asked = ["/a", "/large", "/new", "/gone", "/a"].map(|path| {
        let sent = client.send_request(page(&lab, path), true);
        (path, sent.unwrap().0)
    });
    for (path, response) in asked {
        let response = timeout(DEADLINE, response).await.unwrap().unwrap();
        let mut body = response.into_body();
        let mut got = 0;
        while let Some(data) = timeout(DEADLINE, body.data()).await.unwrap() {
            let data = data.unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            got += data.len();
        }
        let want = if path == "/large" { 100_000 } else { 4 };
        assert_eq!(got, want, "{path}");
    }
    assert_eq!(lab.handed(), before + 2, "the large page and the new one");
}
