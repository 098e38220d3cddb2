//! Scenarios of the cache and the fills under way: requests in, what they get out.

use super::*;
use crate::engine::heat::HOT_AT;
use crate::engine::http::key::Scheme;
use crate::engine::origin::Gate;
use crate::engine::shelf::entry::Put;
use crate::engine::store::Weight;
use crate::engine::store::object::tests::{headers, object};

type TestFlow = Flow<u32, u32>;

fn flow() -> TestFlow {
    Flow::new(
        Budget {
            memory: 1 << 20,
            disk: 1 << 20,
        },
        FreshPolicy::default(),
        Generator::from_seed(1),
    )
}

fn key(path: &str) -> PrimaryKey {
    PrimaryKey::new(Scheme::Http, "example.com", 80, path)
}

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1_000)
}

/// Asks for `path` with these fields; a new fill is handle `fill`.
fn ask(flow: &mut TestFlow, now: Moment, path: &str, fields: &[(&str, &str)], fill: u32) -> String {
    let (key, headers) = (key(path), headers(fields));
    let ask = Ask {
        key: &key,
        method: &Method::GET,
        headers: &headers,
    };
    match flow.lookup(now, ask, || fill) {
        Lookup::Shelved => "shelved".to_owned(),
        Lookup::Hit {
            object,
            stale,
            background,
            ..
        } => {
            format!("hit {} {stale:?} {}", object.body, background.is_some())
        }
        Lookup::Join(fill, _) => format!("join {fill}"),
        Lookup::Start(fill, plan) => {
            format!(
                "start {fill} shared={} stale={}",
                plan.shared,
                plan.stale.is_some()
            )
        }
        Lookup::OnlyIfCached => "only-if-cached".into(),
        Lookup::Busy => "busy".into(),
    }
}

#[test]
fn a_crowd_for_one_key_makes_one_fill() {
    let mut flow = flow();
    assert_eq!(
        ask(&mut flow, at(0), "/a", &[], 1),
        "start 1 shared=true stale=false"
    );
    for n in 2..200 {
        assert_eq!(ask(&mut flow, at(0), "/a", &[], n), "join 1");
    }
    assert_eq!(flow.filling(), 1);
    let whole = object("/a", &[("cache-control", "max-age=60")], &[], 7);
    let (life, gone) = flow.keep(at(0), whole, Weight::default());
    flow.ended(&key("/a"), FillId(1));
    assert_eq!(
        (life, gone.len(), flow.filling()),
        (Some(Duration::from_secs(60)), 0, 0)
    );
    assert_eq!(ask(&mut flow, at(1), "/a", &[], 9), "hit 7 None false");
}

#[test]
fn a_fill_of_another_variant_is_not_joined_once_its_head_says_so() {
    let mut flow = flow();
    let (gzip, br) = ([("accept-encoding", "gzip")], [("accept-encoding", "br")]);
    assert_eq!(
        ask(&mut flow, at(0), "/v", &gzip, 1),
        "start 1 shared=true stale=false"
    );
    assert_eq!(ask(&mut flow, at(0), "/v", &br, 2), "join 1");
    let head = object("/v", &[("vary", "accept-encoding")], &gzip, 0);
    flow.headed(&key("/v"), FillId(1), &head);
    assert_eq!(
        ask(&mut flow, at(0), "/v", &br, 2),
        "start 2 shared=true stale=false"
    );
    assert_eq!(ask(&mut flow, at(0), "/v", &gzip, 3), "join 1");
}

#[test]
fn nobody_queues_for_what_proved_unshareable() {
    let mut flow = flow();
    flow.not_shareable(at(0), &key("/me"), NoStoreReason::Private);
    assert_eq!(
        ask(&mut flow, at(1), "/me", &[], 1),
        "start 1 shared=false stale=false"
    );
    assert_eq!(
        ask(&mut flow, at(1), "/me", &[], 2),
        "start 2 shared=false stale=false"
    );
    assert_eq!(
        ask(&mut flow, at(121), "/me", &[], 3),
        "start 3 shared=true stale=false"
    );
    flow.not_shareable(at(0), &key("/bare"), NoStoreReason::NoLifetimeNoValidator);
    assert_eq!(
        ask(&mut flow, at(1), "/bare", &[], 4),
        "start 4 shared=true stale=false"
    );
}

#[test]
fn a_stale_copy_is_validated_by_one_and_shown_meanwhile_where_allowed() {
    let mut flow = flow();
    let cc = [
        ("cache-control", "max-age=10, stale-while-revalidate=60"),
        ("etag", "\"a\""),
    ];
    flow.keep(at(0), object("/s", &cc, &[], 5), Weight::default());
    assert_eq!(
        ask(&mut flow, at(20), "/s", &[], 1),
        "hit 5 Some(WhileRevalidate) true"
    );
    assert_eq!(
        ask(&mut flow, at(20), "/s", &[], 2),
        "hit 5 Some(WhileRevalidate) false"
    );
    assert_eq!(ask(&mut flow, at(90), "/s", &[], 3), "join 1");
    flow.ended(&key("/s"), FillId(1));
    assert_eq!(
        ask(&mut flow, at(90), "/s", &[], 4),
        "start 4 shared=true stale=true"
    );
}

#[test]
fn only_if_cached_never_starts_a_fetch() {
    let mut flow = flow();
    let only = [("cache-control", "only-if-cached")];
    assert_eq!(ask(&mut flow, at(0), "/o", &only, 1), "only-if-cached");
    assert_eq!(flow.filling(), 0);
}

#[test]
fn a_peer_joins_what_is_under_way_and_never_starts_anything() {
    let mut flow = flow();
    let (key, none) = (key("/p"), HeaderMap::new());
    let ask_peer = Ask {
        key: &key,
        method: &Method::GET,
        headers: &none,
    };
    assert!(matches!(
        flow.lookup_for_peer(at(0), ask_peer, true),
        PeerLookup::Nothing
    ));
    ask(&mut flow, at(0), "/p", &[], 1);
    assert!(matches!(
        flow.lookup_for_peer(at(0), ask_peer, false),
        PeerLookup::Join(1)
    ));
    flow.keep(
        at(0),
        object("/p", &[("cache-control", "max-age=5")], &[], 3),
        Weight::default(),
    );
    flow.ended(&key, FillId(1));
    assert!(matches!(
        flow.lookup_for_peer(at(1), ask_peer, false),
        PeerLookup::Hit(_)
    ));
    assert!(matches!(
        flow.lookup_for_peer(at(9), ask_peer, false),
        PeerLookup::Nothing
    ));
    assert!(matches!(
        flow.lookup_for_peer(at(9), ask_peer, true),
        PeerLookup::Hit(_)
    ));
}

#[test]
fn refuses_more_fills_than_it_carries() {
    let mut flow = flow();
    for n in 0..FILLS_MAX {
        ask(&mut flow, at(0), &format!("/{n}"), &[], 0);
    }
    assert_eq!(ask(&mut flow, at(0), "/more", &[], 1), "busy");
}

#[test]
fn remembers_a_bounded_number_of_unshareable_keys() {
    let mut flow = flow();
    for n in 0..=UNSHAREABLE_MAX {
        flow.not_shareable(at(0), &key(&format!("/{n}")), NoStoreReason::Private);
    }
    assert_eq!(flow.unshareable.len(), UNSHAREABLE_MAX);
}

#[test]
fn patience_grows_with_the_heat() {
    let mut flow = flow();
    assert_eq!(flow.patience(at(0), &key("/h")), PATIENCE_QUIET);
    for n in 0..HOT_AT {
        ask(&mut flow, at(0), "/h", &[], n);
    }
    assert_eq!(flow.patience(at(0), &key("/h")), PATIENCE_HOT);
}

#[test]
fn a_dead_origin_is_remembered_and_a_stale_copy_may_stand_in() {
    let mut flow = flow();
    let key = key("/d");
    flow.origin_failed(at(0), &key, FailReason::Truncated);
    assert_eq!(flow.pass_gate(at(0), &key), Ok(Gate::Open));
    flow.origin_failed(at(0), &key, FailReason::ConnectRefused);
    let shut = Err((Duration::from_secs(4), FailReason::ConnectRefused));
    assert_eq!(flow.pass_gate(at(1), &key), shut);
    let none = HeaderMap::new();
    let old = object("/d", &[("cache-control", "max-age=10")], &[], 1);
    assert!(flow.may_stand_in(at(86_000), &old, &none));
    assert!(!flow.may_stand_in(at(86_500), &old, &none));
    let strict = object(
        "/d",
        &[("cache-control", "max-age=10, must-revalidate")],
        &[],
        1,
    );
    assert!(!flow.may_stand_in(at(20), &strict, &none));
}

fn hit(flow: &mut TestFlow, now: Moment, path: &str, fields: &[(&str, &str)]) -> Option<u32> {
    let (url, fields) = (format!("http://example.com{path}"), headers(fields));
    let hit = flow.hit(now, &url, "example.com", || fields, |_, _| true);
    hit.map(|(object, _)| object.body)
}

#[test]
fn a_plain_hit_is_a_fresh_copy_and_anything_else_counts_for_nothing() {
    let mut flow = flow();
    let fresh = [("cache-control", "max-age=60, stale-while-revalidate=60")];
    flow.keep(at(0), object("/a", &fresh, &[], 1), Weight::default());
    assert_eq!(hit(&mut flow, at(1), "/a", &[]), Some(1));
    for _ in 0..HOT_AT {
        assert_eq!(hit(&mut flow, at(61), "/a", &[]), None, "stale");
        assert_eq!(hit(&mut flow, at(61), "/b", &[]), None, "unknown");
    }
    assert_eq!(flow.heat(at(61), &key("/a")), Heat::Quiet);
    let found = flow.store.hottest(at(61), 1)[0].found;
    assert_eq!(found, 1);
    for _ in 0..HOT_AT {
        assert_eq!(hit(&mut flow, at(2), "/a", &[]), Some(1));
    }
    assert_eq!(flow.heat(at(2), &key("/a")), Heat::Hot);
}

#[test]
fn a_plain_hit_is_of_the_variant_that_was_asked_for() {
    let mut flow = flow();
    let varies = [("cache-control", "max-age=60"), ("vary", "accept-encoding")];
    let gzip = [("accept-encoding", "gzip")];
    flow.keep(at(0), object("/v", &varies, &gzip, 1), Weight::default());
    flow.keep(at(0), object("/v", &varies, &[], 2), Weight::default());
    assert_eq!(hit(&mut flow, at(1), "/v", &gzip), Some(1));
    assert_eq!(hit(&mut flow, at(1), "/v", &[]), Some(2));
    assert_eq!(
        hit(&mut flow, at(1), "/v", &[("accept-encoding", "br")]),
        None
    );
}

/// A flow with a response on disk, and nothing of it in memory.
fn shelved() -> (TestFlow, Arc<Object<u32>>) {
    let mut flow = flow();
    let kept = object("/d", &[("cache-control", "max-age=60")], &[], 7);
    *flow.shelf() = Shelf::new(1 << 20);
    flow.shelf().switch(true);
    let ticket = flow.shelve(at(0), &kept, Weight::default()).unwrap();
    let put = Put {
        name: record::name_of(&kept.key),
        variant: record::variant_of(&kept),
        offset: 64,
        length: 100,
        large: None,
        at: 0,
        fresh: 60,
    };
    assert!(flow.shelf().written(at(0), ticket, &put, 0));
    (flow, kept)
}

#[test]
fn what_is_only_on_disk_is_read_first_and_answers_even_without_room_in_memory() {
    let (mut flow, kept) = shelved();
    let headers = HeaderMap::new();
    let ask = Ask {
        key: &kept.key,
        method: &Method::GET,
        headers: &headers,
    };
    assert!(matches!(flow.lookup(at(1), ask, || 0), Lookup::Shelved));
    let read = [Arc::clone(&kept)];
    let found = flow.lookup_again(at(1), ask, &read, || 0);
    assert!(matches!(found, Lookup::Hit { object, .. } if object.body == 7));
    // The disk said nothing of use.
    let found = flow.lookup_again(at(1), ask, &[], || 0);
    assert!(matches!(found, Lookup::Start(..)));
    flow.forget(&kept.key);
    assert!(flow.shelf().is_empty() && flow.shelf().has_removals());
    // What was read before it was taken back is not served.
    let found = flow.lookup_again(at(1), ask, &read, || 0);
    assert!(matches!(found, Lookup::Join(..)));
}

#[test]
fn peers_and_the_index_are_told_of_what_is_on_disk() {
    let (mut flow, kept) = shelved();
    let headers = HeaderMap::new();
    let ask = Ask {
        key: &kept.key,
        method: &Method::GET,
        headers: &headers,
    };
    assert!(flow.knows(&kept.key));
    let found = flow.lookup_for_peer(at(1), ask, false);
    assert!(matches!(found, PeerLookup::Shelved));
    let read = [Arc::clone(&kept)];
    let found = flow.lookup_again_for_peer(at(1), ask, false, &read);
    assert!(matches!(found, PeerLookup::Hit(object) if object.body == 7));
    let life = Duration::from_secs(59);
    let renewal = flow.renewal(at(1), &kept.key);
    assert!(matches!(renewal, Renewal::Shelved(left) if left == life));
}
