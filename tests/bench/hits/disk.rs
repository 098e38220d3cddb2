//! Memory before a disk: the proxy's store and its shelf, as they are, over a writer that only counts.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use common::clock::Moment;
use proxy::engine::http::key::PrimaryKey;
use proxy::engine::shelf::entry::{ENTRY_LEN, Name, Put, Spot, Variant};
use proxy::engine::shelf::log::segment_bytes;
use proxy::engine::shelf::record::name_of;
use proxy::engine::shelf::{Fate, MOVED_MOST, Shelf};
use proxy::engine::store::admission::{Admission, Candidate};

use super::caches::{Cache, Ours};

/// Bytes of a record beside its body.
const HEAD: u64 = 400;

/// Requests between two looks at what was found again: a quarter of a second of a busy node.
const TICK: u64 = 2_000;

/// All is fresh for longer than the day.
const FRESH: Duration = Duration::from_secs(1 << 20);

const NOW: Moment = Moment::ZERO;
const ONLY: Variant = Variant(0);

/// See the module.
pub(crate) struct Tiers {
    memory: Ours,
    shelf: Shelf,
    /// Bytes of a segment; of the one that is open, its number and the bytes in it.
    most: u64,
    open: u32,
    filled: u64,
    puts: BTreeMap<u32, Vec<Put>>,
    bodies: HashMap<Name, u32>,
    requests: u64,
    /// Requests answered from disk.
    pub(crate) from_disk: u64,
    /// Bytes written to disk.
    pub(crate) written: u64,
}

impl Tiers {
    pub(crate) fn new(memory: u64, disk: u64, admission: Box<dyn Admission>) -> Self {
        let mut shelf = Shelf::new(disk).with_admission(admission);
        shelf.switch(true);
        shelf.segment_begun(0);
        let mut memory = Ours::new(memory);
        memory.store.note_again(true);
        Self {
            memory,
            shelf,
            most: segment_bytes(disk),
            open: 0,
            filled: 0,
            puts: BTreeMap::new(),
            bodies: HashMap::new(),
            requests: 0,
            from_disk: 0,
            written: 0,
        }
    }

    fn offer(&mut self, key: &PrimaryKey, bytes: u32) {
        let (name, length) = (name_of(key), u64::from(bytes) + HEAD);
        let candidate = Candidate {
            key,
            bytes: length,
            fresh: FRESH,
            asked: self.memory.store.asked(key),
            room: self.shelf.has_room(),
        };
        let Ok(ticket) = self.shelf.offer((name, ONLY), &candidate) else {
            return;
        };
        while let Some(segment) = self.shelf.in_the_way(length) {
            self.reclaim(segment);
        }
        let (put, segment) = self.append(name, length);
        self.shelf.written(NOW, ticket, &put, segment);
    }

    fn append(&mut self, name: Name, length: u64) -> (Put, u32) {
        if self.filled + length > self.most {
            self.open += 1;
            self.filled = 0;
            self.shelf.segment_begun(self.open);
        }
        let put = Put {
            name,
            variant: ONLY,
            offset: u32::try_from(self.filled).unwrap(),
            length: u32::try_from(length).unwrap(),
            large: None,
            at: 0,
            fresh: u32::MAX,
        };
        let bytes = length + ENTRY_LEN as u64;
        self.shelf.segment_grew(self.open, bytes, false);
        self.filled += length;
        self.written += bytes;
        self.puts.entry(self.open).or_default().push(put);
        (put, self.open)
    }

    fn reclaim(&mut self, segment: u32) {
        if self.open == segment {
            self.filled = self.most;
        }
        let mut may_move = self.most / MOVED_MOST;
        for put in self.puts.remove(&segment).unwrap_or_default() {
            let Fate::Moves(_) = self.shelf.reclaim(NOW, &put, segment) else {
                continue;
            };
            let offset = put.offset;
            let (spot, length) = (Spot { segment, offset }, u64::from(put.length));
            if length > may_move {
                self.shelf.not_moved(put.name, spot);
            } else {
                may_move -= length;
                let (again, to) = self.append(put.name, length);
                self.shelf.moved(spot, &again, to);
            }
        }
        self.shelf.segment_gone(segment);
    }

    fn found_again(&mut self) {
        for key in self.memory.store.take_again() {
            let name = name_of(&key);
            let bytes = self.bodies.get(&name).copied().unwrap_or(0);
            if self.memory.store.has(&key) && !self.shelf.will_have(name, ONLY) {
                self.offer(&key, bytes);
            }
        }
    }
}

impl Cache for Tiers {
    fn ask(&mut self, url: u32, bytes: u32) -> bool {
        self.requests += 1;
        if self.requests.is_multiple_of(TICK) {
            self.found_again();
        }
        if self.memory.ask(url, bytes) {
            return true;
        }
        // It is in memory now, wherever it came from.
        let key = Ours::key(url);
        let name = name_of(&key);
        if self.shelf.has(name) {
            self.shelf.read(name);
            self.from_disk += 1;
            return true;
        }
        self.bodies.insert(name, bytes);
        self.offer(&key, bytes);
        false
    }
}
