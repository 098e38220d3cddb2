//! The segment that is being written: where the next record goes, and what bytes go where.
//!
//! Records are collected and written together: first the data, then the entries that speak of it, so
//! that an entry never stands without its record before the machine itself fails; and then the checks
//! tell. A process never goes on with a segment that another began.

use common::clock::Moment;

use super::elapsed::Stamp;
use super::entry::{self, ENTRY_LEN, Entry, Large, Name, Put, Variant};

/// What is to be written now, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Into which segment.
    pub segment: u32,
    /// The head of both of its files, if they are not there yet.
    pub head: Option<[u8; ENTRY_LEN]>,
    /// Where the data goes.
    pub data_at: u64,
    /// Records, one after another.
    pub data: Vec<u8>,
    /// Where the entries go.
    pub index_at: u64,
    /// Entries.
    pub index: Vec<u8>,
    /// Whether any of them says that something is gone.
    pub removes: bool,
}

#[derive(Debug)]
struct Open {
    id: u32,
    stamp: Stamp,
    begun: Moment,
    batch: Batch,
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    open: Option<Open>,
    next_segment: u32,
    next_large: u64,
    most: u64,
}

/// What a record is about.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The URL.
    pub name: Name,
    /// The variant.
    pub variant: Variant,
    /// Its body, if that is in a file of its own.
    pub large: Option<Large>,
    /// Seconds for which it is still fresh.
    pub fresh: u32,
}

/// Bytes of a segment in a store of `budget`: few enough files to keep open, and small enough parts
/// of the whole to go at once.
#[must_use]
pub const fn segment_bytes(budget: u64) -> u64 {
    const LEAST: u64 = 64 << 10;
    const USUAL: u64 = 64 << 20;
    const MOST: u64 = 1 << 30;
    let many = budget / 128;
    let few = budget / 16;
    let bytes = if many > USUAL {
        many
    } else if few < USUAL {
        few
    } else {
        USUAL
    };
    if bytes < LEAST {
        LEAST
    } else if bytes > MOST {
        MOST
    } else {
        bytes
    }
}

impl Log {
    /// A log in a store of `budget` bytes whose next segment and next large body have these numbers.
    #[must_use]
    pub const fn new(budget: u64, next_segment: u32, next_large: u64) -> Self {
        Self {
            open: None,
            next_segment,
            next_large,
            most: segment_bytes(budget),
        }
    }

    /// The longest record that is written: a quarter of a segment.
    #[must_use]
    pub const fn record_most(&self) -> u64 {
        self.most / 4
    }

    /// The most that a segment's records stand for, large bodies included: a store of large bodies has
    /// to be able to give up a part of them.
    #[must_use]
    pub const fn segment_most(&self) -> u64 {
        self.most
    }

    /// A number for a body in a file of its own.
    pub const fn next_large(&mut self) -> u64 {
        self.next_large += 1;
        self.next_large - 1
    }

    /// The segment being written.
    #[must_use]
    pub fn segment(&self) -> Option<u32> {
        self.open.as_ref().map(|open| open.id)
    }

    /// Whether a record of `length` still fits into the segment that is open.
    #[must_use]
    pub fn fits(&self, length: u64) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let end = open.batch.data_at + open.batch.data.len() as u64;
            end + length <= self.most
        })
    }

    /// Begins a new segment. What was collected must have been taken before.
    pub fn begin(&mut self, now: Moment, stamp: Stamp) -> u32 {
        let id = self.next_segment;
        self.next_segment += 1;
        self.open = Some(Open {
            id,
            stamp,
            begun: now,
            batch: Batch {
                segment: id,
                head: Some(entry::head(id, &stamp)),
                data_at: ENTRY_LEN as u64,
                data: Vec::new(),
                index_at: ENTRY_LEN as u64,
                index: Vec::new(),
                removes: false,
            },
        });
        id
    }

    /// The stamp of what is written at `now`. `None` if no segment is open.
    #[must_use]
    pub fn stamp(&self, now: Moment) -> Option<Stamp> {
        let open = self.open.as_ref()?;
        Some(open.stamp.after(now.since(open.begun)))
    }

    /// Adds a record. `None` if no segment is open.
    pub fn put(&mut self, now: Moment, about: &About, record: &[&[u8]]) -> Option<Put> {
        let open = self.open.as_mut()?;
        let offset = open.batch.data_at + open.batch.data.len() as u64;
        let length: usize = record.iter().map(|part| part.len()).sum();
        let put = Put {
            name: about.name,
            variant: about.variant,
            offset: u32::try_from(offset).ok()?,
            length: u32::try_from(length).ok()?,
            large: about.large,
            at: u32::try_from(now.since(open.begun).as_secs()).unwrap_or(u32::MAX),
            fresh: about.fresh,
        };
        record
            .iter()
            .for_each(|part| open.batch.data.extend_from_slice(part));
        open.batch.index.extend(Entry::Put(put).encode(open.id));
        Some(put)
    }

    /// Adds that something is gone. `None` if no segment is open.
    pub fn gone(&mut self, name: Name, variant: Option<Variant>) -> Option<()> {
        let open = self.open.as_mut()?;
        let entry = Entry::Gone(name, variant);
        open.batch.index.extend(entry.encode(open.id));
        open.batch.removes = true;
        Some(())
    }

    /// Bytes collected.
    #[must_use]
    pub fn collected(&self) -> usize {
        let open = self.open.as_ref();
        open.map_or(0, |open| open.batch.data.len() + open.batch.index.len())
    }

    /// What was collected, to be written now. `None` if that is nothing.
    pub fn take(&mut self) -> Option<Batch> {
        let open = self.open.as_mut()?;
        if open.batch.index.is_empty() {
            return None;
        }
        let data_end = open.batch.data_at + open.batch.data.len() as u64;
        let index_end = open.batch.index_at + open.batch.index.len() as u64;
        let next = Batch {
            segment: open.id,
            head: None,
            data_at: data_end,
            data: Vec::new(),
            index_at: index_end,
            index: Vec::new(),
            removes: false,
        };
        Some(std::mem::replace(&mut open.batch, next))
    }

    /// The segment that is open gets nothing more: it is full, or a write failed and nobody knows what
    /// is in it.
    pub fn close(&mut self) {
        self.open = None;
    }
}
