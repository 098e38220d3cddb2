//! Orders to purge, written down before they are confirmed: what was purged here does not come back with
//! the next process.
//!
//! Appended to one file and synced, since orders are rare and a page that was purged is not to be shown
//! again even after a power cut. The file is begun anew at the first order of a process, after an error,
//! and when it holds twice as many as are remembered.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;

use tokio::sync::oneshot;

use super::Writer;
use crate::engine::purge::ORDERS_MAX;
use crate::engine::purge::book::{self, Recalled};

/// An order that is to be written down, and who waits for that.
#[derive(Debug)]
pub(in crate::shell::store) struct Told {
    pub(in crate::shell::store) entry: Vec<u8>,
    pub(in crate::shell::store) done: oneshot::Sender<bool>,
}

/// What is written down.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// The entries remembered, oldest first.
    entries: VecDeque<Vec<u8>>,
    /// Stands for those before.
    forgotten: Option<Vec<u8>>,
    /// How many of the last ones are not in the file.
    unwritten: usize,
    /// Where they go: the file, its end, and the entries in it. `None` before the first.
    open: Option<(File, u64, usize)>,
}

impl Book {
    /// One that goes on with what an earlier process wrote.
    pub(super) fn new(entries: Vec<Vec<u8>>) -> Self {
        let mut book = Self::default();
        entries.into_iter().for_each(|entry| book.add(entry));
        book.unwritten = 0;
        book
    }

    /// The disk could not be read until now: what it holds comes before what was ordered meanwhile.
    pub(super) fn recall(&mut self, recalled: &Recalled) {
        let own = std::mem::take(&mut self.entries);
        let unwritten = self.unwritten;
        let before = recalled.entries.iter().cloned();
        before.chain(own).for_each(|entry| self.add(entry));
        self.unwritten = unwritten;
    }

    fn add(&mut self, entry: Vec<u8>) {
        if self.entries.len() == ORDERS_MAX {
            let first = self.entries.pop_front();
            self.forgotten = first.map(|entry| book::forgotten(&entry));
        }
        self.entries.push_back(entry);
        self.unwritten = (self.unwritten + 1).min(ORDERS_MAX);
    }

    /// What goes behind what is in the file.
    fn news(&self) -> Vec<u8> {
        let before = self.entries.len() - self.unwritten;
        self.entries.range(before..).flatten().copied().collect()
    }

    fn all(&self) -> Vec<u8> {
        let all = self.forgotten.iter().chain(&self.entries);
        all.flatten().copied().collect()
    }
}

impl Writer {
    /// Writes down the orders that wait for it, and those that could not be written before.
    pub(super) fn write_orders(&mut self) -> io::Result<()> {
        let mut waiting = Vec::new();
        for one in self.store.take_told() {
            self.book.add(one.entry);
            waiting.push(one.done);
        }
        let written = if self.retry.is_some() {
            Err(io::Error::other("the disk store is left alone"))
        } else if self.book.unwritten == 0 {
            Ok(())
        } else {
            self.append_orders()
        };
        match &written {
            Ok(()) => self.book.unwritten = 0,
            // Nobody knows what is in it.
            Err(_) => self.book.open = None,
        }
        for done in waiting {
            // Who waited in vain has said so.
            let _ = done.send(written.is_ok());
        }
        if self.retry.is_some() {
            Ok(())
        } else {
            written
        }
    }

    fn append_orders(&mut self) -> io::Result<()> {
        let disk = &self.store.disk;
        let news = self.book.news();
        match &mut self.book.open {
            Some((file, end, count)) if *count < 2 * ORDERS_MAX => {
                disk.write_all(file, &news, *end)?;
                file.sync_data()?;
                *end += news.len() as u64;
                *count += self.book.unwritten;
            }
            _ => {
                let (all, next) = (self.book.all(), disk.orders().with_extension("new"));
                disk.remove(&next)?;
                let file = disk.create(&next)?;
                disk.write_all(&file, &all, 0)?;
                file.sync_data()?;
                fs::rename(&next, disk.orders())?;
                File::open(disk.segments())?.sync_all()?;
                let count = self.book.entries.len();
                self.book.open = Some((file, all.len() as u64, count));
            }
        }
        Ok(())
    }
}
