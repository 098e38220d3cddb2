//! Making room: the oldest segments go, and what was used of them moves to the newest.

use std::io;

use common::clock::Clock as _;

use super::Writer;
use crate::engine::shelf::entry::{ENTRY_LEN, Entry, Put, Spot, entries};
use crate::engine::shelf::log::About;
use crate::engine::shelf::record;
use crate::engine::shelf::{Fate, MOVED_MOST};
use crate::shell::store::{HasShelf, ask};

/// Entries that are judged under one hold of the lock.
const JUDGED: usize = 256;

impl Writer {
    /// Lets the oldest segments go until `more` bytes fit.
    pub(in crate::shell::store) fn make_room(
        &mut self,
        shelf: &dyn HasShelf,
        more: u64,
    ) -> io::Result<()> {
        let collected = self.log.collected() as u64;
        while let Some(segment) =
            ask(shelf, |shelf| shelf.in_the_way(more + collected)).unwrap_or_default()
        {
            self.reclaim(shelf, segment)?;
        }
        Ok(())
    }

    fn reclaim(&mut self, shelf: &dyn HasShelf, segment: u32) -> io::Result<()> {
        if self.log.segment() == Some(segment) {
            self.flush(shelf)?;
            self.close();
        }
        // One that cannot be read says nothing of what is to stay.
        let index = std::fs::read(self.store.disk.index(segment)).unwrap_or_default();
        let index = index.get(ENTRY_LEN..).unwrap_or_default();
        let puts = entries(index, segment).filter_map(|entry| match entry {
            Some(Entry::Put(put)) => Some(put),
            Some(Entry::Gone(..)) | None => None,
        });
        let puts: Vec<_> = puts.collect();
        let mut may_move = self.log.segment_most() / MOVED_MOST;
        let now = self.store.clock.moment();
        for some in puts.chunks(JUDGED) {
            let judged = ask(shelf, |shelf| {
                let fate = |put: &Put| shelf.reclaim(now, put, segment);
                some.iter().map(fate).collect::<Vec<_>>()
            });
            for (put, fate) in some.iter().zip(judged.unwrap_or_default()) {
                let Fate::Moves(fresh) = fate else { continue };
                let length = u64::from(put.length);
                let fits = length <= may_move;
                may_move = may_move.saturating_sub(length);
                self.move_record(shelf, put, (segment, fresh), fits)?;
            }
        }
        self.flush(shelf)?;
        self.store.counters.reclaimed();
        self.drop_segment(shelf, segment)
    }

    /// Writes a record of `segment` again, if it `fits` and is whole; else it goes too.
    fn move_record(
        &mut self,
        shelf: &dyn HasShelf,
        put: &Put,
        (segment, fresh): (u32, u32),
        fits: bool,
    ) -> io::Result<()> {
        let spot = Spot {
            segment,
            offset: put.offset,
        };
        let bytes = if fits {
            self.store.record(spot, put.length)
        } else {
            None
        };
        let Some(bytes) = bytes else {
            ask(shelf, |shelf| shelf.not_moved(put.name, spot));
            return Ok(());
        };
        self.room_for(shelf, bytes.len() as u64)?;
        let Some(to) = self.log.segment() else {
            return Ok(());
        };
        let about = About {
            name: put.name,
            variant: put.variant,
            large: put.large,
            fresh,
        };
        let now = self.store.clock.moment();
        let moved = record::moved(&bytes, segment, to);
        let again = moved.and_then(|bytes| self.log.put(now, &about, &[&bytes]));
        self.underway.moves.extend(again.map(|put| (spot, put, to)));
        Ok(())
    }

    pub(super) fn drop_segment(&self, shelf: &dyn HasShelf, segment: u32) -> io::Result<()> {
        let disk = &self.store.disk;
        disk.remove(&disk.index(segment))?;
        disk.remove(&disk.data(segment))?;
        self.store.files().segments.remove(&segment);
        ask(shelf, |shelf| shelf.segment_gone(segment));
        self.remove_loose(shelf)
    }

    pub(in crate::shell::store) fn remove_loose(&self, shelf: &dyn HasShelf) -> io::Result<()> {
        let loose = ask(shelf, |shelf| shelf.take_loose()).unwrap_or_default();
        for large in loose {
            let reader = self.store.files().larges.remove(&large.id);
            if let Some(spill) = reader.and_then(|spill| spill.upgrade()) {
                spill.unshelved();
            }
            self.store.disk.remove(&self.store.disk.large(large.id))?;
        }
        Ok(())
    }

    /// Removes segments that hold nothing of use.
    pub(super) fn tidy(&self, shelf: &dyn HasShelf) -> io::Result<()> {
        let newest = self.log.segment();
        while let Some(segment) =
            ask(shelf, |shelf| shelf.empty_segment(newest)).unwrap_or_default()
        {
            self.drop_segment(shelf, segment)?;
        }
        Ok(())
    }
}
