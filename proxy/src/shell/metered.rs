//! The body of an answer on its way out: what went, and that it is over.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use common::clock::{Clock as _, SystemClock};
use http::Response;
use http_body::{Body, Frame, SizeHint};

use super::access::Due;
use super::body::Cut;
use super::guard::Link;
use super::metrics::InFlight;
use super::outgoing::Outgoing;
use super::share::Account;
use crate::engine::access::Ending;

/// Bytes after which the account of a long answer is told.
pub(super) const TELL_EVERY: u64 = 256 << 10;

/// What has to be done about an answer while it is on its way, and at its end.
#[derive(Default, Debug)]
pub(crate) struct Duties {
    /// Where its bytes are counted.
    pub(crate) account: Option<Account>,
    /// The line of the access log that is due at the end. Boxed, for most have none.
    pub(crate) due: Option<Box<Due>>,
    /// Counted as under way as long as this lives.
    pub(crate) in_flight: Option<InFlight>,
}

/// See the module.
pub(crate) struct Metered {
    inner: Outgoing,
    link: Arc<Link>,
    clock: SystemClock,
    duties: Duties,
    /// Bytes that there are, if that is known.
    whole: Option<u64>,
    ending: Ending,
    /// Bytes given on.
    sent: u64,
    /// Of these, as many as the account knows of.
    told: u64,
}

impl Metered {
    /// The body of `response`, with what has to be done about it.
    pub(crate) fn wrap(
        response: Response<Outgoing>,
        duties: Duties,
        link: Arc<Link>,
        clock: SystemClock,
    ) -> Response<Self> {
        let whole = response.body().size_hint().exact();
        response.map(|inner| Self {
            inner,
            link,
            clock,
            duties,
            whole,
            ending: Ending::Left,
            sent: 0,
            told: 0,
        })
    }

    fn tell(&mut self, over: bool) {
        if let Some(account) = &self.duties.account {
            let whole = over.then_some(self.sent);
            account.sent(self.clock.moment(), self.sent - self.told, whole);
            self.told = self.sent;
        }
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            None => self.ending = Ending::Complete,
            Some(Err(_)) => self.ending = Ending::Broken,
            Some(Ok(_)) => {}
        }
        if let Some(data) = frame
            .as_ref()
            .and_then(|frame| frame.as_ref().ok()?.data_ref())
        {
            self.sent += data.len() as u64;
            if self.sent - self.told >= TELL_EVERY {
                self.tell(false);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.link.served();
        self.tell(true);
        if let Some(due) = self.duties.due.take() {
            // A body of known length is not asked for its end once all of it went.
            let complete = self.inner.is_end_stream() || self.whole == Some(self.sent);
            let ending = match self.ending {
                Ending::Left if complete => Ending::Complete,
                ending => ending,
            };
            due.ended(&self.clock, self.sent, ending);
        }
    }
}
