//! A line is one line of printable text, whatever the client sent.

use http::header::HeaderName;
use proptest::prelude::*;

use super::*;

fn asked(host: &str, uri: &str, fields: &[(&HeaderName, &[u8])]) -> Asked {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(host).unwrap());
    for (name, value) in fields {
        headers.insert(*name, HeaderValue::from_bytes(value).unwrap());
    }
    Asked {
        client: "192.0.2.7".parse().unwrap(),
        scheme: Scheme::Http,
        request: Some((Method::GET, uri.parse().unwrap(), Version::HTTP_11)),
        fields: Fields::of(headers),
        status: StatusCode::OK,
        first_byte: Duration::from_micros(1_500),
        outcome: "hit",
        reason: "",
    }
}

const ENDED: Ended = Ended {
    at: WallTime::from_unix(951_827_696),
    after: Duration::from_millis(2_003),
    sent: 1_024,
    ending: Ending::Complete,
};

fn line(asked: &Asked, form: Form) -> String {
    let mut out = String::new();
    asked.line(form, &ENDED, &mut out);
    out
}

#[test]
fn combined_has_the_usual_nine_and_five_more() {
    let asked = asked(
        "example.com.nyud.test",
        "/a?b=c",
        &[(&USER_AGENT, b"curl/8"), (&REFERER, b"http://r/")],
    );
    assert_eq!(
        line(&asked, Form::Combined),
        "192.0.2.7 - - [29/Feb/2000:12:34:56 +0000] \
         \"GET http://example.com.nyud.test/a?b=c HTTP/1.1\" 200 1024 \"http://r/\" \"curl/8\" \
         2.003000 0.001500 hit - complete\n"
    );
}

#[test]
fn json_has_a_name_for_each() {
    let mut asked = asked("h.nyud.test", "http://other.nyud.test:80/", &[]);
    asked.outcome = "failed";
    asked.reason = "connect_refused";
    let parsed: serde_json::Value = serde_json::from_str(&line(&asked, Form::Json)).unwrap();
    let expected = serde_json::json!({
        "time": "2000-02-29T12:34:56Z", "client": "192.0.2.7", "method": "GET",
        "url": "http://other.nyud.test:80/", "version": "HTTP/1.1", "status": 200, "bytes": 1024,
        "seconds": 2.003, "first_byte_seconds": 0.0015, "outcome": "failed",
        "reason": "connect_refused", "ending": "complete",
    });
    assert_eq!(parsed, expected);
}

#[test]
fn a_head_that_was_refused_says_nothing_of_what_it_asked() {
    let mut asked = asked("x", "/", &[]);
    asked.request = None;
    assert!(line(&asked, Form::Combined).contains("] \"-\" 200 "));
    assert!(!line(&asked, Form::Json).contains("url"));
}

#[test]
fn no_client_ends_a_quote_or_reaches_the_terminal() {
    let sly = b"a\" 200 0 \"\\ \x1b[2J\t\xc3\xa9";
    assert!(HeaderValue::from_bytes(b"\x1b").is_err(), "refused before");
    // What HTTP lets through today is not what keeps the log whole.
    let mut out = String::new();
    escape(sly, &mut out, hex);
    assert_eq!(out, "a\\x22 200 0 \\x22\\x5C \\x1B[2J\\x09\\xC3\\xA9");
    let mut out = String::new();
    escape(sly, &mut out, unicode);
    let back: String = serde_json::from_str(&format!("\"{out}\"")).unwrap();
    assert_eq!(back, "a\" 200 0 \"\\ \u{1b}[2J\t\u{c3}\u{a9}");
}

#[test]
fn a_long_field_is_clipped() {
    let long = vec![b'x'; FIELD_MAX + 1];
    let asked = asked("h", "/", &[(&USER_AGENT, &long)]);
    let ones = |text: &str| text.matches('x').count();
    assert_eq!(ones(&line(&asked, Form::Combined)), FIELD_MAX);
}

#[test]
fn dates_are_those_of_the_calendar() {
    let rows = [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (1_709_164_800, "2024-02-29T00:00:00Z"),
        (1_709_251_199, "2024-02-29T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
    ];
    for (unix, expected) in rows {
        let mut out = String::new();
        Calendar::of(WallTime::from_unix(unix)).iso(&mut out);
        assert_eq!(out, expected);
    }
}

proptest! {
    #[test]
    fn every_line_is_one_line_of_printable_ascii(agent in any::<Vec<u8>>(), json in any::<bool>()) {
        let Ok(agent) = HeaderValue::from_bytes(&agent) else {
            return Ok(());
        };
        let asked = asked("h", "/", &[(&USER_AGENT, agent.as_bytes())]);
        let form = if json { Form::Json } else { Form::Combined };
        let line = line(&asked, form);
        let inner = line.strip_suffix('\n').unwrap();
        prop_assert!(inner.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        if json {
            prop_assert!(serde_json::from_str::<serde_json::Value>(inner).is_ok());
        } else {
            prop_assert_eq!(inner.matches('"').count(), 6);
        }
    }
}
