//! Moving between clusters: looking at the own membership, measuring a better cluster, switching.
//!
//! Decisions are [`cluster`](super::cluster)'s. This file gathers what they need from the peers
//! remembered, measures a better cluster by routing to random keys in it before a switch, and
//! carries the switch out. Neighbours see it in the next header and reconsider (avalanche merge).

use std::time::Duration;

use common::clock::Moment;
use common::ids::{ClusterId, Key};

use super::cluster::{Decision, Kept, Membership, Moved, Trial, View, decide, judge};
use super::liveness::Peer;
use super::lookup::{Goal, Span, Task};
use super::node::Node;
use super::output::Event;
use super::routing::Entry;
use super::work::Owner;

/// Walks to random keys through a cluster before a switch.
const TRIAL_WALKS: u8 = 2;

/// Time a trial's walks have.
const TRIAL_DEADLINE: Duration = Duration::from_secs(10);

/// A peer's word about its clusters counts for so long after it was last heard.
const WORD_COUNTS_FOR: Duration = Duration::from_secs(900);

/// Members of the new cluster told of a switch at once; the others hear of it.
const TOLD: usize = 16;

/// What one peer says of its cluster at a level, and how far it is.
struct Word {
    cluster: ClusterId,
    size: u32,
    age_s: u32,
    least: Option<Duration>,
}

impl Word {
    /// Nothing if it was not heard lately, or has failed.
    fn of(now: Moment, peer: &Peer, level: u8) -> Option<Self> {
        let heard = peer.heard.is_some_and(|at| now.since(at) < WORD_COUNTS_FOR);
        let info = peer.word(level)?;
        (heard && !peer.has_failed()).then(|| Self {
            cluster: info.cluster,
            size: info.size,
            age_s: info.age_s,
            least: peer.rtt.least(),
        })
    }
}

impl Node {
    /// Arms the first look at every level: the node has met somebody.
    pub(super) fn look_at_levels(&mut self, now: Moment) {
        let mut rng = self.rng.child();
        for membership in &mut self.memberships {
            membership.look_soon(now, &mut rng);
        }
    }

    /// When a membership is to be looked at next.
    pub(super) fn next_look(&self) -> Option<Moment> {
        self.memberships.iter().filter_map(|m| m.due).min()
    }

    /// Looks at every membership that is due.
    pub(super) fn handle_looks(&mut self, now: Moment) {
        for level in 1..=self.innermost() {
            let due = |m: &Membership| m.due.is_some_and(|due| due <= now);
            if self
                .memberships
                .get(usize::from(level) - 1)
                .is_some_and(due)
            {
                self.look(now, level);
            }
        }
    }

    fn look(&mut self, now: Moment, level: u8) {
        let (every, mut rng) = (self.config.levels.reconsider, self.rng.child());
        let views = self.views(now, level);
        let Some(membership) = self.membership(level) else {
            return;
        };
        membership.looked(now, every, &mut rng);
        if membership.trial.is_some() {
            membership.kept = Kept::Trying;
            return;
        }
        let (own, others) = views;
        match decide(&own, &others, &membership.rejected) {
            Decision::Stay(kept) => membership.kept = kept,
            Decision::Move(why, view) if judge::is_sure(&view) => {
                self.switch(now, level, (view.cluster, view.age), why);
            }
            Decision::Move(why, view) => {
                membership.kept = Kept::Trying;
                membership.trial = Some(Trial {
                    cluster: view.cluster,
                    why,
                    walks: TRIAL_WALKS,
                });
                for _ in 0..TRIAL_WALKS {
                    self.try_walk(now, level, view.cluster);
                }
            }
            Decision::Alone => {
                let alone = ClusterId::new(rng.u64());
                self.switch(now, level, (alone, Duration::ZERO), Moved::Split);
            }
        }
    }

    /// The own cluster and the others of `level`, as the peers remembered show them.
    fn views(&self, now: Moment, level: u8) -> (View, Vec<View>) {
        let Some(membership) = level
            .checked_sub(1)
            .and_then(|n| self.memberships.get(usize::from(n)))
        else {
            return (View::default(), Vec::new());
        };
        let mut words: Vec<_> = self
            .peers
            .iter()
            .filter_map(|(_, peer)| Word::of(now, peer, level))
            .collect();
        words.sort_unstable_by_key(|word| word.cluster);
        let mut own = View {
            cluster: membership.cluster,
            size: membership.size,
            age: now.since(membership.founded),
            ..View::default()
        };
        let mut others = Vec::new();
        for words in words.chunk_by(|a, b| a.cluster == b.cluster) {
            let cluster = words.first().map_or(own.cluster, |word| word.cluster);
            let mut sizes: Vec<_> = words.iter().map(|word| word.size).collect();
            let mut view = View {
                cluster,
                ..View::default()
            };
            if cluster == own.cluster {
                sizes.push(own.size);
                view = own;
            }
            sizes.sort_unstable();
            view.size = sizes.get(sizes.len() / 2).copied().unwrap_or(1);
            for word in words {
                view.age = view.age.max(Duration::from_secs(u64::from(word.age_s)));
                if let Some(least) = word.least {
                    view.measured += 1;
                    view.near += u32::from(least < membership.threshold);
                }
            }
            if cluster == own.cluster {
                own = view;
            } else {
                others.push(view);
            }
        }
        (own, others)
    }

    /// A walk to a random key through `cluster`, so that its members are measured.
    fn try_walk(&mut self, now: Moment, level: u8, cluster: ClusterId) {
        let key = Key::from_bytes(self.rng.bytes());
        let members = self.peers.iter().filter(|(_, peer)| {
            peer.cluster(level) == Some(cluster) && !peer.has_failed() && peer.heard.is_some()
        });
        let mut start: Vec<_> = members
            .map(|(id, peer)| Entry {
                id,
                addr: peer.addr(),
            })
            .collect();
        start.sort_by_key(|entry| entry.id.distance(&key));
        start.truncate(super::work::START);
        let leads = start.into_iter().map(|entry| self.lead(entry, level, None));
        let leads: Vec<_> = leads.collect();
        let span = Span {
            innermost: level,
            outermost: level,
        };
        let (config, own) = (self.config.lookup, self.own);
        let task = Task::new(&config, (key, span), own, false, Goal::Find, leads);
        let owner = Owner::Trial(level, cluster);
        self.start(now, task, (owner, now + TRIAL_DEADLINE));
    }

    /// A walk of a trial is over. After the last one the cluster is judged by all that was met.
    pub(super) fn trial_walked(&mut self, now: Moment, level: u8, cluster: ClusterId) {
        let Some(membership) = self.membership(level) else {
            return;
        };
        let Some(trial) = membership.trial.as_mut().filter(|t| t.cluster == cluster) else {
            return;
        };
        trial.walks = trial.walks.saturating_sub(1);
        if trial.walks > 0 {
            return;
        }
        let why = trial.why;
        membership.trial = None;
        let (_, others) = self.views(now, level);
        let met = others.iter().find(|view| view.cluster == cluster);
        let near = met.filter(|view| judge::acceptable(view)).copied();
        match (near, self.membership(level)) {
            (Some(view), _) => self.switch(now, level, (cluster, view.age), why),
            (None, Some(membership)) => {
                membership.rejected.insert(cluster);
                membership.kept = Kept::TrialFar;
            }
            (None, None) => {}
        }
    }

    fn switch(&mut self, now: Moment, level: u8, to: (ClusterId, Duration), why: Moved) {
        let (bit, from) = (1 << level, self.cluster_at(level));
        let (mut members, mut left) = (Vec::new(), Vec::new());
        for (id, peer) in self.peers.iter() {
            let addr = peer.addr();
            let cluster = peer.cluster(level).filter(|_| !peer.has_failed());
            if cluster == Some(to.0) && peer.heard.is_some() {
                members.push(Entry { id, addr });
            } else if cluster == from || peer.tabled & bit != 0 {
                left.push(Entry { id, addr });
            }
        }
        for entry in members.iter().chain(&left) {
            if let Some(peer) = self.peers.at_mut(entry.id) {
                peer.tabled &= !bit;
            }
        }
        let mut rng = self.rng.child();
        let every = self.config.levels.reconsider;
        if let Some(membership) = self.membership(level) {
            membership.enter(now, to, why);
            membership.looked(now, every, &mut rng);
        }
        for entry in &members {
            self.tabulate(level, *entry);
        }
        self.stats.moved.count(why);
        let size = self
            .memberships
            .get(usize::from(level) - 1)
            .map_or(1, |m| m.size);
        self.event(Event::ClusterChanged {
            level,
            cluster: to.0,
            size,
            why,
        });
        // The new ones route here. All of the old ones, as their walks would go on to come here and
        // leave their cluster by it; and they may follow.
        for entry in members.into_iter().take(TOLD).chain(left) {
            self.tell(now, entry);
        }
        self.refresh_soon(now);
    }
}
