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
        level: 0,
    }
}

fn values(values: Vec<Value>) -> Say {
    let held = u8::try_from(values.len()).unwrap();
    Say::Values {
        values,
        held,
        loaded: false,
        full: false,
        own: false,
        contacts: Vec::<Contact>::new(),
    }
}

const KEY: Key = Key::from_bytes([7; 20]);

fn task(goal: Goal, others: u16) -> Task {
    let lead = |n| Lead {
        entry: entry(n),
        level: 0,
        rtt: None,
        via: None,
    };
    let start = (1..=others).map(lead);
    Task::new(
        &LookupConfig::default(),
        (KEY, Span::WORLD),
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
        Step::Ask(to, ..) => Some(to.id),
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
    let first = asked(&steps(&mut task));
    assert_eq!(first.len(), 1, "the step that splices goes first");
    task.answered(first[0], &values(vec![]));
    let to = asked(&steps(&mut task));
    assert_eq!(to.len(), 2);
    task.answered(to[0], &values(vec![value(5)]));
    let first = Report::Values {
        values: vec![value(5)],
        last: false,
    };
    assert_eq!(steps(&mut task), [Step::Report(first)]);
    // What is under way may add to it.
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
    for _ in 0..2 {
        let first = asked(&task.clone().poll().into_iter().collect::<Vec<_>>());
        task.poll();
        task.answered(first[0], &values(vec![]));
    }
    let mut order = [entry(0), entry(1), entry(2)];
    order.sort_by_key(|e| e.id.distance(&KEY));
    let place = |task: &mut Task| match &steps(task)[..] {
        [.., Step::Ask(to, _, ask)] => (to.id, ask.kind()),
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
    assert_eq!(task.places(), [order[1], order[2]]);
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
        [Step::AskSelf(Ask::Offer { .. })]
    ));
    task.answered(entry(0).id, &values(vec![]));
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
    let mut get = task(Goal::Get { want: 9 }, 9);
    steps(&mut get);
    get.answered(entry(0).id, &values(vec![]));
    let first = asked(&steps(&mut get))[0];
    get.answered(first, &values(vec![]));
    let second = asked(&steps(&mut get))[0];
    get.answered(second, &values(vec![value(5)]));
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

fn said(held: u8, loaded: bool, full: bool) -> Say {
    Say::Values {
        values: Vec::new(),
        held,
        loaded,
        full,
        own: false,
        contacts: Vec::new(),
    }
}

fn put() -> Goal {
    Goal::Put {
        value: vec![9],
        ttl: Duration::from_secs(20),
    }
}

/// The forward phase of a put whose nodes all say `say`: the nodes offered to and the placements.
fn forward(say: &Say) -> (Vec<NodeId>, Vec<NodeId>) {
    let mut task = task(put(), 9);
    let (mut offered, mut placed) = (Vec::new(), Vec::new());
    while let Some(step) = task.poll() {
        match step {
            Step::AskSelf(Ask::Offer { .. }) => task.answered(entry(0).id, &values(vec![])),
            Step::Ask(to, _, Ask::Offer { .. }) => {
                offered.push(to.id);
                task.answered(to.id, say);
            }
            Step::Ask(to, _, Ask::Put { .. }) => {
                placed.push(to.id);
                task.answered(to.id, &Say::Stored);
            }
            Step::AskSelf(_) => {
                placed.push(entry(0).id);
                task.answered(entry(0).id, &Say::Stored);
            }
            Step::Ask(..) | Step::Report(_) | Step::Over => {}
        }
    }
    (offered, placed)
}

/// The trap of secondary sources, which say "full or loaded": the paper says both.
#[test]
fn a_put_stops_at_a_node_that_is_full_and_loaded_and_at_no_other() {
    let closest = {
        let mut all: Vec<_> = (0..10).map(entry).collect();
        all.sort_by_key(|e| e.id.distance(&KEY));
        all[0].id
    };
    for say in [
        said(4, false, true),
        said(1, true, false),
        said(4, false, false),
    ] {
        let (offered, placed) = forward(&say);
        assert!(
            offered.contains(&closest) || closest == entry(0).id,
            "{say:?}"
        );
        assert_eq!(placed[0], closest, "{say:?}");
    }
    let (offered, placed) = forward(&said(4, true, true));
    assert_eq!(offered.len(), 1);
    assert_eq!(placed, [entry(0).id], "only this node itself takes it");
}

#[test]
fn the_reverse_phase_stores_nearest_first_and_pops_outward() {
    let mut task = task(put(), 3);
    let (mut refused, mut places) = (Vec::new(), 0);
    while let Some(step) = task.poll() {
        match step {
            Step::AskSelf(Ask::Offer { .. }) => task.answered(entry(0).id, &values(vec![])),
            Step::Ask(to, _, Ask::Offer { .. }) => task.answered(to.id, &said(0, false, false)),
            Step::Ask(to, _, Ask::Put { .. }) if refused.len() < 2 => {
                refused.push(to.id.distance(&KEY));
                task.answered(to.id, &Say::Refused(Refusal::Loaded));
            }
            Step::Ask(to, _, Ask::Put { .. }) => {
                assert!(refused.iter().all(|d| *d < to.id.distance(&KEY)));
                places += 1;
                task.answered(to.id, &Say::Stored);
            }
            Step::AskSelf(_) => {
                places += 1;
                task.answered(entry(0).id, &Say::Stored);
            }
            Step::Report(report) => assert_eq!(report, Report::Stored),
            Step::Over | Step::Ask(..) => {}
        }
    }
    assert_eq!((refused.len(), places), (2, 2));
}

#[test]
fn a_get_restricted_to_a_level_ends_there() {
    let span = Span {
        innermost: 2,
        outermost: 1,
    };
    let lead = |n: u16| Lead {
        entry: entry(n),
        level: u8::try_from(n % 3).unwrap(),
        rtt: None,
        via: None,
    };
    let config = LookupConfig::default();
    let goal = Goal::Get { want: 1 };
    let mut task = Task::new(
        &config,
        (KEY, span),
        entry(0),
        true,
        goal,
        (1..30).map(lead),
    );
    let mut levels = Vec::new();
    while let Some(step) = task.poll() {
        match step {
            Step::AskSelf(_) => task.answered(entry(0).id, &values(vec![])),
            Step::Ask(to, level, _) => {
                assert!((1..30).any(|n| entry(n) == to && n % 3 >= u16::from(level)));
                levels.push(level);
                task.answered(to.id, &values(vec![]));
            }
            Step::Report(report) => {
                let none = Report::Values {
                    values: Vec::new(),
                    last: true,
                };
                assert_eq!(report, none);
            }
            Step::Over => {}
        }
    }
    assert!(levels.contains(&2) && !levels.contains(&0));
    assert!(
        levels.is_sorted_by(|a, b| a >= b),
        "inside first: {levels:?}"
    );
}

#[test]
fn a_claim_is_decided_outside_and_left_inside_afterwards() {
    let span = Span {
        innermost: 1,
        outermost: 0,
    };
    let lead = |n: u16| Lead {
        entry: entry(n),
        level: u8::from(n < 4),
        rtt: None,
        via: None,
    };
    let config = LookupConfig::default();
    let mut task = Task::new(
        &config,
        (KEY, span),
        entry(0),
        false,
        claim(),
        (1..30).map(lead),
    );
    let mut writes = Vec::new();
    while let Some(step) = task.poll() {
        match step {
            Step::Ask(to, _, Ask::Get { .. }) => task.answered(to.id, &values(vec![])),
            Step::Ask(to, level, Ask::Claim { .. }) => {
                writes.push(("claim", level));
                task.answered(to.id, &Say::Granted);
            }
            Step::Ask(to, level, Ask::Put { .. }) => {
                writes.push(("put", level));
                task.answered(to.id, &Say::Stored);
            }
            Step::Report(report) => {
                writes.push(("report", 0));
                assert_eq!(report, Report::Granted);
            }
            _ => {}
        }
    }
    assert_eq!(writes[..2], [("claim", 0), ("report", 0)]);
    assert!(writes.contains(&("claim", 1)) && writes.contains(&("put", 0)));
}
