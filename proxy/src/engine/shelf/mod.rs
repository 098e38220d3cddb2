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
//! | `leaving` | what goes, and what the disk is told of it |
//! | `room` | segments and files, and the bytes that they take |

pub mod blocks;
pub mod elapsed;
pub mod entry;
mod leaving;
pub mod log;
#[cfg(test)]
mod model;
pub mod record;
pub mod replay;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use common::clock::Moment;

use self::entry::{Large, Name, Put, Spot, Variant};
use super::store::VARIANTS_MAX;
use super::store::admission::{Admission, Candidate, NotAdmitted, SecondAsk};

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

/// One record on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where.
    pub spot: Spot,
    /// Its bytes.
    pub length: u32,
    /// The second of the process's clock until which it is fresh while its site is quiet.
    fresh_until: u32,
    /// Which variant it is.
    pub variant: Variant,
    /// Read since it was written here.
    used: bool,
}

/// The records of one URL: nearly always one.
#[derive(Debug)]
enum Places {
    One(Place),
    Several(Box<[Place]>),
}

impl Places {
    fn all(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }

    fn all_mut(&mut self) -> &mut [Place] {
        match self {
            Self::One(place) => std::slice::from_mut(place),
            Self::Several(places) => places,
        }
    }
}

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

/// Names one write, so that what happened to the URL meanwhile is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Of what.
    pub name: Name,
    /// Which variant.
    pub variant: Variant,
    number: u64,
}

/// A write that nobody has heard of yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    number: u64,
    /// The file of what it replaces: it may be the same body under a newer head, so it stays until then.
    replaces: Option<Large>,
}

/// Why a response is not written to disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NotShelved {
    /// There is no disk store, or it is failing.
    Off,
    /// The admission policy said so.
    Admission(NotAdmitted),
    /// It would be too much of the whole store.
    TooLarge,
    /// Too much is waiting to be written.
    Behind,
    /// Its body is not whole any more, or its file cannot be given a name there.
    NotWhole,
    /// The disk failed while it was written.
    Failed,
    /// It was purged while it was on its way.
    Purged,
}

impl NotShelved {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Admission(reason) => reason.as_str(),
            Self::TooLarge => "too_large",
            Self::Behind => "behind",
            Self::NotWhole => "not_whole",
            Self::Failed => "failed",
            Self::Purged => "purged",
        }
    }
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

    // ---- what is written

    /// A response is about to be written. What was on disk of this variant is of no use any more,
    /// whatever comes of the write.
    ///
    /// # Errors
    /// It is not to be written.
    pub fn offer(
        &mut self,
        (name, variant): (Name, Variant),
        candidate: &Candidate<'_>,
    ) -> Result<Ticket, NotShelved> {
        let judged = self.judge(candidate);
        if let Err(reason) = judged {
            self.forget(name, Some(variant));
            return Err(reason);
        }
        let replaces = self.large_of(name, variant);
        self.hold(replaces);
        // The new record says in the log that the old one is gone.
        self.remove_variant(name, variant);
        self.tickets += 1;
        let pending = Pending {
            number: self.tickets,
            replaces,
        };
        if let Some(before) = self.pending.insert((name, variant), pending) {
            // Nothing was written of it, so what that was to replace is what this does.
            match replaces {
                None => self.replaces_too((name, variant), before.replaces),
                Some(_) => self.let_go(before.replaces),
            }
        }
        Ok(Ticket {
            name,
            variant,
            number: self.tickets,
        })
    }

    fn judge(&mut self, candidate: &Candidate<'_>) -> Result<(), NotShelved> {
        if !self.on {
            return Err(NotShelved::Off);
        }
        // One that took more would leave nothing for others.
        if candidate.bytes > self.budget / 2 {
            return Err(NotShelved::TooLarge);
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(NotShelved::Behind);
        }
        let admitted = self.admission.to_disk(candidate);
        admitted.map_err(NotShelved::Admission)
    }

    /// What was offered is on disk in `segment`. Whether it is in the index: not if something happened
    /// to the URL meanwhile.
    pub fn written(&mut self, now: Moment, ticket: Ticket, put: &Put, segment: u32) -> bool {
        let key = (ticket.name, ticket.variant);
        if !self.is_pending(ticket) {
            self.hold(put.large);
            self.let_go(put.large);
            self.must_be_told_gone(ticket);
            return false;
        }
        self.insert(put, segment, seconds(now).saturating_add(put.fresh.into()));
        let before = self.pending.remove(&key);
        self.let_go(before.and_then(|pending| pending.replaces));
        true
    }

    /// What was offered is not on disk, or in part: nobody knows.
    pub fn not_written(&mut self, ticket: Ticket) {
        if self.is_pending(ticket) {
            let before = self.pending.remove(&(ticket.name, ticket.variant));
            self.let_go(before.and_then(|pending| pending.replaces));
        }
        self.must_be_told_gone(ticket);
    }

    fn is_pending(&self, ticket: Ticket) -> bool {
        let pending = self.pending.get(&(ticket.name, ticket.variant));
        pending.is_some_and(|pending| pending.number == ticket.number)
    }

    fn replaces_too(&mut self, key: (Name, Variant), large: Option<Large>) {
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.replaces = large;
        }
    }

    fn large_of(&self, name: Name, variant: Variant) -> Option<Large> {
        let mut places = self.names.get(&name)?.all().iter();
        let place = places.find(|place| place.variant == variant)?;
        self.larges.get(&place.spot).map(|(_, large)| *large)
    }

    /// The record at `from` was written again, in `segment`. Whether it is in the index there.
    pub fn moved(&mut self, from: Spot, put: &Put, segment: u32) -> bool {
        let Some(place) = self.at(put.name, from).copied() else {
            self.hold(put.large);
            self.let_go(put.large);
            return false;
        };
        self.insert(put, segment, place.fresh_until.into());
        true
    }

    fn insert(&mut self, put: &Put, segment: u32, fresh_until: u64) {
        let place = Place {
            spot: Spot {
                segment,
                offset: put.offset,
            },
            length: put.length,
            fresh_until: u32::try_from(fresh_until).unwrap_or(u32::MAX),
            variant: put.variant,
            used: false,
        };
        self.hold(put.large);
        self.remove_variant(put.name, put.variant);
        self.make_room_for_variant(put.name);
        if let Some(large) = put.large {
            self.larges.insert(place.spot, (put.name, large));
        }
        let of = self.segments.entry(segment).or_default();
        of.live += 1;
        of.large += put.large.map_or(0, |large| large.bytes);
        self.objects += 1;
        match self.names.get_mut(&put.name) {
            None => {
                self.names.insert(put.name, Places::One(place));
            }
            Some(places) => {
                let all = places.all().iter().copied().chain([place]).collect();
                *places = Places::Several(all);
            }
        }
    }

    /// One miss reads all that is kept of a URL: of many variants the one written first makes room.
    fn make_room_for_variant(&mut self, name: Name) {
        let places = self.names.get(&name).map(Places::all).unwrap_or_default();
        if places.len() >= VARIANTS_MAX
            && let Some(oldest) = places.first()
        {
            self.forget(name, Some(oldest.variant));
        }
    }

    fn at(&self, name: Name, spot: Spot) -> Option<&Place> {
        let places = self.names.get(&name)?.all();
        places.iter().find(|place| place.spot == spot)
    }

    fn remove_variant(&mut self, name: Name, variant: Variant) {
        let Some(places) = self.names.get_mut(&name) else {
            return;
        };
        let Some(place) = places.all().iter().find(|place| place.variant == variant) else {
            return;
        };
        let place = *place;
        match places {
            Places::One(_) => {
                self.names.remove(&name);
            }
            Places::Several(several) => {
                let others = several.iter().filter(|other| other.variant != variant);
                let others: Box<[_]> = others.copied().collect();
                *places = match others[..] {
                    [last] => Places::One(last),
                    _ => Places::Several(others),
                };
            }
        }
        self.objects -= 1;
        let large = self.larges.remove(&place.spot).map(|(_, large)| large);
        if let Some(segment) = self.segments.get_mut(&place.spot.segment) {
            segment.live = segment.live.saturating_sub(1);
            let bytes = large.map_or(0, |large| large.bytes);
            segment.large = segment.large.saturating_sub(bytes);
        }
        self.let_go(large);
    }

    // ---- how it stands

    /// Bytes on disk, everything included.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Bytes that it may have.
    #[must_use]
    pub const fn budget(&self) -> u64 {
        self.budget
    }

    /// Records known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.objects
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.objects == 0
    }

    /// Segments.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Bodies in files of their own.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Whether a record speaks of the file `id`.
    #[must_use]
    pub fn has_file(&self, id: u64) -> bool {
        self.files.contains_key(&id)
    }

    /// Bytes of memory that the index takes, about: the table at its capacity.
    #[must_use]
    pub fn index_bytes(&self) -> u64 {
        let slot = size_of::<(Name, Places)>() as u64 + 1;
        // The table is at most seven eighths full.
        self.names.capacity() as u64 * 8 / 7 * slot
    }

    /// Responses on their way to disk.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

/// Whole seconds of the process's clock.
const fn seconds(now: Moment) -> u64 {
    now.as_nanos() / 1_000_000_000
}
