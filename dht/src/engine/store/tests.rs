//! Each bound of the store, exceeded.

use super::*;

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1_000)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn key(n: u8) -> Key {
    Key::from_bytes([n; 20])
}

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 20])
}

fn store(change: impl FnOnce(&mut StoreConfig)) -> Store {
    let mut config = StoreConfig::default();
    change(&mut config);
    Store::new(config)
}

fn publishers(store: &Store, now: Moment, key: Key) -> Vec<NodeId> {
    store
        .values(now, key, None)
        .into_iter()
        .map(|value| value.publisher)
        .collect()
}

#[test]
fn returns_the_longest_remaining_first_and_forgets_at_the_end() {
    let mut store = store(|_| {});
    store
        .put(at(0), key(1), node(1), b"short", secs(10))
        .unwrap();
    store
        .put(at(0), key(1), node(2), b"long", secs(60))
        .unwrap();
    assert_eq!(publishers(&store, at(1), key(1)), [node(2), node(1)]);
    assert_eq!(store.values(at(4), key(1), Some(node(2)))[0].ttl, secs(6));
    assert_eq!(publishers(&store, at(10), key(1)), [node(2)]);
    store.expire(at(60));
    assert!(store.is_empty() && store.bytes() == 0 && store.keys() == 0);
}

#[test]
fn a_put_by_the_same_publisher_replaces() {
    let mut store = store(|_| {});
    store.put(at(0), key(1), node(1), b"old", secs(60)).unwrap();
    store.put(at(0), key(1), node(1), b"new", secs(5)).unwrap();
    let values = store.values(at(0), key(1), None);
    assert_eq!(values.len(), 1);
    assert_eq!(
        (values[0].bytes.as_slice(), values[0].ttl),
        (&b"new"[..], secs(5))
    );
    assert_eq!(store.next_end(), Some(at(5)));
}

#[test]
fn refuses_what_is_no_value() {
    let mut store = store(|_| {});
    let long = [0; VALUE_MAX + 1];
    let put = store.put(at(0), key(1), node(1), &long, secs(1));
    assert_eq!(put, Err(Refusal::ValueTooLong));
    let put = store.put(at(0), key(1), node(1), b"", Duration::ZERO);
    assert_eq!(put, Err(Refusal::TtlZero));
}

#[test]
fn caps_the_time_a_value_is_held() {
    let mut store = store(|c| c.ttl_max = secs(30));
    store
        .put(at(0), key(1), node(1), b"v", Duration::MAX)
        .unwrap();
    assert_eq!(store.next_end(), Some(at(30)));
}

#[test]
fn a_full_key_takes_only_what_lasts_longer_than_its_shortest() {
    let mut store = store(|c| c.values_per_key = 2);
    store.put(at(0), key(1), node(1), b"a", secs(10)).unwrap();
    store.put(at(0), key(1), node(2), b"b", secs(20)).unwrap();
    let put = store.put(at(0), key(1), node(3), b"c", secs(10));
    assert_eq!(put, Err(Refusal::KeyFull));
    store.put(at(0), key(1), node(3), b"c", secs(11)).unwrap();
    assert_eq!(publishers(&store, at(0), key(1)), [node(2), node(3)]);
}

#[test]
fn a_full_store_takes_only_what_lasts_longer_than_its_shortest() {
    let mut store = store(|c| c.values = 2);
    store.put(at(0), key(1), node(1), b"a", secs(10)).unwrap();
    store.put(at(0), key(2), node(2), b"b", secs(20)).unwrap();
    let put = store.put(at(0), key(3), node(3), b"c", secs(5));
    assert_eq!(put, Err(Refusal::StoreFull));
    store.put(at(0), key(3), node(3), b"c", secs(15)).unwrap();
    assert!(publishers(&store, at(0), key(1)).is_empty());
    assert_eq!(store.len(), 2);
}

#[test]
fn bytes_are_bounded_and_a_refused_replacement_keeps_the_old_value() {
    let mut store = store(|c| c.bytes = 100);
    store
        .put(at(0), key(1), node(1), &[0; 60], secs(60))
        .unwrap();
    store
        .put(at(0), key(2), node(2), &[0; 40], secs(60))
        .unwrap();
    let put = store.put(at(0), key(2), node(2), &[0; 80], secs(30));
    assert_eq!(put, Err(Refusal::StoreFull));
    assert_eq!(store.values(at(0), key(2), None)[0].bytes.len(), 40);
    assert_eq!(store.bytes(), 100);
}

#[test]
fn one_publisher_cannot_fill_the_store() {
    let mut store = store(|c| c.values_per_publisher = 1);
    store.put(at(0), key(1), node(1), b"a", secs(10)).unwrap();
    let put = store.put(at(0), key(2), node(1), b"b", secs(99));
    assert_eq!(put, Err(Refusal::PublisherFull));
    store
        .put(at(0), key(1), node(1), b"renewed", secs(10))
        .unwrap();
    store
        .put(at(0), key(2), node(2), b"other", secs(10))
        .unwrap();
}

#[test]
fn withdrawing_frees_everything() {
    let mut store = store(|_| {});
    store.put(at(0), key(1), node(1), b"a", secs(10)).unwrap();
    assert!(!store.withdraw(key(1), node(2)));
    assert!(store.withdraw(key(1), node(1)));
    assert!(store.is_empty() && store.bytes() == 0);
}
