//! Scenarios of the whole proxy without its listeners: an origin on a real socket that says what it
//! is told to say, requests in, what clients get out.

mod crowd;
mod doors;
mod doors_http2;
mod reach;
mod wholeness;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::config::{Settings, Sources};
use common::shell::supervisor::Supervisor;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::context::Context;
use super::downstream;
use super::run;
use crate::engine::config::{Config, KEYS};
use crate::engine::hit::HandReason;
use crate::engine::http::key::Scheme;
use crate::engine::steps::receive::Seen;

/// No wait in these tests takes longer unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(10);

/// What the origin sends to its n-th request, whose head this is; the connection then closes.
type Answers = fn(usize, &str) -> String;

/// An origin on a port of its own.
struct Origin {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    async fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&seen), answers));
            }
        });
        Self { port, heads }
    }

    /// Requests so far.
    fn asked(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

async fn answer(mut stream: TcpStream, seen: Arc<Mutex<Vec<String>>>, answers: Answers) {
    let (mut head, mut piece) = (Vec::new(), [0; 4_096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(head.clone());
        seen.len()
    };
    drop(stream.write_all(answers(number, &head).as_bytes()).await);
}

/// A proxy on its own.
fn proxy() -> Arc<Context> {
    let sets = ["zone=nyud.test", "origin.allow_private=true"].map(str::to_owned);
    let sources = Sources {
        sets: &sets,
        ..Sources::default()
    };
    let config = Config::build(&mut Settings::resolve(KEYS, &sources));
    let (ctx, _, _) = run::context(config, &Supervisor::none()).unwrap();
    ctx
}

/// What a client got: the head, and the body or that it broke off.
struct Got {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Result<Bytes, ()>,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

const ENTRY: downstream::Entry = downstream::Entry {
    scheme: Scheme::Http,
    local_port: 8080,
    client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    shown: None,
};

const VISIT: downstream::Visit = downstream::Visit {
    last: false,
    refused: None,
    asked: None,
};

async fn get(ctx: &Arc<Context>, origin: &Origin, fields: &[(&str, &str)]) -> Got {
    ask(ctx, origin, "GET", fields).await
}

async fn ask(ctx: &Arc<Context>, origin: &Origin, method: &str, fields: &[(&str, &str)]) -> Got {
    let mut request = Request::builder().method(method).uri("/").header(
        "host",
        format!("127.0.0.1.{port}.nyud.test", port = origin.port),
    );
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let mut seen = Seen::default();
    let serving = downstream::serve(ctx, &ENTRY, VISIT, request, &mut seen, &Arc::default());
    let (response, _) = timeout(DEADLINE, serving).await.unwrap();
    let (head, body) = response.into_parts();
    let body = timeout(DEADLINE, body.collect()).await.unwrap();
    Got {
        status: head.status,
        headers: head.headers,
        body: body.map(http_body_util::Collected::to_bytes).map_err(drop),
    }
}
