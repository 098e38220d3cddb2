//! Cache-Status (RFC 9211 §2).

use harness::origin::Reply;

use crate::rig::{Site, reply};

/// §2: "Its value is a List. Each member of the List represents a cache that has handled the request."
#[test]
fn there_is_one_member_of_ours() {
    let site = Site::with("cache-control: max-age=60");
    for _ in 0..2 {
        let got = site.get();
        let lines = got.answer.headers.get_all("cache-status").iter().count();
        assert_eq!((lines, got.answer.field("cache-status")), (1, got.cache()));
    }
}

/// §2: "The first member represents the cache closest to the origin server, and the last member represents the
/// cache closest to the user"
#[test]
fn our_member_comes_last() {
    let site = Site::with("cache-control: max-age=60\ncache-status: OriginCache; hit; ttl=1100");
    let first = site.get();
    let all = first.answer.field("cache-status");
    assert_eq!(
        all,
        format!("OriginCache; hit; ttl=1100, {}", first.cache())
    );
}

/// §2: "When adding a value to the Cache-Status header field, caches SHOULD preserve the existing field value, to
/// allow debugging of the entire chain of caches handling the request."
#[test]
fn members_of_others_are_kept_for_the_request_they_belong_to() {
    let site = Site::with(
        "cache-control: max-age=60\ncache-status: a; hit\ncache-status: \"b c\"; fwd=stale, d",
    );
    let got = site.get();
    let all = got.answer.field("cache-status");
    assert!(
        all.starts_with("a; hit, \"b c\"; fwd=stale, d, node11"),
        "{all}"
    );
    // The next request did not go through them.
    let hit = site.get().is("hit");
    assert_eq!(hit.answer.field("cache-status"), hit.cache());
}

/// §2: "An intermediary SHOULD NOT append a Cache-Status member to responses that it generates locally, even
/// if that intermediary contains a cache, unless the generated response is based upon a stored response"
#[test]
fn answers_of_our_own_have_none() {
    let site = Site::with("cache-control: max-age=60");
    site.send("POST", "", "")
        .is("405")
        .field("cache-status", "");
    site.ask("cache-control: only-if-cached")
        .is("504")
        .field("cache-status", "");
    let dead = Site::new().serves(|_| Reply::raw(""));
    dead.get().is("502").field("cache-status", "");
    site.get();
    site.ask("range: bytes=0-1").is("206 hit");
    site.ask("if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT")
        .is("304 hit");
    site.ask("range: bytes=100-").is("416 hit");
}

/// §2: "Each List member identifies the cache that inserted it, and this identifier MUST be a String or Token."
#[test]
fn we_are_named_by_a_token() {
    let site = Site::with("cache-control: max-age=60");
    assert!(site.get().cache().starts_with("node11.nyud.test;"));
}

/// §2: one malformed line would make the whole field unreadable, so it goes.
#[test]
fn junk_from_the_origin_does_not_spoil_the_field() {
    for junk in ["(((", "a; Hit", "x y", "\"open"] {
        let site = Site::with(&format!("cache-control: max-age=60\ncache-status: {junk}"));
        let all = site.get().answer.field("cache-status");
        assert!(all.starts_with("node11.nyud.test;"), "{all}");
    }
}

/// §2.1: "the request was satisfied by the cache; that is, it was not forwarded, and the response was obtained
/// from the cache"
#[test]
fn hit_means_not_forwarded() {
    let site = Site::with("cache-control: max-age=60");
    site.get().is("!hit");
    site.get().is("hit").origin(1);
    site.send("HEAD", "", "").is("hit").origin(1);
}

/// §2.1: "\"hit\" and \"fwd\" are exclusive; only one of them should appear on each list member."
#[test]
fn hit_and_fwd_exclude_each_other() {
    let site = Site::with("cache-control: max-age=60, stale-while-revalidate=600\nage: 100");
    for _ in 0..3 {
        let own = site.get().cache();
        assert!(own.contains("; hit") != own.contains("fwd="), "{own}");
    }
}

/// §2.2: "The most specific reason known to the cache SHOULD be used": bypass
#[test]
fn bypass_is_what_is_known_not_to_be_cacheable() {
    let site = Site::with("cache-control: private");
    site.get().is("fwd=uri-miss");
    site.get().is("fwd=bypass");
}

/// §2.2: method
#[test]
fn method_is_a_head_for_what_is_not_here() {
    Site::with("cache-control: max-age=60")
        .send("HEAD", "", "")
        .is("fwd=method");
}

/// §2.2: uri-miss, vary-miss
#[test]
fn misses_are_told_apart() {
    let site = Site::with("cache-control: max-age=60\nvary: accept");
    site.ask("accept: a/b").is("fwd=uri-miss");
    site.ask("accept: c/d").is("fwd=vary-miss");
}

/// §2.2: request, stale
#[test]
fn a_stale_copy_and_a_demanding_client_are_told_apart() {
    let site = Site::with("cache-control: max-age=60");
    site.get();
    site.ask("cache-control: no-cache").is("fwd=request");
    let stale = Site::with("cache-control: max-age=60\nage: 100");
    stale.get();
    stale.get().is("fwd=stale");
}

/// §2.3: "which status code the next-hop server returned in response to the forwarded request ... useful to
/// distinguish cases when the next-hop server sends a 304 (Not Modified) response to a conditional request"
#[test]
fn fwd_status_is_there_where_it_differs() {
    let site = Site::new().serves(|request| match request.nth {
        1 => reply("cache-control: max-age=60\nage: 100\netag: \"v\"", 1),
        2 => Reply::status(304, ""),
        _ => Reply::status(503, ""),
    });
    assert!(!site.get().cache().contains("fwd-status"));
    site.get().is("200 fwd=stale fwd-status=304");
    site.ask("cache-control: no-cache")
        .is("200 fwd=request fwd-status=503");
}

/// §2.4: "the response's remaining freshness lifetime ... as an integer number of seconds ... It may be
/// negative, to indicate staleness."
#[test]
fn ttl_is_what_is_left() {
    let site = Site::with("cache-control: max-age=600\nage: 100");
    site.get();
    let ttl = |own: &str| {
        own.split("ttl=")
            .nth(1)
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .parse::<i64>()
    };
    assert!((440..=500).contains(&ttl(&site.get().cache()).unwrap()));
    let stale = Site::with("cache-control: max-age=60, stale-while-revalidate=600\nage: 100");
    stale.get();
    assert!((-100..=-40).contains(&ttl(&stale.get().cache()).unwrap()));
}

/// §2.5: "whether the cache stored the response"
#[test]
fn stored_tells_whether_it_is_kept() {
    Site::with("cache-control: max-age=60").get().is("stored");
    Site::with("cache-control: no-store").get().is("!stored");
    Site::with("cache-control: max-age=60")
        .ask("cache-control: no-store")
        .is("!stored");
}

/// §2.6: "whether this request was collapsed together with one or more other forward requests"
#[test]
fn collapsed_tells_whose_fetch_it_was() {
    let gate = harness::origin::Gate::new();
    let held = gate.clone();
    let site = Site::new().serves(move |_| Reply::page("page").fresh_for(60).behind(&held));
    let ask = harness::client::Ask::of(site.proxy(), &site.page(""));
    let (first, second) = site.run(async {
        let one = tokio::spawn({
            let ask = ask.clone();
            async move { ask.fetch().await }
        });
        site.wait_for_requests(1).await;
        let two = tokio::spawn(async move { ask.fetch().await });
        // The second is on its way or already waiting; either way it cannot be answered yet.
        harness::wait::until("both wait", harness::wait::SOON, async || {
            harness::metrics::value(site.admin(), "atoll_proxy_connections").await >= 2
        })
        .await;
        gate.open();
        (one.await.unwrap(), two.await.unwrap())
    });
    assert_eq!(
        (first.text(), second.text()),
        ("page".to_owned(), "page".to_owned())
    );
    assert!(!first.field("cache-status").contains("collapsed"));
    let later = second.field("cache-status");
    assert!(
        later.contains("collapsed") || later.contains("; hit"),
        "{later}"
    );
    assert_eq!(site.count(), 1);
}

/// §2.6: "whether this request was collapsed together with one or more other forward requests": not one that came
/// after the fetch had ended.
#[test]
fn what_was_fetched_is_a_hit_from_its_last_byte_on() {
    for (nth, framing) in [false, true].into_iter().cycle().take(40).enumerate() {
        let site = Site::new().serves(move |_| {
            let reply = Reply::page("page").fresh_for(60);
            if framing { reply.chunked() } else { reply }
        });
        let ask = harness::client::Ask::of(site.proxy(), &site.page(""));
        let again = ask.clone();
        let (first, second) = site.run(async { (ask.fetch().await, again.fetch().await) });
        let said = [first.field("cache-status"), second.field("cache-status")];
        assert!(said[0].contains("fwd=uri-miss"), "{said:?}");
        assert!(said[1].contains("; hit"), "{nth}: {said:?}");
        assert_eq!(site.count(), 1);
    }
}

/// §2.8: "either a String or a Token that allows implementations to convey additional information"
#[test]
fn detail_says_more() {
    let site = Site::with("cache-control: max-age=60");
    site.get().is("detail=origin");
}
