//! How a response becomes a record: its body in a segment beside its head, or in a file of its own that
//! gets a name.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use common::clock::Clock as _;

use super::{Body, Writer};
use crate::engine::http::fresh::Heat;
use crate::engine::shelf::NotShelved;
use crate::engine::shelf::entry::{Large, Put};
use crate::engine::shelf::log::About;
use crate::engine::shelf::record::{self, BodyOf};
use crate::shell::body::{BESIDE_LEAST, Content};
use crate::shell::spill::Spill;
use crate::shell::store::{HasShelf, Write, ask};

/// Bodies in files that are no longer than this are copied into a segment.
const SMALL_FILE: u64 = 256 << 10;

impl Writer {
    /// Adds a response to what is written next.
    pub(super) fn add(&mut self, shelf: &dyn HasShelf, write: &Write) -> io::Result<()> {
        let content = write.object.body.content();
        let body = match content.as_ref().map(|content| self.body_of(content)) {
            Some(Ok(Some(body))) => body,
            Some(Ok(None)) => {
                self.drop_write(shelf, write, NotShelved::TooLarge);
                return Ok(());
            }
            None => {
                self.drop_write(shelf, write, NotShelved::NotWhole);
                return Ok(());
            }
            Some(Err(error)) => {
                self.drop_write(shelf, write, NotShelved::Failed);
                return Err(error);
            }
        };
        let put = self.add_record(shelf, write, &body, content.map_or([0; 32], |c| c.digest));
        self.unqueue(write);
        match put {
            Ok(Some((put, segment))) => {
                if let Body::Inline(_, length @ BESIDE_LEAST..) = body {
                    // A record ends with its body.
                    let end = u64::from(put.offset) + u64::from(put.length);
                    let object = Arc::clone(&write.object);
                    self.underway.beside.push((object, end - length));
                }
                self.underway.puts.push((write.ticket, put, segment));
                Ok(())
            }
            Ok(None) => {
                ask(shelf, |shelf| shelf.not_written(write.ticket));
                self.store.counters.not_written(NotShelved::TooLarge);
                Ok(())
            }
            Err(error) => {
                ask(shelf, |shelf| shelf.not_written(write.ticket));
                self.store.counters.not_written(NotShelved::Failed);
                Err(error)
            }
        }
    }

    fn add_record(
        &mut self,
        shelf: &dyn HasShelf,
        write: &Write,
        body: &Body,
        digest: [u8; 32],
    ) -> io::Result<Option<(Put, u32)>> {
        let (now, object) = (self.store.clock.moment(), &write.object);
        let (of, pieces, large) = match body {
            Body::Inline(pieces, length) => (BodyOf::Inline(*length), &pieces[..], None),
            Body::Large(large, checks) => (BodyOf::Large(*large, checks), &[][..], Some(*large)),
        };
        // Its head is as long in any segment.
        let stamp = self.store.stamp();
        let body_len: usize = pieces.iter().map(Bytes::len).sum();
        let mut head = record::encode(object, (0, &stamp, now), &digest, of);
        let length = (head.len() + body_len) as u64;
        if length > self.log.record_most() {
            return Ok(None);
        }
        self.make_room(shelf, length + large.map_or(0, |large| large.bytes))?;
        self.room_for(shelf, length)?;
        let Some(segment) = self.log.segment() else {
            return Ok(None);
        };
        record::seal(&mut head, segment);
        let fresh = object.remaining(now, Heat::Quiet).as_secs();
        let about = About {
            name: write.ticket.name,
            variant: write.ticket.variant,
            large,
            fresh: u32::try_from(fresh).unwrap_or(u32::MAX),
        };
        let parts = pieces.iter().map(|piece| &piece[..]);
        let parts: Vec<_> = [&head[..]].into_iter().chain(parts).collect();
        Ok(self.log.put(now, &about, &parts).map(|put| (put, segment)))
    }

    /// How a body goes to disk. `None` if it cannot.
    fn body_of(&mut self, content: &Content) -> io::Result<Option<Body>> {
        let length = content.length;
        // Room for the head is a part of what a record may have.
        let fits = length <= self.log.record_most() / 2;
        match (&content.pieces, &content.file) {
            (Some(pieces), _) if fits => Ok(Some(Body::Inline(pieces.clone(), length))),
            (_, Some(file)) if fits && length <= SMALL_FILE => {
                let len = usize::try_from(length).unwrap_or(usize::MAX);
                let read = file.read(0, len)?;
                Ok(Some(Body::Inline(vec![read], length)))
            }
            (_, Some(file)) => self.named(file, length),
            (Some(pieces), None) => {
                let file = Arc::new(Spill::create(&self.store.space)?);
                let mut at = 0;
                for piece in pieces {
                    file.write(piece, at)?;
                    at += piece.len() as u64;
                }
                self.named(&file, length)
            }
            (None, None) => Ok(None),
        }
    }

    /// Gives a body in a file a name, unless it has one.
    fn named(&mut self, file: &Arc<Spill>, length: u64) -> io::Result<Option<Body>> {
        let Some(checks) = file.checks(length) else {
            return Ok(None);
        };
        if let Some(id) = file.id() {
            return Ok(Some(Body::Large(Large { id, bytes: length }, checks)));
        }
        let id = self.log.next_large();
        match self.store.disk.link(file.file(), id) {
            Ok(()) => {}
            // A file system without files that get their name later, or a file that lost its own.
            Err(error) if is_no_fault(&error) => {
                tracing::debug!(%error, "a large body cannot be given a name");
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        file.shelved(id);
        let mut files = self.store.files();
        files.larges.retain(|_, spill| spill.strong_count() > 0);
        files.larges.insert(id, Arc::downgrade(file));
        drop(files);
        self.underway.named.push(Arc::clone(file));
        Ok(Some(Body::Large(Large { id, bytes: length }, checks)))
    }

    fn unqueue(&self, write: &Write) {
        self.store.queued.fetch_sub(write.queued, Ordering::Relaxed);
    }

    pub(super) fn drop_write(&self, shelf: &dyn HasShelf, write: &Write, why: NotShelved) {
        self.unqueue(write);
        self.store.counters.not_written(why);
        ask(shelf, |shelf| shelf.not_written(write.ticket));
    }
}

/// Whether a body could not be given a name for a reason that lies in the file, not in the disk.
fn is_no_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::CrossesDevices | io::ErrorKind::Unsupported
    )
}
