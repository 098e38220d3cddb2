//! What is read back: all variants of a URL into memory for those who ask, or a record's head for the
//! index.
//!
//! Every read is checked. What is not as it was written is a miss: it goes from the store, is counted,
//! and nobody sees a byte of it. A disk that is slow delays a request by a bounded time, after which
//! the request goes on as if there were no disk.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use common::clock::Clock as _;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::DiskStore;
use super::counters::ReadOutcome;
use super::writer::is_out_of_files;
use crate::engine::http::key::PrimaryKey;
use crate::engine::pointer::Progress;
use crate::engine::shelf::Place;
use crate::engine::shelf::entry::{Large, Name, Spot};
use crate::engine::shelf::record::{Damage, Kept, PREFACE_LEN, Preface, Record, name_of};
use crate::engine::store::object::Object;
use crate::shell::body::SharedBody;
use crate::shell::context::Context;
use crate::shell::fill::Response;
use crate::shell::index;
use crate::shell::room::Room;
use crate::shell::spill::Spill;

/// How long a request waits for the disk; then the origin is nearer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of a large body that are checked before it is used: damage there is a miss. Further on it
/// is found when it is read, and breaks the connection.
const CHECKED_FIRST: u64 = 4 << 20;

/// Damaged records after which it is looked at how many were whole meanwhile.
const LYING_LEAST: u64 = 16;

/// Times a URL is looked for again because its records moved meanwhile.
const ROUNDS: usize = 2;

/// Bodies of up to so many bytes are copied out of what was read with them.
const COPIED: usize = 64 << 10;

/// Bytes of a record that are read at first when its head is wanted.
const HEAD_GUESS: u32 = 16 << 10;

/// Why a record was not read.
#[derive(Debug)]
pub(super) enum Unread {
    Damaged(Damage),
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged(Damage::Short),
            io::ErrorKind::InvalidData => Self::Damaged(Damage::Body),
            _ => Self::Failed(error),
        }
    }
}

impl From<Damage> for Unread {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// What was read of a URL, the variant received last at the end.
pub(crate) type Loaded = Arc<[Arc<Response>]>;

/// A load under way: whoever waits for it learns of its end, however it ends.
struct Loading {
    ctx: Arc<Context>,
    key: PrimaryKey,
    read: Vec<Arc<Response>>,
    done: watch::Sender<Option<Loaded>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(store) = &self.ctx.store {
            let mut loads = store.loads.lock().unwrap_or_else(PoisonError::into_inner);
            loads.remove(&self.key);
        }
        let read = std::mem::take(&mut self.read);
        self.done.send_replace(Some(read.into()));
    }
}

/// What is on disk of `key`, if that can be read soon. It is in memory then, as far as it is worth it.
pub(crate) async fn load(ctx: &Arc<Context>, key: &PrimaryKey) -> Loaded {
    let Some(store) = &ctx.store else {
        return Loaded::default();
    };
    let Some(mut done) = join(ctx, store, key) else {
        store.counters.read(ReadOutcome::Busy);
        return Loaded::default();
    };
    let wait = done.wait_for(Option::is_some);
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(read) => read.ok().and_then(|read| read.clone()).unwrap_or_default(),
        Err(_) => {
            store.counters.read(ReadOutcome::Slow);
            Loaded::default()
        }
    }
}

/// The load of `key` under way, begun if there is none. `None` if too many are.
fn join(
    ctx: &Arc<Context>,
    store: &Arc<DiskStore>,
    key: &PrimaryKey,
) -> Option<watch::Receiver<Option<Loaded>>> {
    let mut loads = store.loads.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(under_way) = loads.get(key) {
        return Some(under_way.clone());
    }
    let permit = Arc::clone(&store.readers).try_acquire_owned().ok()?;
    let (done, wait) = watch::channel(None);
    loads.insert(key.clone(), wait.clone());
    let mut loading = Loading {
        ctx: Arc::clone(ctx),
        key: key.clone(),
        read: Vec::new(),
        done,
        _permit: permit,
    };
    let store = Arc::clone(store);
    tokio::task::spawn_blocking(move || {
        for _ in 0..ROUNDS {
            let settled;
            (loading.read, settled) = store.read_all(&loading.ctx, &loading.key);
            if settled {
                break;
            }
        }
    });
    Some(wait)
}

impl DiskStore {
    pub(super) fn count_read(&self, outcome: ReadOutcome) {
        self.counters.read(outcome);
        let right = if outcome == ReadOutcome::Damaged {
            &self.damaged
        } else {
            &self.whole
        };
        right.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether most of what was read of late was damaged. That is forgotten by asking.
    pub(super) fn is_lying(&self) -> bool {
        if self.damaged.load(Ordering::Relaxed) < LYING_LEAST {
            return false;
        }
        let damaged = self.damaged.swap(0, Ordering::Relaxed);
        let whole = self.whole.swap(0, Ordering::Relaxed);
        damaged > whole
    }

    /// Reads every variant of `key`. Says whether nothing of it moved meanwhile.
    fn read_all(&self, ctx: &Arc<Context>, key: &PrimaryKey) -> (Vec<Arc<Response>>, bool) {
        let name = name_of(key);
        let places = ctx.flow().shelf().read(name);
        let mut objects = Vec::new();
        let mut settled = true;
        for place in places {
            match self.object(&ctx.room, key, &place) {
                Ok(object) => objects.push(Arc::new(object)),
                Err(why) => settled &= self.unread(ctx, (name, key), place.spot, &why),
            }
        }
        let now = self.clock.moment();
        // The one received last is to be the one kept last.
        objects.sort_by_key(|object| std::cmp::Reverse(object.age(now)));
        for object in &objects {
            self.count_read(ReadOutcome::Whole);
            let Some(weight) = object.body.weight() else {
                continue;
            };
            let gone = ctx.flow().unshelved(Arc::clone(object), weight);
            for key in gone {
                index::withdraw(ctx, &key);
            }
        }
        (objects, settled)
    }

    /// A record could not be read. Whether that was its fault, and not that it had moved.
    fn unread(
        &self,
        ctx: &Context,
        (name, key): (Name, &PrimaryKey),
        spot: Spot,
        why: &Unread,
    ) -> bool {
        if let Unread::Failed(error) = why
            && is_out_of_files(error)
        {
            // It is as good as ever, and can be read another time.
            self.counters.read(ReadOutcome::Busy);
            return true;
        }
        if !ctx.flow().shelf().spoilt(name, spot) {
            return false;
        }
        match why {
            Unread::Damaged(damage) => {
                self.count_read(ReadOutcome::Damaged);
                let what = damage.as_str();
                tracing::warn!(url = %key, what, "a copy on disk is damaged and goes");
            }
            Unread::Failed(error) => {
                self.counters.read(ReadOutcome::Error);
                tracing::warn!(url = %key, %error, "a copy on disk cannot be read and goes");
            }
        }
        true
    }

    /// The response at `place`, which should be of `key`.
    pub(super) fn object(
        &self,
        room: &Arc<Room>,
        key: &PrimaryKey,
        place: &Place,
    ) -> Result<Response, Unread> {
        let file = self.segment(place.spot.segment)?;
        let length = place.length as usize;
        let bytes = self.disk.read(&file, length, place.spot.offset.into())?;
        let record = Record::read(&bytes, place.spot.segment)?;
        if record.response.key != *key {
            return Err(Damage::Other.into());
        }
        let body = match record.body {
            Kept::Inline(range) => {
                let at = u64::from(place.spot.offset) + range.start as u64;
                let digest = record.digest;
                let body = if range.len() <= COPIED {
                    Box::from(&bytes[range])
                } else {
                    // Moved to the front: another piece as large would have to be had first.
                    let mut bytes = bytes;
                    bytes.truncate(range.end);
                    bytes.drain(..range.start);
                    bytes.into_boxed_slice()
                };
                let body = SharedBody::whole(body, digest, room);
                body.is_beside(Arc::downgrade(&file), at);
                body
            }
            Kept::Large(large, checks) => {
                let spill = self.spill(large, checks)?;
                let first = usize::try_from(large.bytes.min(CHECKED_FIRST)).unwrap_or(0);
                spill.read(0, first)?;
                SharedBody::filed(spill, large.bytes, record.digest, room)
            }
        };
        let (now, stamp) = (self.clock.moment(), self.stamp());
        let elapsed = record.stamp.elapsed(&stamp);
        Ok(Object::restored(record.response, now, elapsed, body))
    }

    fn segment(&self, segment: u32) -> io::Result<Arc<File>> {
        let files = self.files();
        let file = files.segments.get(&segment).cloned();
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The file of a large body; one handle, whoever has it.
    fn spill(
        &self,
        large: Large,
        checks: Vec<crate::engine::shelf::blocks::Check>,
    ) -> io::Result<Arc<Spill>> {
        if let Some(spill) = self
            .files()
            .larges
            .get(&large.id)
            .and_then(|spill| spill.upgrade())
        {
            // A number that was given twice would be another body's.
            if spill.is_of(large, &checks) {
                return Ok(spill);
            }
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = File::open(self.disk.large(large.id))?;
        if file.metadata()?.len() != large.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let spill = Arc::new(Spill::opened(file, &self.space, large, checks));
        let mut files = self.files();
        files.larges.insert(large.id, Arc::downgrade(&spill));
        Ok(spill)
    }

    /// The bytes of a record, if they are as they were written.
    pub(super) fn record(&self, spot: Spot, length: u32) -> Option<Vec<u8>> {
        let file = self.segment(spot.segment).ok()?;
        let bytes = self.disk.read(&file, length as usize, spot.offset.into());
        let bytes = bytes.ok()?;
        match Record::read(&bytes, spot.segment) {
            Ok(_) => Some(bytes),
            Err(_) => {
                self.counters.read(ReadOutcome::Damaged);
                None
            }
        }
    }

    /// What the index should be told of a record, and of which URL it is. Blocks.
    pub(crate) fn peek(&self, place: &Place) -> Option<(PrimaryKey, Progress)> {
        let file = self.segment(place.spot.segment).ok()?;
        let at = u64::from(place.spot.offset);
        let guess = place.length.min(HEAD_GUESS) as usize;
        let mut bytes = self.disk.read(&file, guess, at).ok()?;
        let preface = Preface::read(&bytes).ok()?;
        let head = PREFACE_LEN + preface.head;
        if head > bytes.len() {
            bytes = self.disk.read(&file, head, at).ok()?;
        }
        let record = Record::read_head(&bytes, place.spot.segment).ok()?;
        let length = match record.body {
            Kept::Inline(range) => range.len() as u64,
            Kept::Large(large, _) => large.bytes,
        };
        let digest = record.digest;
        Some((record.response.key, Progress::Complete { length, digest }))
    }
}
