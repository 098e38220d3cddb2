//! The one who writes a body: makes room for what comes, in memory or in a file, and says how it
//! ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{End, SharedBody};
use crate::engine::pointer::Digest;
use crate::engine::reason::FailReason;
use crate::shell::spill::{Spill, SpillSpace};

/// How long a piece may take to the disk: a disk that hangs would keep a fetch and all its readers for ever.
const SPILL_WITHIN: Duration = Duration::from_secs(10);

/// How long the writer of a window waits for a reader that does not read.
pub(super) const READER_STALL: Duration = Duration::from_secs(10);

/// When and where a body is spilled.
#[derive(Clone, Debug)]
pub(crate) struct SpillRule {
    /// The room.
    pub(crate) space: Arc<SpillSpace>,
    /// Bodies up to this many bytes stay in memory.
    pub(crate) over: u64,
}

/// The one who writes a body. Dropped before the end, the body is broken.
#[derive(Debug)]
pub(crate) struct Writer {
    body: Arc<SharedBody>,
    spill: Option<SpillRule>,
    /// How long it waits for a reader that does not read.
    pub(super) stall: Duration,
    ended: bool,
}

impl Writer {
    pub(super) const fn of(body: Arc<SharedBody>, spill: Option<SpillRule>) -> Self {
        Self {
            body,
            spill,
            stall: READER_STALL,
            ended: false,
        }
    }

    /// Appends bytes; waits only when the body is a window whose readers are behind.
    pub(crate) async fn push(&mut self, bytes: Bytes) {
        self.prepare(&bytes).await;
        self.body.lock().push(bytes);
    }

    /// Makes room for `bytes`, which come next. Nobody sees anything of them yet.
    pub(crate) async fn prepare(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
            return;
        }
        let (len, short, begun) = {
            let inner = self.body.lock();
            (inner.len, inner.room.is_short(), inner.spill.is_some())
        };
        let total = len + bytes.len() as u64;
        // A file that has been begun has no gaps, however much room there is again.
        let spills = |rule: &SpillRule| short || begun || total > rule.over;
        if self.spill.as_ref().is_some_and(spills) {
            self.spill_up_to_now(bytes).await;
        } else if self.spill.is_none() {
            self.make_room(bytes.len() as u64).await;
        }
    }

    /// Writes what is in memory and `next` to the file, or gives up on the file for good.
    async fn spill_up_to_now(&mut self, next: &Bytes) {
        let Some(rule) = self.spill.clone() else {
            return;
        };
        let (file, mut pieces, from) = {
            let inner = self.body.lock();
            match &inner.spill {
                Some((spill, covered)) => (Some(Arc::clone(spill)), Vec::new(), *covered),
                None => (None, inner.chunks.iter().cloned().collect(), 0),
            }
        };
        pieces.push(next.clone());
        let written = tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(Spill::create(&rule.space)?),
            };
            let mut at = from;
            for piece in pieces {
                file.write(&piece, at)?;
                at += piece.len() as u64;
            }
            Ok::<_, std::io::Error>((file, at))
        });
        let written = match timeout(SPILL_WITHIN, written).await {
            Ok(written) => written,
            Err(_) => Ok(Err(std::io::ErrorKind::TimedOut.into())),
        };
        match written {
            Ok(Ok(spilled)) => self.body.lock().spill = Some(spilled),
            Ok(Err(error)) => {
                tracing::warn!(%error, "no room to spill a body: it passes through memory only");
                self.spill = None;
                self.make_room(next.len() as u64).await;
            }
            Err(_) => self.spill = None,
        }
    }

    /// Waits until a window has room for `bytes` more, or the readers in the way have stalled.
    async fn make_room(&self, bytes: u64) {
        let fits = || {
            let mut inner = self.body.lock();
            let most = inner.most_held();
            if inner.len - inner.base + bytes <= most {
                return true;
            }
            let (base, covered) = (inner.base, inner.covered_by_file());
            // Whoever has been left behind before is not waited for again; until the first reader
            // comes, everything is.
            let can_go_on = |at: &u64| *at >= base || *at < covered;
            let positions = inner.readers.values().map(|following| following.at);
            let slowest = positions.filter(can_go_on).min().unwrap_or(u64::MAX);
            let slowest = if inner.next_reader == 0 { 0 } else { slowest };
            inner.trim(0, slowest);
            inner.len - inner.base + bytes <= most.max(bytes)
        };
        let bell = Arc::clone(&self.body.lock().moved);
        let wait = async {
            loop {
                let moved = bell.notified();
                if fits() {
                    return;
                }
                moved.await;
            }
        };
        if timeout(self.stall, wait).await.is_err() {
            let mut inner = self.body.lock();
            let keep = inner.most_held() / 2;
            inner.trim(keep, u64::MAX);
            // Whoever stands before what is left finds out at its next read.
            inner.wake_readers();
        }
    }

    /// The body is whole with `last`, which was [prepared](Self::prepare) for, and this is its digest.
    pub(crate) fn finish(mut self, last: Bytes, digest: Digest) {
        self.ended = true;
        let mut inner = self.body.lock();
        inner.end = End::Whole(digest);
        inner.push(last);
    }

    /// The body broke off for `reason`.
    pub(crate) fn break_off(mut self, reason: FailReason) {
        self.ended = true;
        self.end(reason);
    }

    fn end(&self, reason: FailReason) {
        let mut inner = self.body.lock();
        inner.end = End::Broken(reason);
        inner.wake_readers();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.ended {
            self.end(FailReason::Abandoned);
        }
    }
}
