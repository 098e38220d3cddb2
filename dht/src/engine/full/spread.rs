//! What is told of members: taking rumours in, passing news on, asking third nodes about the
//! silent, and comparing digests so that what gossip missed is repaired.

use std::collections::VecDeque;

use common::clock::Moment;
use common::ids::NodeId;
use common::wire::header::body_room;

use super::exchange::Purpose;
use super::gossip::times;
use super::node::Member;
use super::owners::displaces;
use super::roster::Change;
use crate::engine::message::rumour::{RUMOURS_MAX, rumour_len};
use crate::engine::message::{Ask, FANOUT, Path, Rumour, Standing};
use crate::engine::output::Event;
use crate::engine::routing::Entry;

/// Third nodes asked about a silent one (SWIM's k).
const INQUIRIES: usize = 3;

/// Members told at once of what this node found out itself.
const EAGERLY: usize = 3;

/// Requests under way while digests are compared.
const SYNC_WINDOW: usize = 4;

/// Prefixes still to be compared with one partner; more are left to the next comparison.
const SYNC_PATHS_MAX: usize = 4_096;

/// Longer lists are a comparison's bulk, which everybody gets that way: not passed on as news.
const NEWS_LIST_MAX: usize = 8;

/// What is kept free in a probe for all but news: level, count, token.
const PROBE_REST: usize = 24;

/// A comparison under way.
#[derive(Clone, Debug)]
pub(super) struct Syncing {
    with: Entry,
    paths: VecDeque<Path>,
    open: usize,
    failed: bool,
}

impl Member {
    /// Probes `to`: with this node's word of itself, what is believed of `to`, and news.
    pub(super) fn probe(&mut self, now: Moment, to: Entry) {
        if to.id == self.own.id {
            return;
        }
        let mut rumours = vec![self.own_rumour()];
        rumours.extend(self.roster.rumour(to.id));
        let used: usize = rumours.iter().map(rumour_len).sum();
        self.add_news(&mut rumours, body_room(0).saturating_sub(PROBE_REST + used));
        self.ask(now, to, Ask::Probe { rumours }, Purpose::Probe);
    }

    /// Adds to `message` the news that fit `room`.
    pub(super) fn add_news(&mut self, message: &mut Vec<Rumour>, room: usize) {
        let (own, roster) = (self.own_rumour(), &self.roster);
        let id = self.own.id;
        let believed = |of: NodeId| {
            if of == id {
                Some(own.clone())
            } else {
                roster.rumour(of)
            }
        };
        let times = times(roster.living() + 1);
        self.news.pick(message, room, times, believed);
    }

    /// Takes in what `by` told. Gives what it should hear in return: where its word is stale.
    pub(super) fn hear_all(
        &mut self,
        now: Moment,
        by: Entry,
        rumours: &[Rumour],
        pass_on: bool,
    ) -> Vec<Rumour> {
        let mut corrections = Vec::new();
        for rumour in rumours {
            let id = NodeId::of(rumour.addr);
            if id == self.own.id {
                self.object(now, rumour);
                continue;
            }
            let change = self.roster.hear(now, id, rumour, self.patience());
            if change == Change::Stale {
                corrections.extend(self.roster.rumour(id));
            } else {
                self.changed(now, (id, rumour), change, pass_on || id == by.id);
            }
        }
        corrections
    }

    fn changed(
        &mut self,
        now: Moment,
        (id, rumour): (NodeId, &Rumour),
        change: Change,
        pass_on: bool,
    ) {
        match change {
            Change::Same | Change::Stale => return,
            Change::Full => {
                self.stats.members_refused += 1;
                return;
            }
            Change::Joined => {
                self.event(Event::ContactAdded(id, rumour.addr));
                self.newcomer(now, id);
            }
            Change::Restarted => {
                self.event(Event::ContactRestarted(id, rumour.addr));
                self.keep.lost(now, id, &mut self.rng);
                self.hand_to(now, id);
            }
            Change::Died => self.lost(now, id, rumour.addr),
            Change::Suspected => self.warn(now, id, rumour),
            Change::Told => {}
        }
        if pass_on {
            self.news.add(id);
        }
    }

    /// Others suspect a member that was heard here lately: it is told, so that it can object (the
    /// buddy system of Lifeguard: Dadgar, Phillips, Currey 2017).
    fn warn(&mut self, now: Moment, id: NodeId, rumour: &Rumour) {
        let heard = self.peers.at(id).and_then(|peer| peer.heard);
        if heard.is_some_and(|at| now.since(at) <= self.patience()) {
            let addr = rumour.addr;
            self.probe(now, Entry { id, addr });
        }
    }

    /// Somebody says of this node what is not true, or what it said in an earlier run: it says
    /// otherwise with a higher incarnation.
    fn object(&mut self, now: Moment, rumour: &Rumour) {
        let later = rumour.incarnation > self.incarnation;
        let same = rumour.incarnation == self.incarnation;
        let untrue = rumour.standing != Standing::Alive || rumour.run != self.run;
        if later || same && untrue {
            self.incarnation = rumour.incarnation;
            self.speak(now);
        }
    }

    /// This node has something new to say of itself.
    pub(super) fn speak(&mut self, now: Moment) {
        self.incarnation = self.incarnation.saturating_add(1);
        self.news.add(self.own.id);
        self.tell_eagerly(now);
    }

    fn tell_eagerly(&mut self, now: Moment) {
        // Probes carry what is news; a reply under way in the same moment would do so too late.
        self.schedule.eager = EAGERLY;
        self.schedule.probe = self.schedule.probe.map(|at| at.min(now));
    }

    /// A member came: what it should store moves to it.
    fn newcomer(&mut self, now: Moment, id: NodeId) {
        let replicas = self.config.full.replicas;
        let misplaced = |key: &_, places: &[NodeId]| displaces(key, id, places, replicas);
        self.keep.moved(now, misplaced, &mut self.rng);
        self.hand_to(now, id);
    }

    /// A member is dead.
    pub(super) fn lost(&mut self, now: Moment, id: NodeId, addr: std::net::SocketAddr) {
        self.keep.lost(now, id, &mut self.rng);
        self.hand_after(now, id);
        self.stats.contacts_failed += 1;
        self.event(Event::ContactFailed(id, addr));
        if self.roster.living() == 0 {
            self.left_alone(now);
        }
    }

    /// A member did not answer: third nodes are asked whether they reach it.
    pub(super) fn inquire(&mut self, now: Moment, about: Entry) {
        let alive = |record: &super::roster::Record| record.standing == Standing::Alive;
        if !self.roster.at(about.id).is_some_and(alive) || self.inquiries.contains_key(&about.id) {
            return;
        }
        let mut asked = Vec::new();
        for _ in 0..2 * INQUIRIES {
            let third = self.roster.anyone(&mut self.rng);
            let fit = |it: &Entry| it.id != about.id && !asked.contains(it);
            asked.extend(third.filter(fit));
        }
        asked.truncate(INQUIRIES);
        self.inquiries.insert(about.id, asked.len());
        if asked.is_empty() {
            self.inquiries.insert(about.id, 1);
            return self.inquired(now, about, false);
        }
        for third in asked {
            let rumours = Vec::new();
            let ask = Ask::Relay {
                to: about.addr,
                ask: Box::new(Ask::Probe { rumours }),
            };
            self.ask(now, third, ask, Purpose::Inquiry(about));
        }
    }

    /// A third node reached it or did not. Nobody did: it is suspected.
    pub(super) fn inquired(&mut self, now: Moment, about: Entry, lives: bool) {
        let Some(open) = self.inquiries.get_mut(&about.id) else {
            return;
        };
        *open -= 1;
        if lives {
            self.inquiries.remove(&about.id);
        } else if *open == 0 {
            self.inquiries.remove(&about.id);
            if self.roster.suspect(now, about.id, self.patience()) {
                self.news.add(about.id);
                self.tell_eagerly(now);
            }
        }
    }

    /// Begins to compare who is a member with `with`, unless a comparison is under way.
    pub(super) fn sync(&mut self, now: Moment, with: Entry) {
        if self.syncing.is_some() {
            return;
        }
        self.syncing = Some(Syncing {
            with,
            paths: VecDeque::from([Path::ROOT]),
            open: 0,
            failed: false,
        });
        self.sync_on(now);
    }

    fn sync_on(&mut self, now: Moment) {
        while let Some(syncing) = &mut self.syncing {
            if syncing.open >= SYNC_WINDOW {
                return;
            }
            let Some(path) = syncing.paths.pop_front() else {
                break;
            };
            syncing.open += 1;
            let with = syncing.with;
            let sums = Box::new(self.roster.sums(path, &self.own_rumour()));
            self.ask(now, with, Ask::Sync { path, sums }, Purpose::Sync(path));
        }
        if let Some(done) = self.syncing.take_if(|syncing| syncing.open == 0) {
            if done.failed {
                self.sync_soon(now);
            } else {
                self.synced = true;
                self.release(now);
            }
        }
    }

    /// The partner of a comparison did not answer or not as it should.
    pub(super) fn sync_failed(&mut self, now: Moment, with: Entry) {
        if let Some(syncing) = self.syncing.as_mut().filter(|s| s.with == with) {
            syncing.open -= 1;
            syncing.failed = true;
            syncing.paths.clear();
        }
        self.sync_on(now);
    }

    /// The partner says under which continuations of `path` it knows otherwise.
    pub(super) fn compared(
        &mut self,
        now: Moment,
        with: Entry,
        path: Path,
        (differing, listed): (u16, u16),
        rumours: &[Rumour],
    ) {
        let bit = |mask: u16, digit: usize| mask >> digit & 1 == 1;
        for digit in (0..FANOUT).filter(|digit| bit(listed, *digit)) {
            self.push(now, with, path, digit, rumours);
        }
        self.hear_all(now, with, rumours, rumours.len() <= NEWS_LIST_MAX);
        if let Some(syncing) = self.syncing.as_mut().filter(|s| s.with == with) {
            syncing.open -= 1;
            let deeper = (0..FANOUT).filter(|digit| bit(differing, *digit));
            for path in deeper.filter_map(|digit| path.child(digit)) {
                if syncing.paths.len() < SYNC_PATHS_MAX {
                    syncing.paths.push_back(path);
                }
            }
        }
        self.sync_on(now);
    }

    /// Tells `with` what it does not know of the members under one continuation of `path`, given
    /// what it listed.
    fn push(&mut self, now: Moment, with: Entry, path: Path, digit: usize, theirs: &[Rumour]) {
        let own = self.own_rumour();
        let Some(ours) = self.roster.list(path, digit, &own, usize::MAX) else {
            return;
        };
        let known = |rumour: &Rumour| {
            let same = theirs.iter().find(|their| their.addr == rumour.addr);
            same.is_some_and(|their| their.incarnation >= rumour.incarnation)
        };
        let mut message = vec![own];
        let mut room = body_room(0) - PROBE_REST;
        for rumour in ours.into_iter().filter(|rumour| !known(rumour)) {
            let len = rumour_len(&rumour);
            if len > room || message.len() >= RUMOURS_MAX {
                break;
            }
            room -= len;
            message.push(rumour);
        }
        if message.len() > 1 {
            self.ask(now, with, Ask::Probe { rumours: message }, Purpose::Probe);
        }
    }
}
