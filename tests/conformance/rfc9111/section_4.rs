//! When a stored response may be reused, and for which request (RFC 9111 §4, §4.1, §4.4).

use crate::claims::validated;
use crate::lab::Lab;
use crate::rig::{Site, reply};

/// §4: "the presented target URI and that of the stored response match"
#[test]
fn another_url_is_another_resource() {
    let fresh =
        |request: &harness::origin::Request| reply("cache-control: max-age=60", request.nth);
    let site = Site::new();
    let below = [
        "", "?a=1", "?a=2", "?A=1", "/", "/b", "/%62", "//b", "/c/../b",
    ];
    let site = below
        .iter()
        .fold(site, |site, path| site.serves_at(path, fresh));
    for path in &below[..5] {
        site.send("GET", path, "").is("fwd=uri-miss stored");
    }
    let other = Site::new();
    let other = below
        .iter()
        .fold(other, |site, path| site.serves_at(path, fresh));
    for path in &below[5..] {
        other.send("GET", path, "").is("fwd=uri-miss stored");
    }
    site.send("GET", "?a=1", "").is("hit");
}

/// §4: "the request method associated with the stored response allows it to be used for the presented
/// request"
#[test]
fn a_stored_get_answers_a_head() {
    let site = Site::with("cache-control: max-age=60");
    site.get();
    let head = site.send("HEAD", "", "").is("200 hit").origin(1);
    head.field("content-length", "6").text("");
}

/// §4: "request header fields nominated by the stored response (if any) match those presented"
#[test]
fn a_request_that_differs_in_a_vary_field_is_a_miss() {
    let site = Site::with("cache-control: max-age=60\nvary: accept-language");
    site.ask("accept-language: en").is("stored");
    site.ask("accept-language: en").is("hit");
    site.ask("accept-language: de")
        .is("fwd=vary-miss")
        .origin(2);
}

/// §4: "the stored response does not contain the no-cache directive, unless it is successfully
/// validated"
#[test]
fn no_cache_is_validated_every_time() {
    validated("cache-control: no-cache");
    validated("cache-control: no-cache, max-age=60");
}

/// §4: "the stored response is one of the following: fresh, or allowed to be served stale, or
/// successfully validated"
#[test]
fn a_stale_response_is_validated_first() {
    validated("cache-control: max-age=60\nage: 60");
}

/// §4: "When a stored response is used to satisfy a request without validation, a cache MUST generate
/// an Age header field, replacing any present in the response with a value equal to the stored
/// response's current_age"
#[test]
fn a_stored_response_has_an_age() {
    let site = Site::with("cache-control: max-age=600\nage: 100");
    site.get();
    let age = site.get().is("hit").age();
    assert!((100..160).contains(&age), "{age}");
    let new = Site::with("cache-control: max-age=600");
    new.get();
    assert!(new.get().is("hit").age() < 60);
    for (second, age) in [(0, 30), (10, 40), (60, 90)] {
        assert_eq!(
            Lab::with("cache-control: max-age=600\nage: 30").age(second),
            age
        );
    }
}

/// §4: "A cache MUST write through requests with methods that are unsafe": none is answered from the
/// cache, because none is served at all.
#[test]
fn unsafe_methods_are_refused_and_never_answered_from_the_cache() {
    let site = Site::with("cache-control: max-age=60");
    site.get().is("stored");
    for method in ["POST", "PUT", "DELETE", "PATCH", "MKCOL"] {
        let refused = site.send(method, "", "").is("405");
        assert_eq!(refused.answer.field("allow"), "GET, HEAD, OPTIONS");
        assert!(!refused.answer.text().contains("page 1"));
    }
    site.get().is("hit").origin(1);
}

/// §4: "collapse requests ... provided that it is allowed to reuse that response for the requests in
/// question"
#[test]
fn what_one_client_may_not_share_is_fetched_for_each() {
    let site = Site::with("cache-control: private, max-age=60");
    for nth in 1..=3 {
        site.get()
            .is("200 !hit !collapsed")
            .text(&format!("page {nth}"));
    }
}

/// §4: "When more than one suitable response is stored, a cache MUST use the most recent one"
#[test]
fn the_most_recent_of_several_is_used() {
    let site = Site::new().replies(&[
        "cache-control: max-age=60\nvary: x-a, accept-language",
        "cache-control: max-age=60\nvary: accept-language",
    ]);
    site.ask("accept-language: en\naccept: a")
        .is("stored")
        .text("page 1");
    site.ask("accept-language: en\ncache-control: no-cache")
        .is("stored")
        .text("page 2");
    site.ask("accept-language: en").is("hit").text("page 2");
}

/// §4.1: "the cache MUST NOT use that stored response without revalidation unless all the presented
/// request header fields nominated by that Vary field value match those fields in the original
/// request"
#[test]
fn all_fields_of_vary_have_to_match() {
    let site = Site::with("cache-control: max-age=60\nvary: accept, accept-language");
    site.ask("accept: a/b\naccept-language: en").is("stored");
    site.ask("accept: a/b\naccept-language: en").is("hit");
    site.ask("accept: a/b\naccept-language: de")
        .is("fwd=vary-miss");
    site.ask("accept: c/d\naccept-language: en")
        .is("fwd=vary-miss");
    site.ask("accept-language: en").is("fwd=vary-miss");
}

/// §4.1: variants live beside each other.
#[test]
fn several_variants_are_kept() {
    let site = Site::with("cache-control: max-age=60\nvary: accept-language");
    for (language, page) in [("en", "page 1"), ("de", "page 2"), ("fr", "page 3")] {
        site.ask(&format!("accept-language: {language}"))
            .is("stored")
            .text(page);
    }
    site.ask("accept-language: de").is("hit").text("page 2");
    site.ask("accept-language: en")
        .is("hit")
        .text("page 1")
        .origin(3);
}

/// §4.1: "adding or removing whitespace, where allowed in the header field's syntax"
#[test]
fn white_space_in_a_vary_field_means_nothing() {
    let site = Site::with("cache-control: max-age=60\nvary: accept");
    site.ask("accept: a/b , c/d").is("stored");
    site.ask("accept:   a/b,c/d").is("hit").origin(1);
}

/// §4.1: "combining multiple header field lines with the same field name"
#[test]
fn lines_of_a_vary_field_are_one_list() {
    let site = Site::with("cache-control: max-age=60\nvary: accept");
    site.ask("accept: a/b\naccept: c/d").is("stored");
    site.ask("accept: a/b, c/d").is("hit").origin(1);
}

/// §4.1: "normalizing both header field values in a way that is known to have identical semantics"
#[test]
fn values_that_mean_the_same_match() {
    for (field, one, same, other) in [
        ("accept-encoding", "gzip, br", "BR, x-gzip;q=1.0", "gzip"),
        (
            "accept-language",
            "en-GB, de;q=0.5",
            "en-gb,de; q=0.5",
            "de, en-gb",
        ),
    ] {
        let site = Site::with(&format!("cache-control: max-age=60\nvary: {field}"));
        site.ask(&format!("{field}: {one}")).is("stored");
        site.ask(&format!("{field}: {same}")).is("hit");
        site.ask(&format!("{field}: {other}")).is("fwd=vary-miss");
    }
}

/// §4.1: "If (after any normalization that might take place) a header field is absent from a request,
/// it can only match another request if it is also absent there."
#[test]
fn an_absent_field_matches_only_an_absent_one() {
    let site = Site::with("cache-control: max-age=60\nvary: accept-language");
    site.get().is("stored");
    site.get().is("hit");
    site.ask("accept-language: en").is("fwd=vary-miss");
    site.ask("accept-language:").is("!hit");
}

/// §4.1: "A stored response with a Vary header field value containing a member \"*\" always fails to
/// match."
#[test]
fn a_star_anywhere_in_vary_matches_nothing() {
    for vary in [
        "vary: *",
        "vary: *, accept",
        "vary: accept, *",
        "vary: accept\nvary: *",
    ] {
        let site = Site::with(&format!("cache-control: max-age=60\n{vary}"));
        site.get().is("200 !stored");
        site.get().is("200 !hit").origin(2);
    }
}

/// §4.1: names in Vary are field names: in any case, with empty members, on several lines.
#[test]
fn vary_is_a_list_of_names_in_any_case() {
    for vary in [
        "vary: Accept-LANGUAGE",
        "vary: , accept-language,",
        "vary: accept\nvary: accept-language",
    ] {
        let site = Site::with(&format!("cache-control: max-age=60\n{vary}"));
        site.ask("accept-language: en").is("stored");
        site.ask("accept-language: en").is("hit");
        site.ask("accept-language: de").is("fwd=vary-miss");
    }
}

/// §4.1: "When a cache has multiple stored responses for a target URI and one or more omits the Vary
/// header field, the cache SHOULD choose the most recent stored response with a valid Vary field
/// value."
#[test]
fn a_default_answer_without_vary_does_not_hide_the_others() {
    let mut lab = Lab::with("cache-control: max-age=60\nvary: accept-language\nx-language: en");
    assert_eq!(
        lab.receive(1, 200, "cache-control: max-age=100", "accept-language: xx"),
        "stored"
    );
    // The first is for requests without the field; its age tells which one it is.
    assert_eq!(lab.age(10), 10);
    // Once that is stale the one that is fresh is good enough.
    assert_eq!(lab.age(70), 69);
}

/// §4.4: "A cache MUST invalidate the target URI when it receives a non-error status code in response
/// to an unsafe request method": the answer here is an error, so nothing is invalidated, or anybody
/// could empty the cache.
#[test]
fn a_refused_method_invalidates_nothing() {
    let site = Site::with("cache-control: max-age=60");
    site.get().is("stored");
    for method in ["POST", "PUT", "DELETE", "PATCH", "PURGE", "FOO"] {
        site.send(method, "", "").is("405");
    }
    site.get().is("hit").text("page 1").origin(1);
}
