//! One membership per level: in which cluster this node is, and whether another is better.
//!
//! Every node is in exactly one cluster at each level. Level 0 is the world, with the id zero, and
//! needs no decision; level `l` above has a threshold, and its clusters are sets of nodes that find
//! each other within it. A node starts alone at every level and moves by what it hears: headers
//! say which clusters there are, round trips how far their members are. Decisions are pure
//! functions of [`View`]s: [`judge`] says whether a cluster is near enough, [`choose`] which is
//! better, [`split`] when to leave. Who is asked and when is the façade's (`levels`).
//!
//! A node that has nobody inside a threshold stays a cluster of one at that level and lives at the
//! next: its lookups pass through it at no cost, and `nodes` of that level fills up from outside,
//! nearest first. Widening the threshold instead would make it everybody else's far member
//! (docs/adr/0012).

pub mod choose;
pub mod judge;
pub mod split;

use std::collections::BTreeSet;
use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, NodeId};
use common::rng::Generator;

use super::routing::Table;

/// First time between two looks at the own membership; doubled with each until the configured one.
const LOOK_FIRST: Duration = Duration::from_millis(400);

/// Looks of a node that has just changed, or saw a neighbour change, begin again from here.
const LOOKS_AGAIN: u32 = 2;

/// A cluster in which so many were known is not returned to for a while: sizes are estimates, and of two
/// that are about as large now the one and now the other seems larger.
const NO_RETURN: usize = 4;

/// What this node knows of one cluster at one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// Its id.
    pub cluster: ClusterId,
    /// Its members, by the median of what they say.
    pub size: u32,
    /// Since it was founded, by the longest its members say.
    pub age: Duration,
    /// Members measured.
    pub measured: u32,
    /// Of those, the ones under the threshold.
    pub near: u32,
}

/// Why a node is in the cluster it is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Moved {
    /// It started, alone.
    Founded,
    /// The cluster was larger.
    Larger,
    /// The cluster was as large and its id lower.
    LowerId,
    /// The old one's members had become far, and this one's are near.
    Nearer,
    /// The old one's members had become far, and nobody else is near.
    Split,
}

impl Moved {
    /// Every reason, for metrics.
    pub const ALL: [Self; 5] = [
        Self::Founded,
        Self::Larger,
        Self::LowerId,
        Self::Nearer,
        Self::Split,
    ];

    /// The word for logs, state and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Founded => "founded",
            Self::Larger => "larger",
            Self::LowerId => "lower_id",
            Self::Nearer => "nearer",
            Self::Split => "split",
        }
    }
}

/// Why a node stayed at its last look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kept {
    /// It has not looked yet.
    Unlooked,
    /// It knows of no other cluster.
    NoOther,
    /// The others' members are too far.
    OthersFar,
    /// The near ones are smaller, or not enough larger.
    OthersSmaller,
    /// A better one is being measured.
    Trying,
    /// A better one turned out too far when measured.
    TrialFar,
}

impl Kept {
    /// The word for logs and state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unlooked => "unlooked",
            Self::NoOther => "no_other",
            Self::OthersFar => "others_far",
            Self::OthersSmaller => "others_smaller",
            Self::Trying => "trying",
            Self::TrialFar => "trial_far",
        }
    }
}

/// What a look comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Nothing changes.
    Stay(Kept),
    /// This one is better; measure it if it is not sure yet.
    Move(Moved, View),
    /// Start anew, alone.
    Alone,
}

/// What to do about the membership, from what is known of the own cluster and of `others`, except
/// the `rejected` ones.
#[must_use]
pub fn decide(own: &View, others: &[View], rejected: &BTreeSet<ClusterId>) -> Decision {
    let open = || {
        others
            .iter()
            .filter(|view| !rejected.contains(&view.cluster))
    };
    let acceptable = || open().filter(|view| judge::acceptable(view));
    match split::leave(own, acceptable()) {
        Some((_, None)) => return Decision::Alone,
        Some((why, Some(view))) => return Decision::Move(why, *view),
        None => {}
    }
    let better = acceptable().filter_map(|view| Some((choose::prefers(own, view)?, view)));
    let best = better.max_by_key(|(_, view)| (view.size, std::cmp::Reverse(view.cluster)));
    if let Some((why, view)) = best {
        return Decision::Move(why, *view);
    }
    Decision::Stay(if others.is_empty() {
        Kept::NoOther
    } else if acceptable().next().is_some() {
        Kept::OthersSmaller
    } else {
        Kept::OthersFar
    })
}

/// A better cluster being measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trial {
    /// Which.
    pub cluster: ClusterId,
    /// Why it is better.
    pub why: Moved,
    /// Walks through it still under way.
    pub walks: u8,
}

/// The membership at one level above the world.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Largest round trip to a near member.
    pub threshold: Duration,
    /// The cluster.
    pub cluster: ClusterId,
    /// When it was founded.
    pub founded: Moment,
    /// Its members that are contacts.
    pub table: Table,
    /// Estimated members, this node included.
    pub size: u32,
    /// Why this node is in it.
    pub moved: Moved,
    /// Why it stayed at its last look.
    pub kept: Kept,
    /// Changes so far.
    pub changes: u64,
    /// The better one being measured.
    pub trial: Option<Trial>,
    /// Clusters found too far when measured, or left a moment ago, until the next round of rejections.
    pub rejected: BTreeSet<ClusterId>,
    /// When to look next.
    pub due: Option<Moment>,
    looks: u32,
    own: NodeId,
    width: usize,
}

impl Membership {
    /// Alone in a new cluster.
    #[must_use]
    pub fn new(
        threshold: Duration,
        (own, width): (NodeId, usize),
        rng: &mut Generator,
        now: Moment,
    ) -> Self {
        Self {
            threshold,
            cluster: ClusterId::new(rng.u64()),
            founded: now,
            table: Table::new(own, width),
            size: 1,
            moved: Moved::Founded,
            kept: Kept::Unlooked,
            changes: 0,
            trial: None,
            rejected: BTreeSet::new(),
            due: None,
            looks: 0,
            own,
            width,
        }
    }

    /// Arms the next look, `every` apart in the long run.
    pub fn looked(&mut self, now: Moment, every: Duration, rng: &mut Generator) {
        let wait = LOOK_FIRST
            .saturating_mul(1 << self.looks.min(16))
            .min(every);
        self.looks = self.looks.saturating_add(1);
        if wait >= every {
            // What was too far once may have moved: it gets another chance now and then.
            self.rejected.clear();
        }
        self.due = Some(now + wait - wait / 4 + rng.jitter(wait / 2));
    }

    /// Something changed nearby: looks again soon, and often for a while.
    pub fn look_soon(&mut self, now: Moment, rng: &mut Generator) {
        self.looks = self.looks.min(LOOKS_AGAIN);
        let soon = now + LOOK_FIRST + rng.jitter(LOOK_FIRST * 2);
        self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
    }

    /// Is in `cluster` from now on, founded `age` ago, its contacts still to be entered.
    pub fn enter(&mut self, now: Moment, (cluster, age): (ClusterId, Duration), why: Moved) {
        if self.table.len() >= NO_RETURN {
            self.rejected.insert(self.cluster);
        }
        self.cluster = cluster;
        self.founded = now - age;
        self.table = Table::new(self.own, self.width);
        self.size = 1;
        self.moved = why;
        self.changes += 1;
        self.trial = None;
        self.looks = self.looks.min(LOOKS_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(id: u8, size: u32, near: u32) -> View {
        View {
            cluster: ClusterId::new(u64::from(id)),
            size,
            age: Duration::ZERO,
            measured: 10,
            near,
        }
    }

    #[test]
    fn each_outcome_of_a_look_has_its_reason() {
        let none = BTreeSet::new();
        let own = view(5, 10, 10);
        let stays = |kept| Decision::Stay(kept);
        assert_eq!(decide(&own, &[], &none), stays(Kept::NoOther));
        let far = view(1, 99, 7);
        assert_eq!(decide(&own, &[far], &none), stays(Kept::OthersFar));
        let small = view(1, 9, 10);
        assert_eq!(
            decide(&own, &[far, small], &none),
            stays(Kept::OthersSmaller)
        );
        let (large, larger) = (view(9, 20, 8), view(8, 30, 8));
        let best = decide(&own, &[large, far, larger, small], &none);
        assert_eq!(best, Decision::Move(Moved::Larger, larger));
        let rejected = BTreeSet::from([larger.cluster]);
        let next = decide(&own, &[large, larger], &rejected);
        assert_eq!(next, Decision::Move(Moved::Larger, large));
        let twin = view(4, 10, 10);
        assert_eq!(
            decide(&own, &[twin], &none),
            Decision::Move(Moved::LowerId, twin)
        );
        let gone = view(5, 10, 4);
        assert_eq!(
            decide(&gone, &[small], &none),
            Decision::Move(Moved::Nearer, small)
        );
        assert_eq!(decide(&gone, &[far], &none), Decision::Alone);
    }

    #[test]
    fn looks_seldom_in_the_long_run_and_often_after_a_change() {
        let mut rng = Generator::from_seed(1);
        let every = Duration::from_secs(300);
        let mut now = Moment::ZERO;
        let own = (NodeId::ZERO, 8);
        let mut one = Membership::new(Duration::from_millis(20), own, &mut rng, now);
        let mut looks = 0;
        while now < Moment::from_millis(1_800_000) {
            one.looked(now, every, &mut rng);
            now = one.due.unwrap();
            looks += 1;
        }
        assert!((13..=18).contains(&looks), "{looks} looks in half an hour");
        one.look_soon(now, &mut rng);
        assert!(one.due.unwrap() < now + Duration::from_secs(2));
    }
}
