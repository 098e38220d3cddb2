//! How a client reads, and what waits for it in the kernel: little, by which it is seen how fast it
//! reads; more for a few of those who have shown to be quick.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Moment, SystemClock};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use socket2::Socket;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use crate::engine::uptake::Uptake;

/// Bytes that wait in the kernel unsent before it takes no more: small enough to see how fast a
/// client reads, large enough to keep a fast one busy between two turns.
#[cfg(target_os = "linux")]
pub(super) const UNSENT_MOST: u32 = 32 << 10;

/// The same for a client that has shown to be quick: as much as the kernel takes by its own bound. With
/// 32 KiB ten mebibytes cost two and a half times as much, for it asks for more hundreds of times;
/// with a mebibyte a fifth more.
#[cfg(target_os = "linux")]
pub(super) const UNSENT_QUICK: u32 = 4 << 20;

/// How many may have that at a time: it is the kernel's memory, and who was quick may stop reading.
/// Others, however quick, are asked more often.
pub(super) const QUICK_MOST: usize = 32;

/// Between two looks whether a client has taken what it was given beyond the usual.
pub(super) const LEAVES_WITHIN: Duration = Duration::from_millis(250);

/// What is the same for all lines.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The window over which a client's reading is judged.
    pub(super) patience: Duration,
    /// Room for those who are quick.
    pub(super) quick: Arc<Semaphore>,
    /// What their waits are measured with.
    pub(super) clock: SystemClock,
}

impl Terms {
    /// `patience` is the window over which a client's reading is judged. Clones share the room for
    /// those who are quick.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            quick: Arc::new(Semaphore::new(QUICK_MOST)),
            clock: SystemClock::new(),
        }
    }

    /// The window over which a client's reading is judged.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// Sets what the connections that come through `listener` inherit from it.
    pub(in crate::shell) fn impose(&self, listener: &Socket) {
        // Small answers go out at once; failing to say so only costs time.
        drop(listener.set_tcp_nodelay(true));
        #[cfg(target_os = "linux")]
        if let Err(error) = listener
            .set_tcp_user_timeout(Some(self.patience))
            .and_then(|()| listener.set_tcp_notsent_lowat(UNSENT_MOST))
        {
            tracing::debug!(%error, "no deadline for a client that does not read");
        }
    }
}

/// How a client reads.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) uptake: Uptake,
    pub(super) timer: Option<Pin<Box<Sleep>>>,
    /// Held while more may wait for it than for others.
    pub(super) room: Option<OwnedSemaphorePermit>,
    /// No more does, but as much may still be there.
    leaving: bool,
}

impl Reading {
    /// Of a client that has taken `written` bytes before it was waited for.
    pub(super) fn new(patience: Duration, written: u64) -> Self {
        let mut uptake = Uptake::new(patience);
        // It was not waited for: nothing is judged.
        let _ = uptake.took(Moment::ZERO, written);
        Self {
            uptake,
            timer: None,
            room: None,
            leaving: false,
        }
    }

    /// The client took something: gives it the room it deserves.
    pub(super) fn suit(&mut self, stream: &TcpStream, terms: &Terms) {
        if self.leaving {
            // It took this within the usual bound.
            self.left();
        }
        match (self.uptake.is_quick(), &self.room) {
            (true, None) => {
                if let Ok(room) = Arc::clone(&terms.quick).try_acquire_owned() {
                    self.room = Some(room);
                    bound(stream, true);
                }
            }
            (false, Some(_)) => self.leave(stream),
            (true, Some(_)) | (false, None) => {}
        }
    }

    pub(super) fn leave(&mut self, stream: &TcpStream) {
        if !self.leaving {
            bound(stream, false);
            self.leaving = true;
        }
    }

    pub(super) fn left(&mut self) {
        self.room = None;
        self.leaving = false;
        self.timer = None;
    }
}

/// Bounds what may wait unsent on `stream`. Failing to leaves the bound that was.
fn bound(stream: &TcpStream, quick: bool) {
    #[cfg(target_os = "linux")]
    {
        let most = if quick { UNSENT_QUICK } else { UNSENT_MOST };
        drop(SockRef::from(stream).set_tcp_notsent_lowat(most));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, quick);
}

/// Whether less is unsent on `stream` than may be.
pub(super) fn takes_more(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut fds = [PollFd::new(stream, PollFlags::OUT)];
    let now = Timespec::default();
    // Who cannot be asked any more is gone.
    poll(&mut fds, Some(&now)).map_or(true, |ready| ready > 0)
}
