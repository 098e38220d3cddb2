//! Decisions and reports over one database: nothing is lost between them.

use std::future::poll_fn;
use std::task::Poll;

use common::rng::Generator;

use super::*;
use crate::controller::engine::{EventKind, EventRow};

/// For anything that is to happen.
const DEADLINE: Duration = Duration::from_secs(20);

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Generator::from_seed(seed))
}

async fn office(url: &str, blobs: &std::path::Path) -> Arc<Office> {
    let store = Store::open(url).await.unwrap();
    let blobs = Blobs::open(blobs).unwrap();
    Office::open(Desk::default(), store, blobs, key(1), Vec::new())
}

/// An event about a node, with any words.
fn event(detail: &str) -> Row {
    Row::Event(EventRow {
        node: Some(key(9).public()),
        kind: EventKind::Held,
        detail: detail.to_owned(),
    })
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let held = tokio::time::timeout(DEADLINE, wait).await;
    assert!(held.is_ok(), "not within {DEADLINE:?}");
}

#[tokio::test]
async fn a_decision_is_carried_out_whole_though_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let office = office(&Store::url(dir.path()), dir.path()).await;
    let node = key(9).public();
    let decision = office.decide(|desk| desk.enrol(node, "reef1", "eu"));
    let mut decision = Box::pin(decision);
    // Looked at once, then dropped: the client went away while it was written.
    poll_fn(|context| {
        assert!(decision.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(decision);
    until(async || office.desk().nodes().contains_key(&node)).await;
    let events = office.store.events(0, 10).await.unwrap();
    assert_eq!(events.len(), 1);
}

/// Decisions and reports at the same time, each with an event.
pub(in crate::controller::shell) async fn mixed(url: &str) {
    let dir = tempfile::tempdir().unwrap();
    let office = office(url, dir.path()).await;
    let before = office.store.events(0, 1_000).await.unwrap().len();
    let reports = Arc::clone(&office);
    let reports = tokio::spawn(async move {
        for _ in 0..100 {
            reports.write_soon(vec![event("why")]).await;
            tokio::task::yield_now().await;
        }
    });
    for seed in 100..150 {
        let name = format!("reef{seed}");
        let decided = office.decide(|desk| desk.enrol(key(seed).public(), &name, "eu"));
        decided.await.unwrap();
    }
    reports.await.unwrap();
    let all = before + 150;
    until(async || office.store.events(0, 1_000).await.unwrap().len() == all).await;
}

#[tokio::test]
async fn events_of_decisions_and_reports_have_numbers_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    mixed(&Store::url(dir.path())).await;
}

#[tokio::test]
async fn what_waits_to_be_written_waits_for_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let office = office(&Store::url(dir.path()), dir.path()).await;
    let turn = office.turn.lock().await;
    office.write_soon(vec![event("why")]).await;
    let written = async || !office.store.events(0, 1).await.unwrap().is_empty();
    let early = tokio::time::timeout(Duration::from_millis(200), until(written)).await;
    assert!(early.is_err(), "written while somebody else decides");
    drop(turn);
    until(written).await;
}

#[tokio::test]
async fn one_row_that_cannot_be_written_takes_no_other_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let office = office(&Store::url(dir.path()), dir.path()).await;
    office.store.refuse_details("bad").await;
    let rows = ["one", "bad", "two"].map(event);
    office.write_soon(rows.to_vec()).await;
    let written = async || office.store.events(0, 10).await.unwrap().len() == 2;
    until(written).await;
    // A database that takes nothing is not asked for ever.
    let mut rows = vec![event("bad"); GIVE_UP];
    rows.push(event("three"));
    assert_eq!(write_each(&office, &rows).await, GIVE_UP + 1);
}
