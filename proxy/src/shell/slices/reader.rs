//! An answer made of slices: looked for a few ahead, given out in order.
//!
//! What it holds is bounded by the slices that it looks ahead, whatever the length of the answer. A slice
//! that breaks off is looked for again, and goes on where it broke: its version is the same, or its fetch
//! fails. What cannot be had becomes an error of the client's connection, never a hole.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::{Found, Large};
use crate::engine::reason::FailReason;
use crate::engine::slices::window::Window;
use crate::engine::slices::{bytes_of, slices_of};
use crate::shell::body::{Cut, Reader};
use crate::shell::fill::Seat;

/// How often one slice is looked for again after it broke off.
const AGAIN_MOST: u32 = 3;

/// A slice that is looked for.
type Coming = JoinHandle<Result<Found, FailReason>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Sliced {
    large: Large,
    window: Window,
    /// Bytes still to be given out.
    left: Range<u64>,
    coming: VecDeque<(u64, Coming)>,
    reading: Option<(u64, Reader<Option<Seat>>)>,
    /// How often the slice being read was looked for again.
    again: u32,
}

impl Sliced {
    /// The bytes `range` of `large`. `first` is the first slice of them, if it has been looked for.
    pub(crate) fn new(large: Large, range: Range<u64>, first: Option<Found>) -> Self {
        let ahead = large.ctx.extents.config.ahead;
        let mut sliced = Self {
            window: Window::new(slices_of(&range), ahead),
            large,
            left: range,
            coming: VecDeque::new(),
            reading: None,
            again: 0,
        };
        if let Some(found) = first
            && let Some(n) = sliced.window.begin(true)
        {
            sliced.read(n, found);
        }
        sliced
    }

    /// Goes on with slice `n`.
    fn read(&mut self, n: u64, found: Found) {
        let of = bytes_of(n, self.large.total());
        let from = self.left.start.saturating_sub(of.start);
        let to = self.left.end.min(of.end) - of.start;
        let reader = found.slice.body.reader(from, Some(to), found.seat);
        self.reading = Some((n, reader));
        self.window.reading();
    }

    fn look_for(&self, n: u64) -> Coming {
        let large = self.large.clone();
        tokio::spawn(async move { large.obtain(n).await })
    }

    fn look_ahead(&mut self) {
        while let Some(n) = self.window.begin(self.large.ctx.room.is_short()) {
            let coming = self.look_for(n);
            self.coming.push_back((n, coming));
        }
    }

    /// A slice broke off while it was read. Whether it is looked for again.
    fn go_on_after(&mut self, n: u64, reason: FailReason) -> bool {
        // Bytes that were not what they should be have been given out.
        let final_word = matches!(reason, FailReason::Digest | FailReason::Changed);
        if final_word || self.again >= AGAIN_MOST {
            return false;
        }
        self.again += 1;
        let coming = self.look_for(n);
        self.coming.push_front((n, coming));
        true
    }
}

impl Body for Sliced {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        loop {
            if self.left.is_empty() {
                return Poll::Ready(None);
            }
            self.look_ahead();
            if let Some((n, reader)) = &mut self.reading {
                let n = *n;
                match std::task::ready!(Pin::new(reader).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        let Ok(bytes) = frame.into_data() else {
                            continue;
                        };
                        self.left.start += bytes.len() as u64;
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                    Some(Err(Cut(reason))) => {
                        self.reading = None;
                        if !self.go_on_after(n, reason) {
                            return Poll::Ready(Some(Err(Cut(reason))));
                        }
                    }
                    None => {
                        self.reading = None;
                        self.again = 0;
                        self.window.read();
                    }
                }
                continue;
            }
            // The window is open as long as anything is left.
            let Some((n, coming)) = self.coming.front_mut() else {
                return Poll::Ready(Some(Err(Cut(FailReason::Truncated))));
            };
            let n = *n;
            let found = std::task::ready!(Pin::new(coming).poll(cx));
            self.coming.pop_front();
            match found {
                Ok(Ok(found)) => self.read(n, found),
                Ok(Err(reason)) => return Poll::Ready(Some(Err(Cut(reason)))),
                Err(_) => return Poll::Ready(Some(Err(Cut(FailReason::Abandoned)))),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end - self.left.start)
    }
}

/// Whoever leaves waits for nothing any more.
impl Drop for Sliced {
    fn drop(&mut self) {
        for (_, coming) in &self.coming {
            coming.abort();
        }
    }
}
