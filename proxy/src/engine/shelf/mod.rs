//! The disk store's decisions: what is on disk and where, what goes, and what bytes say it.
//!
//! Small responses are appended to segments, large bodies have files of their own; of each record the
//! index in memory keeps [`Place`], and everything else is read back ([`record`]). Segments go oldest
//! first; what was used since it was written moves to the newest one ([`Fate`]). No files, no bytes of
//! bodies: [`log`] says what is to be written, and the shell writes it (ADR 0045).
//!
//! | file | is about |
//! |---|---|
//! | [`entry`] | heads of files, entries of a segment's index |
//! | [`record`] | a response on disk |
//! | [`blocks`] | checks of parts of a large body |
//! | [`log`] | the segment being written |
//! | [`replay`] | the index after a restart |
//! | [`elapsed`] | time between processes |
//! | `offer` | what is written |
//! | `index` | where the records of a URL are |
//! | `leaving` | what goes, and what the disk is told of it |
//! | `room` | segments and files, and the bytes that they take |
//! | `standing` | how it stands, in figures |

pub mod blocks;
pub mod elapsed;
pub mod entry;
mod index;
mod leaving;
pub mod log;
#[cfg(test)]
mod model;
mod offer;
mod place;
pub mod record;
pub mod replay;
mod room;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use common::clock::Moment;

use self::entry::{Large, Name, Spot, Variant};
use self::offer::Pending;
pub use self::offer::{NotShelved, Ticket};
pub use self::place::Place;
use self::place::Places;
use super::store::admission::{Admission, SecondAsk};

/// Bytes that a file takes beside its content: an inode and its place in a directory, rounded up.
pub const FILE_COST: u64 = 4_096;

/// What a file's content is rounded up to: the block size of the file systems in use.
pub const BLOCK_COST: u64 = 4_096;

/// Records on their way to disk; more are not written. Each holds its response in memory.
pub const PENDING_MAX: usize = 4_096;

/// Things gone of which the disk was not told yet; more, and the first are not told: what was on disk
/// of them may be found again after a restart, as good as its own lifetime says.
pub const REMOVALS_MAX: usize = 65_536;

/// Of the budget, the quarters that everything may fill; the last one is for what is asked for again.
const ROOM_QUARTERS: u64 = 3;

/// Of a segment that goes, the part of its bytes that may move to the newest one because it was used.
/// More, and writing would mostly be copying.
pub const MOVED_MOST: u64 = 4;

/// A segment, as far as room goes.
#[derive(Clone, Copy, Default, Debug)]
struct Segment {
    /// Bytes of records and entries.
    bytes: u64,
    /// Records of it that the index knows.
    live: u32,
    /// Whether it says that older records are gone: then it stays as long as they do.
    removes: bool,
    /// Bytes of large bodies whose records are in it.
    large: u64,
}

/// What becomes of a record whose segment goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Something newer had taken its place already.
    Dead,
    /// It goes.
    Gone,
    /// It was used: it moves to the newest segment. It is fresh for so many seconds.
    Moves(u32),
}

/// See the module.
#[derive(Debug)]
pub struct Shelf {
    names: HashMap<Name, Places>,
    segments: BTreeMap<u32, Segment>,
    /// Records whose body is in a file of its own, and of what they are.
    larges: HashMap<Spot, (Name, Large)>,
    /// How many records speak of each such file.
    files: HashMap<u64, (Large, u32)>,
    /// Files of which no record speaks any more.
    loose: Vec<Large>,
    pending: HashMap<(Name, Variant), Pending>,
    removals: VecDeque<(Name, Option<Variant>)>,
    removals_lost: u64,
    tickets: u64,
    objects: usize,
    used: u64,
    budget: u64,
    on: bool,
    admission: Box<dyn Admission>,
}

impl Default for Shelf {
    /// One that keeps nothing.
    fn default() -> Self {
        Self::new(0)
    }
}

/// What content of so many bytes takes on disk.
#[must_use]
pub const fn on_disk(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_COST)
}

impl Shelf {
    /// An empty one that may have `budget` bytes, everything included. It is off until it is
    /// [switched](Self::switch) on.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self {
            names: HashMap::new(),
            segments: BTreeMap::new(),
            larges: HashMap::new(),
            files: HashMap::new(),
            loose: Vec::new(),
            pending: HashMap::new(),
            removals: VecDeque::new(),
            removals_lost: 0,
            tickets: 0,
            objects: 0,
            used: 0,
            budget,
            on: false,
            admission: Box::new(SecondAsk),
        }
    }

    /// Has `admission` decide what is written and what stays.
    #[must_use]
    pub fn with_admission(mut self, admission: Box<dyn Admission>) -> Self {
        self.admission = admission;
        self
    }

    /// Whether responses are to be written. What is on disk is read either way.
    pub const fn switch(&mut self, on: bool) {
        self.on = on;
    }

    /// Whether responses are written.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether anything of this URL is on disk, or on its way there.
    #[must_use]
    pub fn will_have(&self, name: Name, variant: Variant) -> bool {
        self.has(name) || self.pending.contains_key(&(name, variant))
    }

    /// Whether anything of this URL is on disk.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.names.contains_key(&name)
    }

    /// Everything of this URL that is on disk, about to be read: it counts as used.
    pub fn read(&mut self, name: Name) -> Vec<Place> {
        let Some(places) = self.names.get_mut(&name) else {
            return Vec::new();
        };
        places
            .all_mut()
            .iter_mut()
            .for_each(|place| place.used = true);
        places.all().to_vec()
    }

    /// The place of this URL that is fresh longest, and for how long.
    #[must_use]
    pub fn freshest(&self, name: Name, now: Moment) -> Option<(Place, Duration)> {
        let places = self.names.get(&name)?.all();
        let place = places.iter().max_by_key(|place| place.fresh_until)?;
        let left = u64::from(place.fresh_until).saturating_sub(seconds(now));
        Some((*place, Duration::from_secs(left)))
    }

    /// The URLs of which something is fresh for at least `least`, at most `most` of them, with how long
    /// it is.
    #[must_use]
    pub fn fresh(&self, now: Moment, least: Duration, most: usize) -> Vec<(Name, Duration)> {
        let of = |name: &Name| Some((*name, self.freshest(*name, now)?.1));
        let all = self.names.keys().filter_map(of);
        all.filter(|(_, left)| *left >= least).take(most).collect()
    }
}

/// Whole seconds of the process's clock.
const fn seconds(now: Moment) -> u64 {
    now.as_nanos() / 1_000_000_000
}
