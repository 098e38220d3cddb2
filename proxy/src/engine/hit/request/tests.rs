//! What is plain, what is not, and that nothing is plain which the careful door reads in another way.

use common::name::Zone;
use proptest::prelude::*;

use super::*;
use crate::engine::head::{Progress, Scanner};
use crate::engine::http::key::Scheme;
use crate::engine::policy::Policy;
use crate::engine::steps::glance;
use crate::engine::steps::receive::{self, Asked, Entrance, Seen};

fn refused(head: &str) -> HandReason {
    Plain::read(head.as_bytes()).unwrap_err()
}

#[test]
fn what_browsers_and_programs_send_is_plain() {
    let fields = "Host: a.com.nyud.net:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux)\r\n\
        Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB\r\n\
        Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: a=b; c=\"d\"\r\n\
        Referer: http://a.com.nyud.net/\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Mode: navigate\r\n\
        Sec-CH-UA-Platform: \"Linux\"\r\nPriority: u=0, i\r\nDNT:1\r\nSec-GPC:   1  \r\n";
    let head = format!("GET /a/b?c=%20d&e HTTP/1.1\r\n{fields}\r\nGET /next");
    let plain = Plain::read(head.as_bytes()).unwrap();
    assert_eq!(
        (plain.target, plain.host),
        ("/a/b?c=%20d&e", "a.com.nyud.net:8080")
    );
    assert_eq!((plain.head_only, plain.close), (false, false));
    assert_eq!(&head[plain.len..], "GET /next");
    let headers = plain.headers();
    assert_eq!(headers.len(), 14);
    assert_eq!(
        (&headers["sec-gpc"], &headers["dnt"]),
        (&"1".parse().unwrap(), &"1".parse().unwrap())
    );
}

#[test]
fn head_and_close_are_told() {
    let plain = Plain::read(b"HEAD / HTTP/1.1\r\nhost: a\r\nCONNECTION: Close\r\n\r\n").unwrap();
    assert!(plain.head_only && plain.close);
}

#[rustfmt::skip]
const NOT_PLAIN: &[(&str, HandReason)] = &[
    ("", HandReason::Partial),
    ("GE", HandReason::Partial),
    ("GET / HTTP/1.1\r\nHost: a\r\n", HandReason::Partial),
    ("GET / HTTP/1.1\r\nHost: a\r\n\r", HandReason::Partial),
    ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Method),
    ("GETS / HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Method),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET /\" HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", HandReason::Form),
    ("GET / HTTP/1.1\nHost: a\n\n", HandReason::Form),
    ("GET / HTTP/1.1\r\nHost: a\r\n\n", HandReason::Form),
    ("GET / HTTP/1.1\r\n\r\n", HandReason::Place),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, te\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: x\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nCache-Control: no-cache\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 a\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nCDN-Loop: a\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\n Accept: a\r\n\r\n", HandReason::Field),
    ("GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", HandReason::Form),
    ("GET / HTTP/1.1\r\nHost: a\r\nAccept: a\tb\r\n\r\n", HandReason::Form),
    ("GET / HTTP/1.1\r\nHost: a\r\nAccept: \0\r\n\r\n", HandReason::Form),
    ("GET / HTTP/1.1\r\nHost: a\r\nAccept: a\rb\r\n\r\n", HandReason::Form),
    ("GET / HTTP/1.1\r\nHost: a\r\nAccept: \u{e9}\r\n\r\n", HandReason::Form),
];

#[test]
fn whatever_might_change_the_answer_is_handed_on() {
    for (head, reason) in NOT_PLAIN {
        assert_eq!(refused(head), *reason, "{head:?}");
    }
}

#[test]
fn bounds_hold() {
    let many = "Accept: a\r\n".repeat(FIELDS_MAX);
    assert_eq!(
        refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")),
        HandReason::Form
    );
    let long = "a".repeat(TARGET_MAX);
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(Plain::read(head(&format!("/{}", &long[1..])).as_bytes()).is_ok());
    assert_eq!(refused(&head(&format!("/{long}"))), HandReason::Form);
    let large = "a".repeat(PLAIN_MAX);
    assert_eq!(
        refused(&format!(
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: {large}\r\n\r\n"
        )),
        HandReason::Partial
    );
}

/// Heads that are plain, or nearly.
fn head() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec!["GET ", "HEAD ", "GET  ", "POST ", "\r\nGET "]);
    let target = prop_oneof![
        "/[a-z0-9/?&=%.;:@!$'()*+,~_-]{0,20}",
        "/[ -~]{0,8}",
        Just("/x?coral-no-serve".to_owned()),
        Just("//a".to_owned()),
    ];
    let version = prop::sample::select(vec![" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/1.1\n"]);
    let name = prop::sample::select(vec![
        "Host",
        "host",
        "Accept",
        "Connection",
        "Cookie",
        "Content-Length",
        "Range",
        "X-Other",
        "Host ",
        "User-Agent",
        "Accept-Encoding",
        "Transfer-Encoding",
    ]);
    let value = prop_oneof![
        Just("example.com.nyud.net".to_owned()),
        Just("example.com.nyud.net:81".to_owned()),
        Just("close".to_owned()),
        Just("keep-alive".to_owned()),
        "[ -~]{0,12}",
        "[\\x00-\\x7f]{0,4}",
    ];
    let colon = prop::sample::select(vec![":", ": ", ":  "]);
    let end = prop::sample::select(vec!["\r\n", "\r\n", "\r\n", "\n", " \r\n"]);
    let fields = prop::collection::vec((name, colon, value, end), 0..5);
    let host = prop::sample::select(vec!["", "Host: www.example.com.nyud.net\r\n"]);
    (start, target, version, host, fields).prop_map(|(start, target, version, host, fields)| {
        let mut head = format!("{start}{target}{version}{host}");
        for (name, colon, value, end) in fields {
            head.push_str(&[name, colon, &value, end].concat());
        }
        head.push_str("\r\n");
        head.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn a_plain_request_means_the_same_to_the_careful_door(head in head()) {
        let Ok(plain) = Plain::read(&head) else { return Ok(()) };
        let whole = &head[..plain.len];
        let scanned = Scanner::default().scan(whole);
        prop_assert_eq!(scanned, Progress::Complete { len: plain.len, body: false });
        let request = glance::request(whole).unwrap();
        let target = request.uri.path_and_query().unwrap().as_str();
        prop_assert_eq!((target, request.uri.authority()), (plain.target, None));
        prop_assert_eq!(request.method == http::Method::HEAD, plain.head_only);
        prop_assert_eq!(request.version, http::Version::HTTP_11);
        let zone = Zone::parse("nyud.net").unwrap();
        let policy = Policy::default();
        let (scheme, local_port) = (Scheme::Http, 80);
        let shown = None;
        let entrance = Entrance { scheme, local_port, shown, zone: &zone, policy: &policy };
        let mut url = String::new();
        let mut seen = Seen::default();
        let located = receive::locate(&entrance, plain.host, plain.target, &mut seen, &mut url);
        let located = located.map(|located| (located.site.host().to_owned(), located.port));
        let (uri, headers) = (&request.uri, &request.headers);
        let mut again = Seen::default();
        match receive::judge(&entrance, &request.method, uri, headers, &mut again) {
            Ok(Asked::Page { key, port }) => {
                prop_assert_eq!(located, Some((key.host().to_owned(), port)));
                prop_assert_eq!(key.as_str(), url);
            }
            _ => prop_assert_eq!(located, None),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Plain::read(&bytes).map(|plain| plain.headers());
    }
}
