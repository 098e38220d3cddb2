//! Both doors of a connection: the same bytes in give the same bytes out, and a request that is not for
//! one comes back from the other.

use common::shell::signals::Shutdown;
use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex};
use tokio::runtime::Runtime;

use super::*;
use crate::shell::line::{Parting, Terms};
use crate::shell::listen::http1;
use crate::shell::listen::spoken::Spoken;
use crate::shell::listen::{Bounds, Door};

/// What the stream between client and proxy holds: less than the large page, so that it goes out in
/// pieces.
const PIPE: usize = 40 << 10;

pub(super) fn bounds(plain: bool) -> Bounds {
    Bounds {
        connections: 1,
        per_client: 1,
        exempt: Vec::new(),
        header: DEADLINE,
        idle: DEADLINE,
        terms: Arc::new(Terms::new(DEADLINE)),
        finish: DEADLINE,
        drain: DEADLINE,
        secure: None,
        http2: None,
        plain,
    }
}

/// A connection to `ctx`, served until it is over.
pub(super) fn connect(ctx: &Arc<Context>, bounds: Bounds, shutdown: Shutdown) -> DuplexStream {
    let (client, stream) = duplex(PIPE);
    let spoken = Spoken {
        stream,
        read: Vec::new(),
        parting: Parting::default(),
        entry: Arc::new(ENTRY),
        door: Door::Client,
    };
    let ctx = Arc::clone(ctx);
    tokio::spawn(http1::serve(ctx, spoken, Arc::new(bounds), shutdown, ()));
    client
}

/// All that comes out for `pieces`, which are written one after the other.
async fn talk(ctx: &Arc<Context>, plain: bool, pieces: &[Vec<u8>]) -> String {
    let (_handle, shutdown) = Shutdown::manual();
    let (mut from, mut to) = tokio::io::split(connect(ctx, bounds(plain), shutdown));
    let write = async {
        for piece in pieces {
            // A connection that was closed takes no more.
            if to.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut out = Vec::new();
    let read = async { from.read_to_end(&mut out).await };
    let both = async { tokio::join!(write, read) };
    let (_, read) = timeout(DEADLINE, both).await.expect("the connection ends");
    read.unwrap();
    String::from_utf8(out).unwrap()
}

/// The pages, all of which are kept before a test begins.
pub(super) const KEPT: [&str; 7] = ["/a", "/v", "/gone", "/moved", "/empty", "/large", "/old"];

fn site(_: usize, head: &str) -> String {
    let path = head.split(' ').nth(1).unwrap();
    let (status, fields, body) = match path {
        "/v" => (
            "200 OK",
            "Vary: Accept-Encoding\r\nETag: \"v\"\r\n",
            "varies".to_owned(),
        ),
        "/gone" => ("410 Gone", "", "gone".to_owned()),
        "/moved" => (
            "301 Moved Permanently",
            "Location: http://www.example.com/\r\n",
            "over there".to_owned(),
        ),
        "/empty" => ("200 OK", "", String::new()),
        "/large" => (
            "200 OK",
            "Content-Type: text/plain\r\n",
            "0123456789".repeat(10_000),
        ),
        "/old" => (
            "200 OK",
            "Age: 100\r\nX-Odd: a\r\nX-Odd: b\r\n",
            "old".to_owned(),
        ),
        _ => (
            "200 OK",
            "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
            "page".to_owned(),
        ),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nCache-Control: max-age=600\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    )
}

pub(super) struct Lab {
    pub(super) ctx: Arc<Context>,
    pub(super) origin: Origin,
}

impl Lab {
    pub(super) async fn start() -> Self {
        let lab = Self {
            ctx: proxy(),
            origin: Origin::start(site).await,
        };
        let other = ("/v", "Accept-Encoding: identity\r\n");
        for (path, field) in KEPT.map(|path| (path, "")).into_iter().chain([other]) {
            let fields = format!("{field}Connection: close\r\n");
            let request = lab.request("GET", path, &fields);
            let got = talk(&lab.ctx, false, &[request.clone().into()]).await;
            assert!(got.contains("; stored"), "{got}");
        }
        lab
    }

    fn request(&self, method: &str, path: &str, fields: &str) -> String {
        let port = self.origin.port;
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1.{port}.nyud.test\r\n{fields}\r\n")
    }

    /// How many requests the plain door left to the other.
    pub(super) fn handed(&self) -> u64 {
        HandReason::ALL
            .iter()
            .map(|reason| self.ctx.metrics.careful_so_far(*reason))
            .sum()
    }
}

#[tokio::test]
async fn requests_that_come_together_are_answered_in_order_by_whoever_is_to() {
    let lab = Lab::start().await;
    let requests = [
        lab.request("GET", "/a", ""),
        lab.request("HEAD", "/large", ""),
        lab.request("GET", "/a", "Range: bytes=1-2\r\n"),
        lab.request("GET", "/large", "Accept: */*\r\n"),
        lab.request("GET", "/unknown", "Cache-Control: only-if-cached\r\n"),
        lab.request("GET", "/gone", ""),
        lab.request("GET", "/a", "Connection: close\r\n"),
    ];
    let all: Vec<u8> = requests.concat().into();
    let one_by_one: Vec<Vec<u8>> = all.iter().map(|byte| vec![*byte]).collect();
    let careful = talk(&lab.ctx, false, std::slice::from_ref(&all)).await;
    assert_eq!(lab.handed(), 0);
    assert_eq!(
        careful.matches("HTTP/1.1 ").count(),
        requests.len(),
        "{careful:.2000}"
    );
    assert!(
        careful.contains("connection: close\r\n\r\npage"),
        "{careful:.300}"
    );
    let plain = talk(&lab.ctx, true, &[all]).await;
    assert_eq!(difference(&careful, &plain), None);
    assert_eq!(lab.handed(), 2, "the range and the unknown page");
    let plain = talk(&lab.ctx, true, &one_by_one).await;
    assert_eq!(difference(&careful, &plain), None);
}

#[tokio::test]
async fn one_hit_of_a_thousand_is_left_to_whoever_keeps_its_trace() {
    let lab = Lab::start().await;
    let kept = || {
        let page = lab.ctx.traces.page("n", "", lab.ctx.now());
        let traces = page["traces"].as_array().unwrap().clone();
        let hit = |one: &&serde_json::Value| one["first"]["outcome"] == "hit";
        traces.iter().filter(hit).count()
    };
    assert_eq!(kept(), 0);
    let mut requests = vec![lab.request("GET", "/a", ""); 999];
    requests.push(lab.request("GET", "/a", "Connection: close\r\n"));
    let got = talk(&lab.ctx, true, &[requests.concat().into()]).await;
    assert_eq!(got.matches("HTTP/1.1 200 OK").count(), 1_000);
    let sampled = lab.ctx.metrics.careful_so_far(HandReason::Sampled);
    assert_eq!((sampled, kept()), (1, 1));
}

#[tokio::test]
async fn a_page_is_fetched_and_then_answered_on_the_same_connection() {
    let lab = Lab::start().await;
    let (_handle, shutdown) = Shutdown::manual();
    let mut client = connect(&lab.ctx, bounds(true), shutdown);
    let request = lab.request("GET", "/new", "");
    for handed in [1, 1, 1] {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut got = String::new();
        while !got.ends_with("\r\n\r\npage") {
            let mut piece = [0; 4_096];
            let read = timeout(DEADLINE, client.read(&mut piece))
                .await
                .unwrap()
                .unwrap();
            assert!(read > 0, "{got}");
            got.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        assert_eq!(lab.handed(), handed, "{got}");
    }
}

#[tokio::test]
async fn a_process_that_ends_lets_idle_connections_go() {
    let lab = Lab::start().await;
    let (handle, shutdown) = Shutdown::manual();
    let mut client = connect(&lab.ctx, bounds(true), shutdown);
    client
        .write_all(lab.request("GET", "/a", "").as_bytes())
        .await
        .unwrap();
    let mut piece = [0; 4_096];
    let read = timeout(DEADLINE, client.read(&mut piece))
        .await
        .unwrap()
        .unwrap();
    assert!(piece[..read].ends_with(b"page"));
    handle.advance(common::shell::signals::Phase::Draining);
    let ended = timeout(DEADLINE, client.read(&mut piece)).await.unwrap();
    assert_eq!(ended.unwrap(), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let lab = Lab::start().await;
    let (_handle, shutdown) = Shutdown::manual();
    let idle = Duration::from_millis(30);
    let mut client = connect(
        &lab.ctx,
        Bounds {
            idle,
            ..bounds(true)
        },
        shutdown,
    );
    client
        .write_all(lab.request("GET", "/empty", "").as_bytes())
        .await
        .unwrap();
    let mut got = Vec::new();
    timeout(DEADLINE, client.read_to_end(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert!(got.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// Fields of requests that cause no fetch of a page that is kept.
const FIELDS: [&str; 14] = [
    "",
    "Accept: text/html\r\n",
    "accept-encoding: identity\r\n",
    "Connection: keep-alive\r\n",
    "Connection: Keep-Alive, TE\r\n",
    "Cookie: a=b\r\n",
    "Range: bytes=0-1\r\n",
    "If-None-Match: \"v\"\r\n",
    "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
    "Cache-Control: only-if-cached\r\n",
    "User-Agent: x\ty\r\n",
    "X-Unknown: 1\r\n",
    "Via: 1.1 elsewhere\r\n",
    "Content-Length: 0\r\n",
];

/// A request, where `{host}` stands for the site's.
fn request() -> impl Strategy<Value = String> {
    let method = prop::sample::select(vec!["GET", "GET", "GET", "HEAD", "OPTIONS"]);
    let path = prop::sample::select(KEPT.to_vec());
    let host = prop::sample::select(vec![
        "Host: {host}\r\n",
        "Host: {host}\r\n",
        "host:{host}:81\r\n",
        "Host: elsewhere.net\r\n",
        "",
    ]);
    let fields = prop::collection::vec(prop::sample::select(FIELDS.to_vec()), 0..4);
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n"]);
    (method, path, host, fields, end).prop_map(|(method, path, host, fields, end)| {
        format!("{method} {path} HTTP/1.1\r\n{host}{}{end}", fields.concat())
    })
}

/// Seconds that may pass between two conversations that are compared.
const APART_MOST: u64 = 10;

/// The first line in which `later` says something else than `earlier`, unless it is a number of
/// seconds, and these have passed.
pub(super) fn difference(earlier: &str, later: &str) -> Option<String> {
    let (mut one, mut other) = (
        earlier.split_inclusive("\r\n"),
        later.split_inclusive("\r\n"),
    );
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (Some(one), Some(other)) if one == other || only_time_passed(one, other) => {}
            (one, other) => return Some(format!("{one:?} became {other:?}")),
        }
    }
}

fn only_time_passed(earlier: &str, later: &str) -> bool {
    let Some(((text, from), (same, to))) = counted(earlier).zip(counted(later)) else {
        return false;
    };
    let passed = if text.contains("ttl=") {
        from.checked_sub(to)
    } else {
        to.checked_sub(from)
    };
    text == same && passed.is_some_and(|passed| passed <= APART_MOST)
}

/// The seconds in a line that tells some, and what it says beside them.
fn counted(line: &str) -> Option<(String, u64)> {
    if let Some(date) = line.strip_prefix("date: ") {
        let date = httpdate::parse_http_date(date.trim_end()).ok()?;
        let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
        return Some(("date: ".to_owned(), since.as_secs()));
    }
    let name = ["age: ", "cache-status: "]
        .into_iter()
        .find(|name| line.starts_with(name))?;
    let mark = if name == "age: " { name } else { "ttl=" };
    let (before, rest) = line.split_once(mark)?;
    let end = rest.find(|c: char| !c.is_ascii_digit())?;
    let (number, after) = rest.split_at(end);
    Some((format!("{before}{mark}{after}"), number.parse().ok()?))
}

#[test]
fn only_seconds_that_passed_are_no_difference() {
    let answer = |date: &str, age: u64, ttl: i64| {
        format!(
            "HTTP/1.1 200 OK\r\ndate: {date}\r\nage: {age}\r\ncache-status: n; hit; ttl={ttl}\r\n\r\n5"
        )
    };
    let (first, second) = (
        "Thu, 01 Jan 1970 00:00:59 GMT",
        "Thu, 01 Jan 1970 00:01:00 GMT",
    );
    let before = answer(first, 9, 10);
    assert_eq!(difference(&before, &before), None);
    assert_eq!(difference(&before, &answer(second, 10, 9)), None);
    for other in [
        answer(first, 8, 10),
        answer(first, 90, 10),
        answer(first, 9, 11),
        answer(first, 9, -1),
        answer("Thu, 01 Jan 1970 00:00:58 GMT", 9, 10),
        answer(first, 9, 10).replace("; hit", "; fwd=miss"),
        answer(first, 9, 10).replace("\r\n\r\n5", "\r\n\r\n6"),
        answer(first, 9, 10) + "\r\n",
    ] {
        assert!(difference(&before, &other).is_some(), "{other}");
    }
}

/// Several of them, cut into pieces; the last ends the connection.
fn conversation() -> impl Strategy<Value = (Vec<String>, usize)> {
    (prop::collection::vec(request(), 1..6), 1..400_usize)
}

#[test]
fn both_doors_give_the_same_bytes() {
    let runtime = Runtime::new().unwrap();
    let lab = runtime.block_on(Lab::start());
    let host = format!("127.0.0.1.{}.nyud.test", lab.origin.port);
    let config = ProptestConfig::with_cases(256);
    proptest!(config, |((requests, cut) in conversation())| {
        let last = lab.request("GET", "/a", "Connection: close\r\n");
        let all = format!("{}{last}", requests.concat()).replace("{host}", &host);
        let pieces: Vec<_> = all.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
        let both = async || (talk(&lab.ctx, false, &pieces).await, talk(&lab.ctx, true, &pieces).await);
        let (careful, plain) = runtime.block_on(both());
        prop_assert_eq!(difference(&careful, &plain), None, "{} and then {}", careful, plain);
    });
    let asked = lab.origin.asked();
    assert_eq!(asked, KEPT.len() + 1, "no request was to cause a fetch");
    assert!(lab.handed() > 0);
}
