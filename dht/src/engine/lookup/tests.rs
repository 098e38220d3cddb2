//! Tasks as input, expected steps.

use std::net::SocketAddr;

use common::ids::{Key, NodeId};

use super::*;
use crate::engine::config::LookupConfig;
use crate::engine::message::{Contact, Say};

fn entry(n: u16) -> Entry {
    let addr = SocketAddr::from(([192, 0, 2, 1], n));
    Entry {
        id: NodeId::of(addr),
        addr,
    }
}

fn value(publisher: u16) -> Value {
    let ttl = Duration::from_secs(20);
    Value {
        bytes: vec![1],
        ttl,
        publisher: entry(publisher).id,
    }
}

fn values(values: Vec<Value>) -> Say {
    let held = u8::try_from(values.len()).unwrap();
    Say::Values {
        values,
        held,
        loaded: false,
        contacts: Vec::<Contact>::new(),
    }
}

const KEY: Key = Key::from_bytes([7; 20]);

fn task(goal: Goal, others: u16) -> Task {
    let start = (1..=others).map(entry);
    Task::new(
        &LookupConfig::default(),
        (KEY, 0),
        entry(0),
        true,
        goal,
        start,
    )
}

fn steps(task: &mut Task) -> Vec<Step> {
    std::iter::from_fn(|| task.poll()).collect()
}

fn claim() -> Goal {
    Goal::Claim {
        value: vec![9],
        ttl: Duration::from_secs(20),
    }
}

fn asked(steps: &[Step]) -> Vec<NodeId> {
    let to = |step: &Step| match step {
        Step::Ask(to, _) => Some(to.id),
        _ => None,
    };
    steps.iter().filter_map(to).collect()
}

#[test]
fn a_node_alone_finds_in_itself() {
    let mut task = task(Goal::Get { want: 1 }, 0);
    assert!(matches!(
        steps(&mut task)[..],
        [Step::AskSelf(Ask::Get { .. })]
    ));
    task.answered(entry(0).id, &values(vec![value(0)]));
    let found = Report::Values {
        values: vec![value(0)],
        last: true,
    };
    assert_eq!(steps(&mut task), [Step::Report(found), Step::Over]);
}

#[test]
fn a_get_reports_at_once_and_ends_when_it_has_enough() {
    let mut task = task(Goal::Get { want: 2 }, 3);
    steps(&mut task);
    task.answered(entry(0).id, &values(vec![]));
    let to = asked(&steps(&mut task));
    assert_eq!(to.len(), 3);
    task.answered(to[0], &values(vec![value(5)]));
    let first = Report::Values {
        values: vec![value(5)],
        last: false,
    };
    assert_eq!(steps(&mut task), [Step::Report(first)]);
    task.answered(to[1], &values(vec![value(5), value(6)]));
    let rest = Report::Values {
        values: vec![value(6)],
        last: true,
    };
    assert_eq!(steps(&mut task), [Step::Report(rest), Step::Over]);
}

#[test]
fn a_claim_ends_with_what_any_node_on_the_way_has_from_others() {
    let mut task = task(claim(), 3);
    steps(&mut task);
    task.answered(entry(0).id, &values(vec![value(0)]));
    let to = asked(&steps(&mut task));
    task.answered(to[0], &values(vec![value(0), value(5)]));
    let taken = Step::Report(Report::Taken(vec![value(5)]));
    assert_eq!(steps(&mut task), [taken, Step::Over]);
}

#[test]
fn a_claim_is_decided_at_one_node_and_copied_to_the_next() {
    let mut task = task(claim(), 2);
    steps(&mut task);
    task.answered(entry(0).id, &values(vec![]));
    for id in asked(&steps(&mut task)) {
        task.answered(id, &values(vec![]));
    }
    let mut order = [entry(0), entry(1), entry(2)];
    order.sort_by_key(|e| e.id.distance(&KEY));
    let place = |task: &mut Task| match &steps(task)[..] {
        [.., Step::Ask(to, ask)] => (to.id, ask.kind()),
        [.., Step::AskSelf(ask)] => (entry(0).id, ask.kind()),
        other => panic!("{other:?}"),
    };
    use crate::engine::message::Kind;
    assert_eq!(place(&mut task), (order[0].id, Kind::Claim));
    task.failed(order[0].id);
    assert_eq!(place(&mut task), (order[1].id, Kind::Claim));
    task.answered(order[1].id, &Say::Granted);
    assert_eq!(place(&mut task), (order[2].id, Kind::Put));
    task.answered(order[2].id, &Say::Stored);
    assert_eq!(steps(&mut task), [Step::Over]);
    assert_eq!(task.places(), [order[1].id, order[2].id]);
}

#[test]
fn a_put_that_nobody_takes_gives_the_reason() {
    let mut task = task(
        Goal::Put {
            value: vec![1],
            ttl: Duration::from_secs(1),
        },
        0,
    );
    assert!(matches!(
        steps(&mut task)[..],
        [Step::AskSelf(Ask::Put { .. })]
    ));
    task.answered(entry(0).id, &Say::Refused(Refusal::StoreFull));
    let refused = Step::Report(Report::Refused(Refusal::StoreFull));
    assert_eq!(steps(&mut task), [refused, Step::Over]);
}

#[test]
fn at_the_deadline_what_there_is_counts() {
    let mut get = task(Goal::Get { want: 9 }, 1);
    steps(&mut get);
    get.answered(entry(0).id, &values(vec![value(5)]));
    steps(&mut get);
    get.expire();
    let last = Report::Values {
        values: Vec::new(),
        last: true,
    };
    assert_eq!(steps(&mut get), [Step::Report(last), Step::Over]);

    let mut empty = task(Goal::Get { want: 9 }, 1);
    empty.expire();
    let refused = Report::Refused(Refusal::Deadline);
    assert_eq!(steps(&mut empty), [Step::Report(refused), Step::Over]);
}
