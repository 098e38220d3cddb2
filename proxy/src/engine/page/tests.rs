//! What error pages say in each form, and that nothing remote comes through as it is.

use proptest::prelude::*;

use super::*;
use crate::engine::http::samples::headers;
use crate::engine::reason::FailReason;
use crate::engine::trail::Step;

fn trail() -> Trail {
    let mut trail = Trail::default();
    trail.push(Step::IndexFound(2));
    trail.push(Step::Peer(FailReason::PeerRefused));
    trail.push(Step::Spared(
        FailReason::ConnectRefused,
        Duration::from_secs(4),
    ));
    trail
}

fn page(tried: &Trail) -> Page<'_> {
    Page {
        status: StatusCode::BAD_GATEWAY,
        reason: "connect_refused",
        advice: "The site refuses connections.",
        tried,
        saved: Some(Saved {
            age: Duration::from_secs(7_300),
            ban: Some(StaleBan::MustRevalidate),
        }),
        home: Some("http://example.com/?a=<script>\"'"),
        node: "n1.nyud.test",
    }
}

#[test]
fn one_line_for_curl_that_says_all() {
    let body = render(&page(&trail()), Form::Line).body;
    assert_eq!(
        body,
        "atoll n1.nyud.test: 502 Bad Gateway (connect_refused): The site refuses connections. \
         Tried: the index named 2 proxies that may have it; another proxy gave nothing \
         (peer_refused); the site failed a moment ago (connect_refused) and is asked again in 4 s. \
         A copy that is 2 hours old is kept here, but its site forbids to show it now \
         (must-revalidate). The page itself: http://example.com/?a=<script>\"'\n"
    );
}

#[test]
fn a_page_for_browsers_without_a_way_in_for_scripts() {
    let body = render(&page(&trail()), Form::Html).body;
    let inside = "href=\"http://example.com/?a=&lt;script&gt;&quot;&#39;\"";
    assert!(body.contains(inside), "{body}");
    assert!(!body.contains("<script>"));
    assert_eq!(body.matches("<li>").count(), 3);
    assert!(body.contains("2 hours old"));
}

#[test]
fn problem_details_for_programs() {
    let rendered = render(&page(&trail()), Form::Problem);
    assert_eq!(rendered.kind, "application/problem+json");
    let parsed: serde_json::Value = serde_json::from_str(&rendered.body).unwrap();
    let expected = json!({
        "type": "about:blank", "title": "Bad Gateway", "status": 502,
        "detail": "The site refuses connections.", "reason": "connect_refused",
        "node": "n1.nyud.test", "home": "http://example.com/?a=<script>\"'",
        "tried": [
            { "source": "index", "outcome": "found" },
            { "source": "peer", "outcome": "peer_refused" },
            { "source": "origin", "outcome": "connect_refused" },
        ],
        "tried_more": 0,
        "saved_copy": { "age_seconds": 7_300, "withheld": "must-revalidate" },
    });
    assert_eq!(parsed, expected);
}

#[test]
fn what_is_not_known_is_not_said() {
    let none = Trail::default();
    let bare = Page {
        saved: None,
        home: None,
        ..page(&none)
    };
    let line = render(&bare, Form::Line).body;
    assert!(line.ends_with("The site refuses connections.\n"), "{line}");
    assert!(!render(&bare, Form::Html).body.contains("tried"));
    let problem = render(&bare, Form::Problem).body;
    assert!(!problem.contains("tried") && !problem.contains("saved"));
}

#[test]
fn the_form_is_the_one_that_is_named() {
    for (accept, form) in [
        ("", Form::Line),
        ("*/*", Form::Line),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
        ("application/json, text/plain;q=0.5", Form::Problem),
        ("application/problem+json", Form::Problem),
        ("text/plain, text/html;q=0.9", Form::Line),
    ] {
        assert_eq!(
            Form::wanted(&headers(&[("accept", accept)])),
            form,
            "{accept}"
        );
    }
}

#[test]
fn times_are_told_in_their_largest_unit() {
    for (seconds, text) in [
        (0, "0 seconds"),
        (1, "1 second"),
        (119, "1 minute"),
        (7_199, "1 hour"),
        (172_800, "2 days"),
    ] {
        assert_eq!(span(Duration::from_secs(seconds)), text);
    }
}

proptest! {
    #[test]
    fn nothing_remote_comes_through_unescaped(home in ".{0,60}", advice in ".{0,60}") {
        let none = Trail::default();
        let page = Page { home: Some(&home), advice: &advice, ..page(&none) };
        let line = render(&page, Form::Line).body;
        prop_assert_eq!(line.matches(char::is_control).count(), 1);
        let html = render(&page, Form::Html).body;
        let plain = Page { home: Some("h"), advice: "a", ..page.clone() };
        let tags = |text: &str| (text.matches('<').count(), text.matches('"').count());
        prop_assert_eq!(tags(&html), tags(&render(&plain, Form::Html).body));
        let problem = render(&page, Form::Problem).body;
        let parsed: serde_json::Value = serde_json::from_str(&problem).unwrap();
        prop_assert_eq!(parsed["home"].as_str(), Some(home.as_str()));
    }
}
