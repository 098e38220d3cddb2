//! A step for many nodes: who is ordered what, who is where it is to be, who is left out, who cannot go there; and how
//! many are changed at a time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::change::{Change, Terms, change, finished};
use super::refusal::Refusal;
use super::seen::{Arrival, NodeSeen, Wait};
use super::stand::Stand;
use super::{Daemons, Releases, Step};
use crate::engine::document::words::DaemonName;

/// Of nodes, at most one in so many is changed at a time, and at least one.
const SHARE: usize = 10;

/// Where nodes are to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// On to this step. Who is further stays there.
    Forth(Step),
    /// Back to this step, or from the step that the furthest of them is at to the one before. Who is not as far stays.
    Back(Option<Step>),
    /// The end: nothing of the old network is left in the order.
    Finish,
}

/// Why a node takes no part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// Nothing was ever ordered for it.
    NoOrder,
    /// It has no index, so it is in no network.
    NoIndex,
    /// It has not called for a while.
    Silent,
    /// Its operator holds it.
    Held,
}

impl LeftOut {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoOrder => "no_order",
            Self::NoIndex => "no_index",
            Self::Silent => "silent",
            Self::Held => "held",
        }
    }

    /// Why, for people, and what to do.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::NoOrder => "nothing was ordered for it yet",
            Self::NoIndex => "has no index: bring it to the release with `atoll node order`",
            Self::Silent => "has not called for a while: bring it after the others when it is back",
            Self::Held => "is held by its operator: bring it after the others with `atoll resume`",
        }
    }

    /// Whether the node will have to be brought after the others.
    #[must_use]
    pub const fn is_behind(self) -> bool {
        matches!(self, Self::Silent | Self::Held)
    }
}

/// What becomes of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lot {
    /// It is ordered something else.
    Move(Box<Change>),
    /// It was ordered so before.
    Already,
    /// It is beyond, and stays there.
    Beyond,
    /// It takes no part.
    LeftOut(LeftOut),
    /// It cannot go there.
    Refused(Refusal),
}

/// A node of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The node.
    pub node: NodeSeen,
    /// How far it is.
    pub from: Option<Step>,
    /// What becomes of it.
    pub lot: Lot,
}

/// How nodes are judged.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// What a step is made with.
    pub terms: Terms<'a>,
    /// Silent for so long, a node takes no part.
    pub silence: Duration,
    /// Whether a node goes on that has not come to where it was ordered, or that others may still need where it is.
    pub anyway: bool,
}

/// How far a node is, if it is in a network.
///
/// # Errors
/// It takes no part, or its order is none that a step makes.
pub fn stand<'a>(
    node: &'a NodeSeen,
    releases: &'a Releases,
) -> Result<(Stand<'a>, &'a Daemons), Lot> {
    let ordered = node
        .desired
        .as_ref()
        .ok_or(Lot::LeftOut(LeftOut::NoOrder))?;
    let stand = Stand::read(&ordered.daemons, releases).map_err(Lot::Refused)?;
    let stand = stand.ok_or(Lot::LeftOut(LeftOut::NoIndex))?;
    Ok((stand, &ordered.daemons))
}

/// Says for each node what becomes of it.
#[must_use]
pub fn plan(nodes: Vec<NodeSeen>, aim: Aim, rules: Rules<'_>) -> Vec<Planned> {
    let releases = rules.terms.releases;
    let step = |node: &NodeSeen| stand(node, releases).ok().map(|(stand, _)| stand.step);
    let furthest = nodes
        .iter()
        .filter(|node| away(node, rules).is_none())
        .filter_map(step)
        .max();
    let one = |node: NodeSeen| Planned {
        from: step(&node),
        lot: lot(&node, (aim, furthest), rules),
        node,
    };
    nodes.into_iter().map(one).collect()
}

/// Why a node cannot be ordered anything at the moment.
fn away(node: &NodeSeen, rules: Rules<'_>) -> Option<LeftOut> {
    let silent = node
        .seen_ms_ago
        .is_none_or(|ago| u128::from(ago) > rules.silence.as_millis());
    let held = node
        .observed
        .as_ref()
        .is_some_and(|said| said.held.is_some());
    match (silent, held) {
        (true, _) => Some(LeftOut::Silent),
        (false, true) => Some(LeftOut::Held),
        (false, false) => None,
    }
}

fn lot(node: &NodeSeen, (aim, furthest): (Aim, Option<Step>), rules: Rules<'_>) -> Lot {
    let (stand, daemons) = match stand(node, rules.terms.releases) {
        Ok(found) => found,
        Err(lot) => return lot,
    };
    if let Some(why) = away(node, rules) {
        return Lot::LeftOut(why);
    }
    let (to, beyond) = match aim {
        Aim::Forth(to) => (to, stand.step > to),
        Aim::Back(to) => {
            let before = furthest.and_then(Step::before);
            let to = to.or(before).unwrap_or(Step::Single);
            (to, stand.step < to)
        }
        Aim::Finish => (Step::Retired, stand.step == Step::Single),
    };
    if beyond {
        return Lot::Beyond;
    }
    let forth = !matches!(aim, Aim::Back(_)) && (stand.step < to || aim == Aim::Finish);
    let next = match aim {
        Aim::Finish => finished(daemons, &stand).ok_or(Refusal::Skips(stand.step, Step::Single)),
        Aim::Forth(_) | Aim::Back(_) => change(daemons, &stand, to, rules.terms),
    };
    let next = match next {
        Ok(next) => next,
        Err(reason) => return Lot::Refused(reason),
    };
    if next.daemons == *daemons {
        return Lot::Already;
    }
    match hindrance(node, &stand).filter(|_| forth && !rules.anyway) {
        Some(reason) => Lot::Refused(reason),
        None => Lot::Move(Box::new(next)),
    }
}

/// What speaks against going on from where a node is. What an old index does not say holds nobody back: its node
/// may have no pages to look at.
fn hindrance(node: &NodeSeen, stand: &Stand<'_>) -> Option<Refusal> {
    let left = (stand.step == Step::Drained).then_some(stand.old.0);
    match node.arrival(left) {
        Arrival::There => {}
        Arrival::OnItsWay(wait) => return Some(Refusal::NotThere(wait)),
        Arrival::FellBack(daemon) => return Some(Refusal::NotThere(Wait::Start(daemon))),
    }
    let leaving = node.leaving(stand.old.0)?;
    let count = leaving.straggler_count;
    match stand.step {
        Step::Dual | Step::Drained if leaving.left.is_none() && count > 0 => {
            Some(Refusal::Stragglers(leaving.stragglers.clone(), count))
        }
        // Whoever is in both has to have been heard of: what an index says in its first window is not all.
        Step::Dual if leaving.asked_per_ks.is_none() => Some(Refusal::Measuring),
        Step::Drained if leaving.left.is_none() => Some(Refusal::NotLeft),
        Step::Single | Step::Shadow | Step::Dual | Step::Drained | Step::Retired => None,
    }
}

/// The index that nobody at a node asks: the new one in its shadow, the old one once it is drained. It may be alone
/// in its network, and is not waited for.
#[must_use]
pub fn unasked<'a>(node: &'a NodeSeen, releases: &'a Releases) -> Option<&'a DaemonName> {
    let (stand, _) = stand(node, releases).ok()?;
    match stand.step {
        Step::Shadow => stand.new.map(|(name, _)| name),
        Step::Drained => Some(stand.old.0),
        Step::Single | Step::Dual | Step::Retired => None,
    }
}

/// The new index of a node that nobody asks yet.
#[must_use]
pub fn shadow<'a>(node: &'a NodeSeen, releases: &'a Releases) -> Option<&'a DaemonName> {
    let (stand, _) = stand(node, releases).ok()?;
    let new = stand.new.filter(|_| stand.step == Step::Shadow);
    new.map(|(name, _)| name)
}

/// How many of so many nodes are changed at a time.
#[must_use]
pub fn at_once(nodes: usize) -> usize {
    (nodes / SHARE).max(1)
}

/// The nodes in the order in which they are changed: those of a cluster are far from each other, so that of no
/// cluster many are changed at a time.
#[must_use]
pub fn in_turn<T>(nodes: Vec<T>, cluster: impl Fn(&T) -> String) -> VecDeque<T> {
    let mut clusters: BTreeMap<String, VecDeque<T>> = BTreeMap::new();
    for node in nodes {
        clusters.entry(cluster(&node)).or_default().push_back(node);
    }
    // Each of a cluster of n stands at one n-th after the one before it.
    let mut placed = Vec::new();
    for (nodes, first) in clusters.into_values().zip(1_u64..) {
        let count = nodes.len() as u64;
        let each = nodes.into_iter().zip(0_u64..);
        placed.extend(each.map(|(node, n)| ((n * 1_000_000 / count, first), node)));
    }
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, node)| node).collect()
}
