//! Who is a member, and what is believed of it.
//!
//! The rules are SWIM's (Das, Gupta, Motivala 2002, section 4.2). A member numbers what it says of
//! itself (its incarnation); a higher number is believed over a lower one, and with equal numbers the
//! worse standing. Only the member itself raises its number, so a suspect that lives objects by
//! saying so with a higher one. Two rules are ours: word that somebody is dead makes a suspect of a
//! member that counts as alive here, so that two halves of a healed partition do not bury each
//! other; and the dead are remembered for an hour, to be told what is believed of them.
//!
//! Memory only: it tells nobody and asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use common::clock::Moment;
use common::ids::NodeId;
use common::rng::Generator;

use super::owners::{head, mix};
use crate::engine::message::rumour::{RUMOURS_MAX, rumour_len};
use crate::engine::message::{FANOUT, Path, Rumour, Service, Standing};
use crate::engine::routing::Entry;

/// The dead are remembered so long: they are tried again, and stale word of them is corrected.
const REMEMBER_DEAD: Duration = Duration::from_secs(3_600);

/// What is believed of one member.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it is.
    pub addr: SocketAddr,
    /// Its count of what it said of itself.
    pub incarnation: u32,
    /// Its run.
    pub run: u32,
    /// How it stands.
    pub standing: Standing,
    /// What runs there.
    pub services: Vec<Service>,
    /// When its suspicion or the memory of its death ends.
    until: Moment,
}

/// What a rumour changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing.
    Same,
    /// Nothing: what is known here is better, and the teller should hear it.
    Stale,
    /// A member that was not there, or was dead.
    Joined,
    /// A member that runs anew and has lost what it stored.
    Restarted,
    /// A member's later word of itself.
    Told,
    /// A member is suspected from now on.
    Suspected,
    /// A suspect is dead.
    Died,
    /// It cannot be remembered: as many are as may be.
    Full,
}

/// All members but this node.
#[derive(Clone, Debug)]
pub struct Roster {
    records: BTreeMap<NodeId, Record>,
    ends: BTreeSet<(Moment, NodeId)>,
    living: usize,
    max: usize,
}

impl Roster {
    /// Nobody, and at most `max` ever.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self {
            records: BTreeMap::new(),
            ends: BTreeSet::new(),
            living: 0,
            max,
        }
    }

    /// Members that are not dead.
    #[must_use]
    pub const fn living(&self) -> usize {
        self.living
    }

    /// Members remembered, the dead included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What is believed of `id`.
    #[must_use]
    pub fn at(&self, id: NodeId) -> Option<&Record> {
        self.records.get(&id)
    }

    /// Whether `id` is a member that is not dead.
    #[must_use]
    pub fn lives(&self, id: NodeId) -> bool {
        self.at(id).is_some_and(Record::lives)
    }

    /// What is believed of `id`, to be told.
    #[must_use]
    pub fn rumour(&self, id: NodeId) -> Option<Rumour> {
        self.at(id).map(Record::rumour)
    }

    /// All members in order of id, the dead included.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Record)> {
        self.records.iter().map(|(id, record)| (*id, record))
    }

    /// Members that are not dead.
    pub fn iter_living(&self) -> impl Iterator<Item = (NodeId, &Record)> {
        self.iter().filter(|(_, record)| record.lives())
    }

    /// Takes in what is told of `id`; a suspect has `patience` to object.
    pub fn hear(&mut self, now: Moment, id: NodeId, told: &Rumour, patience: Duration) -> Change {
        use Standing::{Alive, Dead, Suspect};
        let Some(record) = self.records.get(&id) else {
            return self.meet(id, told);
        };
        let (newer, older) = (
            told.incarnation > record.incarnation,
            told.incarnation < record.incarnation,
        );
        let (known, run) = (record.standing, record.run);
        match (told.standing, known) {
            _ if older => Change::Stale,
            (Alive, _) if newer => {
                self.stand(id, Alive, Moment::NEVER);
                if let Some(record) = self.records.get_mut(&id) {
                    (record.incarnation, record.run) = (told.incarnation, told.run);
                    record.services.clone_from(&told.services);
                }
                match known {
                    Dead => Change::Joined,
                    _ if run != told.run => Change::Restarted,
                    _ => Change::Told,
                }
            }
            (Alive, Alive) if run == told.run => Change::Same,
            (Suspect, Suspect) | (Dead, Dead) => {
                self.raise(id, told.incarnation);
                Change::Same
            }
            (Alive, _) | (Suspect, Dead) => Change::Stale,
            (Suspect | Dead, Alive) => {
                self.raise(id, told.incarnation);
                self.stand(id, Suspect, now + patience);
                Change::Suspected
            }
            (Dead, Suspect) => {
                self.stand(id, Dead, now + REMEMBER_DEAD);
                Change::Died
            }
        }
    }

    /// This node itself cannot reach `id`. Says whether that is a new suspicion.
    pub fn suspect(&mut self, now: Moment, id: NodeId, patience: Duration) -> bool {
        let alive = |record: &Record| record.standing == Standing::Alive;
        let new = self.at(id).is_some_and(alive);
        if new {
            self.stand(id, Standing::Suspect, now + patience);
        }
        new
    }

    /// A suspect whose time to object is over, dead from now on. Ask until `None`; the long dead
    /// are forgotten beside.
    pub fn expire(&mut self, now: Moment) -> Option<Entry> {
        while let Some(&(until, id)) = self.ends.first() {
            if until > now {
                return None;
            }
            let record = self.records.get(&id)?;
            if record.standing == Standing::Suspect {
                let addr = record.addr;
                self.stand(id, Standing::Dead, now + REMEMBER_DEAD);
                return Some(Entry { id, addr });
            }
            self.ends.pop_first();
            self.records.remove(&id);
        }
        None
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn next_end(&self) -> Option<Moment> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// This node was late itself: suspects get that much longer to object.
    pub fn postpone(&mut self, by: Duration) {
        let suspects = self.iter().filter(|(_, r)| r.standing == Standing::Suspect);
        let suspects: Vec<_> = suspects.map(|(id, r)| (id, r.until)).collect();
        for (id, until) in suspects {
            self.stand(id, Standing::Suspect, until + by);
        }
    }

    /// The living member after `id` in the order of ids, around the end.
    #[must_use]
    pub fn after(&self, id: NodeId) -> Option<Entry> {
        let rest = self.records.range((Excluded(id), Unbounded));
        let mut around = rest.chain(self.records.iter());
        let next = around.find(|(_, record)| record.lives());
        next.map(|(id, record)| record.entry(*id))
    }

    /// Some living member. One after a wide gap of ids is taken more often, which does no harm.
    pub fn anyone(&self, rng: &mut Generator) -> Option<Entry> {
        self.after(NodeId::from_bytes(rng.bytes()))
    }

    /// One of the dead, if any.
    pub fn someone_dead(&self, rng: &mut Generator) -> Option<Entry> {
        let mut dead = self.iter().filter(|(_, r)| r.standing == Standing::Dead);
        let count = self.records.len() - self.living;
        let (id, record) = dead.nth(rng.below(count.max(1)))?;
        Some(record.entry(id))
    }

    /// A sum over the living members under each continuation of `path`: equal where the same
    /// members are known with the same word of themselves. `own` belongs to them.
    #[must_use]
    pub fn sums(&self, path: Path, own: &Rumour) -> [u64; FANOUT] {
        let mut sums = [0; FANOUT];
        let mut add = |id: NodeId, incarnation: u32, run: u32| {
            let word = mix(u64::from(incarnation) << 32 | u64::from(run));
            if let Some(sum) = path.digit_of(&id).and_then(|digit| sums.get_mut(digit)) {
                *sum ^= mix(head(id.as_bytes()) ^ word);
            }
        };
        let (low, high) = path.range();
        for (id, record) in self.records.range(low..=high) {
            if record.lives() {
                add(*id, record.incarnation, record.run);
            }
        }
        add(NodeId::of(own.addr), own.incarnation, own.run);
        sums
    }

    /// What is known of the living members under one continuation of `path`; `None` if it takes
    /// more than `room` bytes or rumours.
    #[must_use]
    pub fn list(
        &self,
        path: Path,
        digit: usize,
        own: &Rumour,
        mut room: usize,
    ) -> Option<Vec<Rumour>> {
        let (low, high) = path.range();
        let mut listed = Vec::new();
        let mut add = |rumour: Rumour| {
            room = room.checked_sub(rumour_len(&rumour))?;
            listed.push(rumour);
            (listed.len() <= RUMOURS_MAX).then_some(())
        };
        if path.digit_of(&NodeId::of(own.addr)) == Some(digit) {
            add(own.clone())?;
        }
        let range = match path.child(digit).map(Path::range) {
            Some((low, high)) => self.records.range(low..=high),
            None => self.records.range(low..=high),
        };
        for (id, record) in range {
            if record.lives() && path.digit_of(id) == Some(digit) {
                add(record.rumour())?;
            }
        }
        Some(listed)
    }

    /// A member nobody here knew. The dead and suspects of others are no news of anybody.
    fn meet(&mut self, id: NodeId, told: &Rumour) -> Change {
        if told.standing != Standing::Alive {
            return Change::Same;
        }
        if self.records.len() >= self.max && !self.forget_dead() {
            return Change::Full;
        }
        let record = Record {
            addr: told.addr,
            incarnation: told.incarnation,
            run: told.run,
            standing: Standing::Alive,
            services: told.services.clone(),
            until: Moment::NEVER,
        };
        self.records.insert(id, record);
        self.living += 1;
        Change::Joined
    }

    fn forget_dead(&mut self) -> bool {
        let dead = |id: &NodeId| self.at(*id).is_some_and(|record| !record.lives());
        let oldest = self.ends.iter().find(|(_, id)| dead(id)).copied();
        if let Some((until, id)) = oldest {
            self.ends.remove(&(until, id));
            self.records.remove(&id);
        }
        oldest.is_some()
    }

    fn raise(&mut self, id: NodeId, incarnation: u32) {
        if let Some(record) = self.records.get_mut(&id) {
            record.incarnation = incarnation;
        }
    }

    fn stand(&mut self, id: NodeId, standing: Standing, until: Moment) {
        let Some(record) = self.records.get_mut(&id) else {
            return;
        };
        self.ends.remove(&(record.until, id));
        let (before, after) = (record.lives(), standing != Standing::Dead);
        (record.standing, record.until) = (standing, until);
        if until != Moment::NEVER {
            self.ends.insert((until, id));
        }
        match (before, after) {
            (true, false) => self.living -= 1,
            (false, true) => self.living += 1,
            _ => {}
        }
    }
}

impl Record {
    /// Whether it is not dead.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.standing != Standing::Dead
    }

    /// It with its id.
    #[must_use]
    pub const fn entry(&self, id: NodeId) -> Entry {
        Entry {
            id,
            addr: self.addr,
        }
    }

    fn rumour(&self) -> Rumour {
        let services = match self.standing {
            Standing::Alive => self.services.clone(),
            Standing::Suspect | Standing::Dead => Vec::new(),
        };
        Rumour {
            addr: self.addr,
            incarnation: self.incarnation,
            run: self.run,
            standing: self.standing,
            services,
        }
    }
}
