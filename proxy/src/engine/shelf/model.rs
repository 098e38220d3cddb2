//! A disk in memory and a writer as the shell has one, for tests: every write is a step, and the
//! machine can stop after any byte of any of them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use common::clock::{Moment, WallTime};
use common::rng::Generator;

use super::elapsed::Stamp;
use super::entry::{ENTRY_LEN, Entry, Name, Put, Spot, entries, read_head};
use super::log::{About, Batch, Log};
use super::record::{BodyOf, Kept, Record, encode, name_of, variant_of};
use super::replay::Found;
use super::{Fate, Shelf, Ticket};
use crate::engine::store::admission::Candidate;
use crate::engine::store::object::tests::object;

pub(super) const BUDGET: u64 = 1 << 20;

/// Which file of a segment.
pub(super) type File = (u32, bool);
const DATA: bool = false;
const INDEX: bool = true;

/// One change of the disk.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write(File, u64, Vec<u8>),
    Remove(File),
}

/// Files and their bytes.
#[derive(Clone, Default, Debug)]
pub(super) struct Disk(pub(super) BTreeMap<File, Vec<u8>>);

impl Disk {
    /// Applies a step, of a write only the first `most` bytes.
    pub(super) fn apply(&mut self, step: &Step, most: usize) {
        match step {
            Step::Write(file, at, bytes) => {
                let bytes = &bytes[..most.min(bytes.len())];
                let at = usize::try_from(*at).unwrap();
                let content = self.0.entry(*file).or_default();
                content.resize(content.len().max(at + bytes.len()), 0);
                content[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Step::Remove(file) => {
                self.0.remove(file);
            }
        }
    }

    pub(super) fn recovered(&self, now: Moment) -> Shelf {
        let mut shelf = Shelf::new(BUDGET);
        for ((segment, kind), data) in &self.0 {
            let Some(index) = self.0.get(&(*segment, INDEX)) else {
                continue;
            };
            let (true, Ok(stamp)) = (*kind == DATA, read_head(index, *segment)) else {
                continue;
            };
            let found = Found {
                segment: *segment,
                stamp,
                data: data.len() as u64,
                index: &index[ENTRY_LEN..],
            };
            shelf.replay((now, &stamp_at(now)), found, |_| true);
        }
        shelf
    }

    /// The version of URL `n` that is read back; `None` if it is absent. Wrong bytes panic.
    pub(super) fn version(&self, shelf: &mut Shelf, n: usize) -> Option<u64> {
        let place = *shelf.read(name(n)).first()?;
        let data = &self.0[&(place.spot.segment, DATA)];
        let at = place.spot.offset as usize;
        let bytes = &data[at..at + place.length as usize];
        let record = Record::read(bytes, place.spot.segment).unwrap();
        assert_eq!(record.response.key.path_and_query(), path(n));
        let Kept::Inline(range) = record.body else {
            panic!("no large bodies here");
        };
        let version = u64::from_le_bytes(*bytes[range.clone()].first_chunk().unwrap());
        assert_eq!(bytes[range], *body(n, version));
        Some(version)
    }
}

pub(super) fn stamp_at(now: Moment) -> Stamp {
    Stamp {
        boot: [1; 16],
        since_boot: now.since(Moment::ZERO),
        wall: WallTime::from_unix(0),
    }
}

fn path(n: usize) -> String {
    format!("/{n}")
}

pub(super) fn name(n: usize) -> Name {
    name_of(&object(&path(n), &[], &[], 0).key)
}

pub(super) fn body(n: usize, version: u64) -> Vec<u8> {
    let len = usize::try_from(version % 37).unwrap() * 50 + n % 11;
    let mut bytes = version.to_le_bytes().to_vec();
    bytes.extend(vec![u8::try_from((n + len) % 251).unwrap(); len]);
    bytes
}

/// The writer, and everything it did to the disk.
#[derive(Debug)]
pub(super) struct World {
    pub(super) shelf: Shelf,
    pub(super) disk: Disk,
    pub(super) steps: Vec<Step>,
    /// For each number of steps so far, what each URL may be: its version, or absent.
    pub(super) latest: HashMap<usize, u64>,
    log: Log,
    waiting: Vec<(Ticket, Put, u32)>,
    moving: Vec<(Spot, Put, u32)>,
    now: Moment,
}

impl World {
    pub(super) fn new() -> Self {
        let mut shelf = Shelf::new(BUDGET);
        shelf.switch(true);
        Self {
            shelf,
            disk: Disk::default(),
            steps: Vec::new(),
            latest: HashMap::new(),
            log: Log::new(BUDGET, 0, 0),
            waiting: Vec::new(),
            moving: Vec::new(),
            now: Moment::ZERO,
        }
    }

    fn step(&mut self, step: Step) {
        self.disk.apply(&step, usize::MAX);
        self.steps.push(step);
    }

    /// Puts `version` of URL `n`; it is on disk after the next flush.
    pub(super) fn put(&mut self, n: usize, version: u64) {
        let object = object(&path(n), &[("cache-control", "max-age=600")], &[], 0);
        let (name, variant) = (name(n), variant_of(&object));
        let bytes = body(n, version);
        self.tell_removals();
        let candidate = Candidate {
            key: &object.key,
            bytes: bytes.len() as u64,
            fresh: Duration::from_secs(600),
            asked: 1,
            room: true,
        };
        let ticket = self.shelf.offer((name, variant), &candidate).unwrap();
        let digest = *blake3::hash(&bytes).as_bytes();
        self.room(bytes.len() as u64 + 500);
        let segment = self.log.segment().unwrap();
        let stamp = self.log.stamp(self.now).unwrap();
        let inline = BodyOf::Inline(bytes.len() as u64);
        let head = encode(&object, (segment, &stamp, self.now), &digest, inline);
        let about = About {
            name,
            variant,
            large: None,
            fresh: 600,
        };
        let put = self.log.put(self.now, &about, &[&head, &bytes]).unwrap();
        self.waiting.push((ticket, put, segment));
        self.latest.insert(n, version);
    }

    /// URL `n` is gone.
    pub(super) fn forget(&mut self, n: usize) {
        self.shelf.forget(name(n), None);
        self.latest.remove(&n);
    }

    fn tell_removals(&mut self) {
        for (name, variant) in self.shelf.take_removals() {
            self.room(0);
            self.log.gone(name, variant).unwrap();
        }
    }

    /// Makes room in a segment for a record of `length`.
    fn room(&mut self, length: u64) {
        if !self.log.fits(length) {
            self.write_out();
            self.log.close();
            let segment = self.log.begin(self.now, stamp_at(self.now));
            self.shelf.segment_begun(segment);
        }
    }

    /// Writes what was collected.
    pub(super) fn flush(&mut self) {
        self.tell_removals();
        self.write_out();
        for (ticket, put, segment) in std::mem::take(&mut self.waiting) {
            self.shelf.written(self.now, ticket, &put, segment);
        }
        for (from, put, segment) in std::mem::take(&mut self.moving) {
            self.shelf.moved(from, &put, segment);
        }
        if self.shelf.has_removals() {
            self.flush();
        }
    }

    fn write_out(&mut self) {
        while let Some(batch) = self.log.take() {
            let (segment, removes) = (batch.segment, batch.removes);
            let bytes = batch.data.len() + batch.index.len();
            self.write(batch);
            self.shelf.segment_grew(segment, bytes as u64, removes);
        }
    }

    fn write(&mut self, batch: Batch) {
        let (data, index) = ((batch.segment, DATA), (batch.segment, INDEX));
        if let Some(head) = batch.head {
            self.step(Step::Write(data, 0, head.to_vec()));
            self.step(Step::Write(index, 0, head.to_vec()));
        }
        self.step(Step::Write(data, batch.data_at, batch.data));
        self.step(Step::Write(index, batch.index_at, batch.index));
    }

    /// Lets the oldest segments go until `more` bytes fit.
    pub(super) fn reclaim(&mut self, more: u64) {
        while let Some(segment) = self.shelf.in_the_way(more) {
            if self.log.segment() == Some(segment) {
                self.flush();
                self.log.close();
            }
            let index = self.disk.0[&(segment, INDEX)].clone();
            for entry in entries(&index[ENTRY_LEN..], segment) {
                if let Some(Entry::Put(put)) = entry {
                    self.reclaim_one(&put, segment);
                }
            }
            self.flush();
            self.step(Step::Remove((segment, INDEX)));
            self.step(Step::Remove((segment, DATA)));
            self.shelf.segment_gone(segment);
        }
    }

    fn reclaim_one(&mut self, put: &Put, segment: u32) {
        let Fate::Moves(fresh) = self.shelf.reclaim(self.now, put, segment) else {
            return;
        };
        let at = put.offset as usize;
        let old = self.disk.0[&(segment, DATA)][at..at + put.length as usize].to_vec();
        let Ok(record) = Record::read(&old, segment) else {
            return;
        };
        self.room(old.len() as u64);
        let to = self.log.segment().unwrap();
        let bytes = super::record::moved(&old, segment, to).unwrap();
        let about = About {
            name: put.name,
            variant: put.variant,
            large: None,
            fresh,
        };
        let again = self.log.put(self.now, &about, &[&bytes]).unwrap();
        let from = Spot {
            segment,
            offset: put.offset,
        };
        assert_eq!(record.response.status, 200);
        self.moving.push((from, again, to));
    }

    /// Some time passes, and something happens.
    pub(super) fn act(&mut self, rng: &mut Generator, version: u64) {
        self.now = self.now + rng.jitter(Duration::from_secs(2));
        let n = rng.below(40);
        match rng.below(20) {
            0 => self.forget(n),
            1..=4 => self.flush(),
            5..=7 => drop(self.shelf.read(name(n))),
            _ => self.put(n, version),
        }
        if rng.below(10) == 0 {
            self.flush();
            self.reclaim(64 << 10);
        }
    }
}
