//! Orders against responses of before and after.

use std::sync::Arc;
use std::time::Duration;

use common::clock::{Moment, WallTime};
use common::rng::Generator;
use http::{HeaderMap, Method, StatusCode};

use super::order::{OrderFault, Selector};
use super::tags::{self, TAGS_MAX};
use super::token::{PurgeRefusal, TOKENS_MAX, Tokens, TokensFault};
use super::*;
use crate::engine::flow::{Ask, Flow, Lookup, PeerLookup};
use crate::engine::http::fresh::FreshPolicy;
use crate::engine::http::key::{PrimaryKey, Scheme};
use crate::engine::store::object::Received;
use crate::engine::store::object::tests::{headers, object};
use crate::engine::store::{Budget, Weight};

const FRESH: (&str, &str) = ("cache-control", "max-age=600");

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

fn order(id: u8, text: &str) -> Order {
    Order::parse(OrderId([id; 16]), text).unwrap()
}

fn page(path: &str, fields: &[(&str, &str)]) -> Arc<Object<u32>> {
    object(path, fields, &[], 1)
}

fn flow() -> Flow<u32, u32> {
    let budget = Budget {
        memory: 100_000_000,
        disk: 0,
    };
    Flow::new(budget, FreshPolicy::default(), Generator::from_seed(1))
}

fn keep(flow: &mut Flow<u32, u32>, path: &str, fields: &[(&str, &str)]) {
    flow.keep(at(0), page(path, fields), Weight::default());
}

/// What a request for `path` gets.
fn look(flow: &mut Flow<u32, u32>, now: Moment, path: &str) -> &'static str {
    let key = PrimaryKey::new(Scheme::Http, "example.com", 80, path);
    let ask = Ask {
        key: &key,
        method: &Method::GET,
        headers: &HeaderMap::new(),
    };
    match flow.lookup(now, ask, || 7) {
        Lookup::Hit { stale: None, .. } => "fresh",
        Lookup::Hit { .. } => "stale",
        Lookup::Join(..) => "join",
        Lookup::Start(_, plan) if plan.stale.is_some() => "validate",
        Lookup::Start(..) => "fetch",
        Lookup::Shelved | Lookup::OnlyIfCached | Lookup::Busy => "no",
    }
}

fn carry_out(flow: &mut Flow<u32, u32>, now: Moment, order: Order) -> Tally {
    let mut purging = flow.order(now, order).unwrap();
    while flow.purge(&mut purging).is_some() {}
    purging.tally()
}

#[test]
fn an_order_is_the_same_after_its_way_as_text() {
    for text in [
        "soft url http://example.com/a?b",
        "hard prefix https://example.com:8443/a/",
        "soft site www.example.com",
        "hard tag * news",
        "soft tag example.com a:b/c",
    ] {
        assert_eq!(order(1, text).to_string(), text);
    }
    assert!(
        !order(1, "url http://example.com/").hard,
        "soft unless said"
    );
    for (text, fault) in [
        ("", OrderFault::Kind),
        ("hard", OrderFault::Kind),
        ("site", OrderFault::Kind),
        ("site a.example b", OrderFault::Kind),
        ("soft hard site a.example", OrderFault::Kind),
        ("url /a", OrderFault::Url),
        ("url ftp://example.com/", OrderFault::Url),
        ("url http://a@example.com/", OrderFault::Url),
        ("site a/b", OrderFault::Site),
        ("site .example.com", OrderFault::Site),
        ("tag example.com a,b", OrderFault::Tag),
    ] {
        assert_eq!(Order::parse(OrderId([0; 16]), text), Err(fault), "{text}");
    }
    let long = format!("url http://example.com/{}", "a".repeat(order::TEXT_MAX));
    assert_eq!(
        Order::parse(OrderId([0; 16]), &long),
        Err(OrderFault::TooLong)
    );
    let long = format!("tag * {}", "a".repeat(tags::TAG_BYTES_MAX + 1));
    assert_eq!(Order::parse(OrderId([0; 16]), &long), Err(OrderFault::Tag));
}

#[test]
fn a_site_is_a_name_and_all_below_it() {
    let key = |host| PrimaryKey::new(Scheme::Https, host, 8443, "/");
    let site = Selector::Site("example.com".into());
    assert!(site.may_meet(&key("example.com")) && site.may_meet(&key("a.b.example.com")));
    assert!(!site.may_meet(&key("badexample.com")) && !site.may_meet(&key("com")));
}

#[test]
fn a_soft_purge_has_it_validated_and_a_hard_one_has_it_fetched() {
    for (text, path, want) in [
        ("url http://example.com/a", "/a", "validate"),
        ("hard url http://example.com/a", "/a", "fetch"),
        ("hard url http://example.com/a", "/ab", "fresh"),
        ("prefix http://example.com/a", "/ab", "validate"),
        ("hard prefix http://example.com/a", "/b", "fresh"),
        ("hard site example.com", "/b", "fetch"),
        ("hard site www.example.com", "/b", "fresh"),
        ("hard tag * news", "/a", "fetch"),
        ("tag example.com sport", "/ab", "validate"),
        ("hard tag example.org sport", "/ab", "fresh"),
        ("hard tag * sport", "/b", "fresh"),
    ] {
        let mut flow = flow();
        keep(&mut flow, "/a", &[FRESH, ("cache-tag", "x, news")]);
        keep(&mut flow, "/ab", &[FRESH, ("surrogate-key", "sport y")]);
        keep(&mut flow, "/b", &[FRESH]);
        carry_out(&mut flow, at(5), order(1, text));
        assert_eq!(look(&mut flow, at(5), path), want, "{text}: {path}");
    }
}

#[test]
fn all_are_found_however_many_go() {
    let mut flow = flow();
    let pages = 3 * LOOK_MAX + 5;
    for n in 0..pages {
        let tag = if n % 2 == 0 { "even" } else { "odd" };
        keep(&mut flow, &format!("/{n}"), &[FRESH, ("cache-tag", tag)]);
    }
    let tally = carry_out(&mut flow, at(5), order(1, "hard tag * odd"));
    let want = u64::try_from(pages / 2).unwrap();
    assert_eq!(
        tally,
        Tally {
            stale: 0,
            gone: want
        }
    );
    let tally = carry_out(&mut flow, at(6), order(2, "site example.com"));
    let want = u64::try_from(pages - pages / 2).unwrap();
    assert_eq!(
        tally,
        Tally {
            stale: want,
            gone: 0
        }
    );
}

#[test]
fn what_was_on_its_way_is_not_kept_as_fresh_nor_joined() {
    for (text, now, want) in [
        ("hard url http://example.com/a", 5, "fetch"),
        ("url http://example.com/a", 5, "validate"),
        ("hard tag * news", 5, "fetch"),
        ("hard tag * other", 5, "fresh"),
        ("hard url http://example.com/b", 5, "fresh"),
    ] {
        let mut flow = flow();
        assert_eq!(look(&mut flow, at(0), "/a"), "fetch");
        assert_eq!(look(&mut flow, at(1), "/a"), "join");
        carry_out(&mut flow, at(now), order(1, text));
        let meant = !text.ends_with("/b");
        let next = look(&mut flow, at(now), "/a");
        assert_eq!(next, if meant { "fetch" } else { "join" }, "{text}");
        let mut flow2 = self::flow();
        carry_out(&mut flow2, at(now), order(1, text));
        keep(&mut flow2, "/a", &[FRESH, ("cache-tag", "news")]);
        assert_eq!(look(&mut flow2, at(now), "/a"), want, "{text}");
    }
}

#[test]
fn a_copy_of_another_cache_is_as_old_as_it_says() {
    let mut flow = flow();
    let key = page("/a", &[]).key.clone();
    flow.order(at(100), order(1, "hard site example.com"))
        .unwrap();
    let fate = |age: Option<&str>| {
        let fields = age.map(|age| headers(&[("age", age)])).unwrap_or_default();
        let received = Received {
            status: StatusCode::OK,
            headers: &fields,
            at: at(110),
            wall: WallTime::from_unix(0),
            delay: Duration::from_secs(5),
        };
        flow.fate(&key, &received)
    };
    assert_eq!(fate(None), Fate::Spared, "it was asked for after the order");
    assert_eq!(fate(Some("3")), Fate::Spared);
    assert_eq!(
        fate(Some("4")),
        Fate::Gone,
        "an Age is cut, and the way took time"
    );
}

#[test]
fn peers_do_not_join_what_was_purged() {
    let mut flow = flow();
    assert_eq!(look(&mut flow, at(0), "/a"), "fetch");
    carry_out(&mut flow, at(1), order(1, "url http://example.com/a"));
    let key = PrimaryKey::new(Scheme::Http, "example.com", 80, "/a");
    let ask = Ask {
        key: &key,
        method: &Method::GET,
        headers: &HeaderMap::new(),
    };
    let found = flow.lookup_for_peer(at(1), ask, false);
    assert!(matches!(found, PeerLookup::Nothing));
}

#[test]
fn an_order_counts_once_and_forgotten_ones_make_what_is_older_stale() {
    let mut orders = Orders::default();
    let same = order(1, "hard url http://example.com/a");
    assert!(orders.give(at(1), &same) && !orders.give(at(2), &same));
    let other = page("/b", &[FRESH]);
    assert_eq!(orders.fate(&*other), Fate::Spared);
    for n in 0..ORDERS_MAX {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n + 1).to_be_bytes());
        let next = Order::parse(OrderId(id), "site example.org").unwrap();
        assert!(orders.give(at(3), &next));
    }
    assert_eq!(
        orders.fate(&*other),
        Fate::Stale,
        "who knows what was ordered"
    );
}

#[test]
fn more_tags_than_are_read_are_all_tags() {
    let words = |count: usize| vec!["t"; count].join(" ");
    let tags = |field, value: &str| tags::bears(&headers(&[(field, value)]), "u");
    assert!(!tags("surrogate-key", &words(TAGS_MAX)));
    assert!(tags("surrogate-key", &words(TAGS_MAX + 1)));
    assert!(tags("cache-tag", &"t".repeat(tags::TAG_BYTES_MAX + 1)));
    assert!(tags("cache-tag", &"t,".repeat(tags::FIELD_BYTES_MAX)));
    let both = headers(&[
        ("cache-tag", "a,b , c"),
        ("cache-tag", "d"),
        ("surrogate-key", "e f"),
    ]);
    for tag in ["a", "b", "c", "d", "e", "f"] {
        assert!(tags::bears(&both, tag), "{tag}");
    }
    assert!(!tags::bears(&both, "A") && !tags::bears(&both, "e f"));
}

#[test]
fn a_token_allows_its_site_alone() {
    let hash = |token: &str| blake3::hash(token.as_bytes()).to_hex();
    let text = format!(
        "# who may\nops * {}\n\nshop example.com {} # theirs\n",
        hash("all"),
        hash("one")
    );
    let tokens = Tokens::parse(&text).unwrap();
    let judge = |field: &str, text: &str| {
        let order = order(1, text);
        tokens
            .judge(Some(field.as_bytes()), &order)
            .map(str::to_owned)
    };
    let here = "url http://www.example.com/";
    assert_eq!(judge("Bearer one", here).as_deref(), Ok("shop"));
    assert_eq!(judge("bearer all", "tag * x").as_deref(), Ok("ops"));
    for (field, text, why) in [
        (
            "Bearer one",
            "url http://example.org/",
            PurgeRefusal::OtherSite,
        ),
        ("Bearer one", "site com", PurgeRefusal::OtherSite),
        ("Bearer one", "tag * x", PurgeRefusal::OtherSite),
        ("Bearer two", here, PurgeRefusal::UnknownToken),
        ("Bearer  ", here, PurgeRefusal::NoToken),
        ("Basic one", here, PurgeRefusal::NoToken),
    ] {
        assert_eq!(judge(field, text), Err(why), "{field} {text}");
    }
    assert_eq!(
        tokens.judge(None, &order(1, here)),
        Err(PurgeRefusal::NoToken)
    );
    let long = format!("Bearer {}", "a".repeat(600));
    assert_eq!(judge(&long, here), Err(PurgeRefusal::UnknownToken));
    assert_eq!(Tokens::parse("a b").unwrap_err(), TokensFault::Line(1));
    let many = format!("a * {}\n", hash("x")).repeat(TOKENS_MAX + 1);
    assert_eq!(Tokens::parse(&many).unwrap_err(), TokensFault::TooMany);
}
