//! What is kept, what goes first, and that weights add up.

use super::object::tests::object;
use super::*;
use crate::engine::purge::Fate;

const BUDGET: Budget = Budget {
    memory: 10_000,
    disk: 50_000,
};

fn store(budget: Budget) -> Store<u32> {
    Store::new(budget, Generator::from_seed(1))
}

fn weight(memory: u64, disk: u64) -> Weight {
    Weight { memory, disk }
}

fn found(store: &mut Store<u32>, path: &str, encoding: &str) -> Option<u32> {
    let wanted = object(path, &[], &[], 0);
    let mut request = HeaderMap::new();
    request.insert("accept-encoding", encoding.parse().unwrap());
    store
        .find(&wanted.key, &request, |_| true)
        .map(|object| object.body)
}

fn keep(store: &mut Store<u32>, path: &str, memory: u64) -> Vec<String> {
    let gone = store.insert(object(path, &[], &[], 1), weight(memory, 0));
    let path = |key: &PrimaryKey| key.path_and_query().to_owned();
    gone.iter().map(path).collect()
}

#[test]
fn the_hottest_are_those_found_most_often_among_those_that_rise() {
    let mut store = store(Budget {
        memory: u64::MAX,
        disk: 0,
    });
    let path = |n: usize| format!("/{n}");
    for n in 0..RISING.get() + 5 {
        keep(&mut store, &path(n), 10);
        found(&mut store, &path(n), "");
    }
    for times in 0..3 {
        found(&mut store, &path(7 + times), "");
        found(&mut store, &path(9), "");
    }
    let hottest = store.hottest(Moment::from_millis(0), 2);
    let row = |kept: &Kept| (kept.key.path_and_query().to_owned(), kept.found);
    let rows: Vec<_> = hottest.iter().map(row).collect();
    assert_eq!(rows[0], ("/9".to_owned(), 5));
    assert_eq!((rows.len(), rows[1].1), (2, 2));
    let all = store.hottest(Moment::from_millis(0), usize::MAX);
    assert_eq!(all.len(), RISING.get());
}

#[test]
fn of_those_asked_for_as_often_the_one_asked_for_longest_ago_goes() {
    let mut store = store(BUDGET);
    for path in ["/a", "/b", "/c"] {
        assert!(keep(&mut store, path, 1_900).is_empty());
    }
    assert!(found(&mut store, "/a", "").is_some());
    assert_eq!(keep(&mut store, "/d", 1_900), ["/b"]);
    assert_eq!(found(&mut store, "/b", ""), None);
    assert_eq!(store.evictions(), 1);
}

#[test]
fn a_scan_does_not_push_out_what_is_asked_for_now_and_then() {
    let mut store = store(Budget {
        memory: 1 << 20,
        disk: 0,
    });
    let liked = |n: u32| format!("/liked/{n}");
    for n in 0..100 {
        keep(&mut store, &liked(n), 4_000);
        found(&mut store, &liked(n), "");
    }
    // By recency all would go: between two uses of one come more strangers than there is room for.
    for n in 0..4_000 {
        keep(&mut store, &format!("/scan/{n}"), 4_000);
        if n % 4 == 0 {
            found(&mut store, &liked(n / 4 % 100), "");
        }
    }
    assert!(store.len() < 250);
    let kept = (0..100).filter(|n| found(&mut store, &liked(*n), "").is_some());
    let kept = kept.count();
    assert!(kept > 95, "{kept} of 100");
}

#[test]
fn a_large_page_goes_before_many_small_ones_asked_for_as_often() {
    let mut store = store(Budget {
        memory: 100_000,
        disk: 0,
    });
    keep(&mut store, "/large", 60_000);
    let small = |n: u32| format!("/small/{n}");
    for n in 0..20 {
        keep(&mut store, &small(n), 1_500);
    }
    assert_eq!(found(&mut store, "/large", ""), None);
    assert!((0..20).all(|n| found(&mut store, &small(n), "").is_some()));
}

#[test]
fn room_on_disk_is_given_back_by_those_who_have_it() {
    let mut store = store(BUDGET);
    for n in 0..5_u32 {
        store.insert(object(&format!("/small/{n}"), &[], &[], n), weight(10, 0));
    }
    for n in 0..4_u32 {
        store.insert(
            object(&format!("/file/{n}"), &[], &[], n),
            weight(10, 20_000),
        );
    }
    assert!((0..5).all(|n| found(&mut store, &format!("/small/{n}"), "").is_some()));
    assert_eq!((store.used().disk, store.len()), (40_000, 7));
}

#[test]
fn the_same_seed_lets_the_same_go() {
    let run = |seed| {
        let mut store = Store::new(
            Budget {
                memory: 1 << 18,
                disk: 0,
            },
            Generator::from_seed(seed),
        );
        let gone = |n: u32| keep(&mut store, &format!("/{n}"), u64::from(n % 7) * 500);
        (0..500).flat_map(gone).collect::<Vec<_>>()
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn one_variant_goes_without_the_others() {
    let mut store = store(BUDGET);
    let vary = [("vary", "accept-encoding")];
    let gzip = object("/v", &vary, &[("accept-encoding", "gzip")], 1);
    let br = object("/v", &vary, &[("accept-encoding", "br")], 2);
    store.insert(Arc::clone(&gzip), weight(10, 0));
    store.insert(Arc::clone(&br), weight(10, 0));
    store.remove_variant(&gzip);
    assert_eq!(found(&mut store, "/v", "gzip"), None);
    assert_eq!(found(&mut store, "/v", "br"), Some(2));
    store.remove_variant(&gzip);
    store.remove_variant(&br);
    assert!(store.is_empty() && store.used() == Weight::default());
}

#[test]
fn an_answer_that_forgot_vary_is_the_last_choice() {
    let mut store = store(BUDGET);
    let vary = [("vary", "accept-encoding")];
    let gzip = [("accept-encoding", "gzip")];
    store.insert(object("/v", &vary, &gzip, 1), weight(10, 0));
    store.insert(object("/v", &[], &[], 2), weight(10, 0));
    assert_eq!(found(&mut store, "/v", "gzip"), Some(1), "9111 4.1");
    assert_eq!(found(&mut store, "/v", "br"), Some(2));
}

#[test]
fn what_exceeds_the_whole_budget_is_not_kept() {
    let mut store = store(BUDGET);
    store.insert(object("/small", &[], &[], 1), weight(10, 0));
    store.insert(object("/huge", &[], &[], 1), weight(10, 0));
    let gone = store.insert(object("/huge", &[], &[], 2), weight(0, 60_000));
    assert_eq!(gone.len(), 1);
    assert!(gone[0].path_and_query() == "/huge");
    assert_eq!(found(&mut store, "/small", ""), Some(1));
    assert_eq!(found(&mut store, "/huge", ""), None);
    assert!(store.used().disk <= BUDGET.disk);
}

#[test]
fn keeps_one_object_per_variant_and_a_bounded_number() {
    let mut store = store(BUDGET);
    let vary = [("vary", "accept-encoding")];
    store.insert(
        object("/v", &vary, &[("accept-encoding", "gzip")], 1),
        weight(10, 0),
    );
    store.insert(
        object("/v", &vary, &[("accept-encoding", "br")], 2),
        weight(10, 0),
    );
    store.insert(
        object("/v", &vary, &[("accept-encoding", "gzip")], 3),
        weight(10, 0),
    );
    assert_eq!(found(&mut store, "/v", "gzip"), Some(3));
    assert_eq!(found(&mut store, "/v", "br"), Some(2));
    assert_eq!(found(&mut store, "/v", "zstd"), None);
    for n in 10..30 {
        let coding = format!("c{n}");
        let request = [("accept-encoding", coding.as_str())];
        store.insert(object("/v", &vary, &request, n), weight(10, 0));
    }
    assert_eq!(store.entries[0].variants().len(), VARIANTS_MAX);
    let one = store.used().memory;
    assert!(store.remove(&object("/v", &[], &[], 0).key));
    assert!(
        one > 0 && store.used() == Weight::default(),
        "all weight is given back"
    );
}

#[test]
fn a_url_goes_with_the_last_of_its_variants() {
    let mut store = store(BUDGET);
    let vary = [("vary", "accept-encoding")];
    for (n, coding) in (1..).zip(["gzip", "br", "zstd"]) {
        let object = object("/v", &vary, &[("accept-encoding", coding)], n);
        store.insert(object, weight(10, 10));
    }
    let key = object("/v", &[], &[], 0).key.clone();
    let some = store.purge(&key, |object| match object.body {
        2 => Fate::Spared,
        _ => Fate::Gone,
    });
    assert_eq!((some.tally.gone, some.gone), (2, false));
    assert_eq!(found(&mut store, "/v", "br"), Some(2));
    let rest = store.purge(&key, |_| Fate::Gone);
    assert_eq!((rest.tally.gone, rest.gone, rest.key), (1, true, Some(key)));
    assert!(store.is_empty() && store.used() == Weight::default());
}

#[test]
fn all_variants_of_a_url_go_at_once() {
    let mut store = store(BUDGET);
    let vary = [("vary", "accept-encoding")];
    for (n, coding) in (1..).zip(["gzip", "br"]) {
        let object = object("/v", &vary, &[("accept-encoding", coding)], n);
        store.insert(object, weight(10, 10));
    }
    let key = object("/v", &[], &[], 0).key.clone();
    let gone = store.purge_at(0, |_| Fate::Gone);
    assert_eq!((gone.tally.gone, gone.gone, gone.key), (2, true, Some(key)));
    assert!(store.is_empty() && store.used() == Weight::default());
}
