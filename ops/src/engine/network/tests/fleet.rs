//! Many nodes of which some are further than others: who is ordered what, who is left out, who holds whom.

use std::time::Duration;

use serde_json::{Value, json};

use super::{all, go, order, read, releases, successor};
use crate::engine::document::words::DaemonName;
use crate::engine::network::change::{Leave, Terms};
use crate::engine::network::plan::{Aim, LeftOut, Lot, Rules, in_turn, plan};
use crate::engine::network::refusal::Refusal;
use crate::engine::network::seen::{Arrival, NodeSeen, Wait};
use crate::engine::network::{Daemons, Step};

/// A node with an order that it runs.
fn node(name: &str, daemons: &Daemons) -> NodeSeen {
    let observed: serde_json::Map<String, Value> = daemons
        .iter()
        .filter(|(_, wanted)| wanted.state.as_str() == "run")
        .map(|(name, wanted)| {
            let is = json!({ "release": wanted.release, "doing": "up", "ready": true });
            (name.to_string(), is)
        })
        .collect();
    let node = json!({ "key": "abcd", "name": name, "cluster": "eu", "seen_ms_ago": 5,
        "desired": { "serial": 7, "daemons": daemons },
        "observed": { "in_force": 7, "settled": true, "daemons": observed } });
    serde_json::from_value(node).unwrap()
}

fn lots(nodes: Vec<NodeSeen>, aim: Aim) -> Vec<Lot> {
    let (releases, leave, successor) = (releases(), Leave::default(), successor());
    let terms = Terms {
        releases: &releases,
        successor: Some(&successor),
        leave: &leave,
    };
    let rules = Rules {
        terms,
        silence: Duration::from_secs(60),
        anyway: false,
    };
    plan(nodes, aim, rules)
        .into_iter()
        .map(|one| one.lot)
        .collect()
}

fn is_move(lot: &Lot) -> bool {
    matches!(lot, Lot::Move(_))
}

#[test]
fn forth_moves_who_is_not_there_and_leaves_who_is_beyond() {
    let all = all();
    let nodes = all.iter().map(|daemons| node("reef1", daemons)).collect();
    let lots = lots(nodes, Aim::Forth(Step::Dual));
    assert_eq!(
        lots[0],
        Lot::Refused(Refusal::Skips(Step::Single, Step::Dual))
    );
    assert!(is_move(&lots[1]));
    assert_eq!(lots[2..], [Lot::Already, Lot::Beyond, Lot::Beyond]);
}

#[test]
fn back_takes_the_furthest_a_step_back_and_leaves_the_others() {
    let all = all();
    let nodes: Vec<NodeSeen> = all[1..4]
        .iter()
        .map(|daemons| node("reef1", daemons))
        .collect();
    let back = lots(nodes.clone(), Aim::Back(None));
    assert_eq!(back[0], Lot::Beyond);
    assert_eq!(back[1], Lot::Already);
    assert!(is_move(&back[2]));
    let further = lots(nodes, Aim::Back(Some(Step::Shadow)));
    assert_eq!(
        further[2],
        Lot::Refused(Refusal::Skips(Step::Drained, Step::Shadow))
    );
}

#[test]
fn who_is_silent_held_or_in_no_network_is_left_out() {
    let here = node("reef1", &read(order()));
    let mut silent = here.clone();
    silent.seen_ms_ago = Some(61_000);
    let mut held = here.clone();
    held.observed.as_mut().unwrap().held = Some("disk".to_owned());
    let mut new = here.clone();
    new.desired = None;
    let mut names = order();
    names
        .as_object_mut()
        .unwrap()
        .retain(|name, _| name == "names");
    let names = node("ns1", &read(names));
    let lots = lots(
        vec![here, silent, held, new, names],
        Aim::Forth(Step::Shadow),
    );
    assert!(is_move(&lots[0]));
    let left_out = [
        LeftOut::Silent,
        LeftOut::Held,
        LeftOut::NoOrder,
        LeftOut::NoIndex,
    ];
    assert_eq!(lots[1..], left_out.map(Lot::LeftOut));
}

#[test]
fn a_node_goes_on_only_from_where_it_has_come_to_and_back_from_anywhere() {
    let shadow = go(&read(order()), Step::Shadow);
    let mut late = node("reef1", &shadow);
    let index = DaemonName::parse("index-b").unwrap();
    late.observed
        .as_mut()
        .unwrap()
        .daemons
        .get_mut(&index)
        .unwrap()
        .ready = Some(false);
    let wait = Wait::Ready(index.clone());
    let forth = lots(vec![late.clone()], Aim::Forth(Step::Dual));
    assert_eq!(forth, [Lot::Refused(Refusal::NotThere(wait.clone()))]);
    assert!(is_move(&lots(vec![late.clone()], Aim::Back(None))[0]));
    assert_eq!(late.arrival(None), Arrival::OnItsWay(wait));
    assert_eq!(
        late.arrival(Some(&index)),
        Arrival::There,
        "it may be the first of its network"
    );
}

#[test]
fn a_node_is_there_when_the_processes_are_those_of_its_order() {
    let mut seen = node("reef1", &read(order()));
    assert_eq!(seen.arrival(None), Arrival::There);
    let said = seen.observed.as_mut().unwrap();
    said.settled = Some(false);
    assert_eq!(seen.arrival(None), Arrival::OnItsWay(Wait::Change));
    let said = seen.observed.as_mut().unwrap();
    said.in_force = Some(6);
    said.refused = Some("not_kept".to_owned());
    let expected = Wait::Refusal("not_kept".to_owned());
    assert_eq!(seen.arrival(None), Arrival::OnItsWay(expected));
    let fell = json!({ "from": 7, "daemon": "proxy", "release": "3.0.0" });
    seen.observed.as_mut().unwrap().fallen = Some(serde_json::from_value(fell).unwrap());
    assert_eq!(
        seen.arrival(None),
        Arrival::FellBack(DaemonName::parse("proxy").unwrap())
    );
}

#[test]
fn nobody_goes_on_while_an_old_index_knows_stragglers_or_is_asked() {
    let all = all();
    let says = |daemons: &Daemons, asked: Option<u64>, stragglers: &[&str], left: Option<&str>| {
        let mut node = node("reef1", daemons);
        let leaving = json!({ "asked_per_ks": asked, "stragglers": stragglers,
            "straggler_count": stragglers.len(), "left": left });
        let index = DaemonName::parse("index").unwrap();
        let daemons = &mut node.observed.as_mut().unwrap().daemons;
        daemons.get_mut(&index).unwrap().leaving = Some(serde_json::from_value(leaving).unwrap());
        vec![node]
    };
    let (dual, drained) = (&all[2], &all[3]);
    let (drain, retire) = (Aim::Forth(Step::Drained), Aim::Forth(Step::Retired));
    let held = || Lot::Refused(Refusal::Stragglers(vec!["192.0.2.7:81".to_owned()], 1));
    let seven = ["192.0.2.7:81"];
    assert_eq!(
        lots(says(dual, None, &[], None), drain),
        [Lot::Refused(Refusal::Measuring)]
    );
    assert_eq!(lots(says(dual, Some(9), &seven, None), drain), [held()]);
    assert!(is_move(&lots(says(dual, Some(9), &[], None), drain)[0]));
    assert_eq!(lots(says(drained, Some(0), &seven, None), retire), [held()]);
    assert_eq!(
        lots(says(drained, Some(0), &[], None), retire),
        [Lot::Refused(Refusal::NotLeft)]
    );
    let mut left = says(drained, Some(0), &[], Some("quiet"));
    let index = DaemonName::parse("index").unwrap();
    let daemons = &mut left[0].observed.as_mut().unwrap().daemons;
    daemons.get_mut(&index).unwrap().ready = Some(false);
    assert!(
        is_move(&lots(left, retire)[0]),
        "nobody asks it, ready or not"
    );
    let back = lots(says(dual, Some(9), &seven, None), Aim::Back(None));
    assert!(is_move(&back[0]), "back is open to all");
}

#[test]
fn nodes_of_one_cluster_are_far_from_each_other_in_turn() {
    let nodes: Vec<&str> = vec!["a1", "a2", "a3", "a4", "b1", "b2"];
    let turn = in_turn(nodes, |node| node[..1].to_owned());
    assert_eq!(turn, ["a1", "b1", "a2", "a3", "b2", "a4"]);
}
