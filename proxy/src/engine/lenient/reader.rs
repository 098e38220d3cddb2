//! One response from its first byte to its last: the machine that the shell feeds.
//!
//! How the bytes were cut into pieces changes nothing but how the body's bytes are cut: a head is
//! judged once it is whole, and an error is found at the same byte.

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;

use super::chunked::{Chunks, Piece};
use super::framing::Framing;
use super::head::{self, EndFinder, HEAD_MAX, Head, Opening};
use super::{Form, Unclear};
use crate::engine::reason::FailReason;

/// Most interim responses before the final one.
pub const INTERIMS_MAX: usize = 20;

/// What comes out of a connection.
#[derive(Clone, Debug)]
pub enum Event {
    /// The head of an interim response; at most [`INTERIMS_MAX`] times, and before anything else.
    Interim(Box<Head>),
    /// The final response's head; once, and before what follows.
    Head(Box<Head>),
    /// Bytes of its body, never none.
    Data(Bytes),
    /// Its clean end. Nothing follows.
    End,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Close {
    /// As its protocol says it should: FIN, and over TLS `close_notify` before it.
    Clean,
    /// By a reset, or by TLS without `close_notify`.
    Cut,
}

#[derive(Clone, Debug)]
enum State {
    Head(EndFinder),
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Over,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Reader {
    is_head: bool,
    state: State,
    interims: usize,
    form: Form,
    keeps_alive: bool,
}

impl Reader {
    /// A reader of the response to a request, which was a HEAD or not.
    #[must_use]
    pub fn new(is_head: bool) -> Self {
        Self {
            is_head,
            state: State::Head(EndFinder::default()),
            interims: 0,
            form: Form::default(),
            keeps_alive: false,
        }
    }

    /// Takes what comes next off `buf`. `None` if more bytes are needed; they are to be appended to
    /// what was left.
    ///
    /// # Errors
    /// The response is [`Unclear`]; nothing more can be made of it.
    pub fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Event>, Unclear> {
        match &mut self.state {
            State::Head(_) => self.head(buf),
            State::Length(_) | State::UntilClose if buf.is_empty() => Ok(None),
            State::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buf.len());
                *left -= here as u64;
                if *left == 0 {
                    self.state = State::Over;
                }
                Ok(Some(Event::Data(buf.split_to(here).freeze())))
            }
            State::UntilClose => Ok(Some(Event::Data(buf.split().freeze()))),
            State::Chunked(chunks) => match chunks.next(buf, &mut self.form)? {
                Piece::Data(data) => Ok(Some(Event::Data(data))),
                Piece::More => Ok(None),
                Piece::End => {
                    self.state = State::Over;
                    Ok(Some(Event::End))
                }
            },
            State::Over => Ok(Some(Event::End)),
        }
    }

    /// The connection ended, after everything in it was taken by [`next`](Self::next).
    ///
    /// # Errors
    /// The response was not whole.
    pub fn close(&mut self, close: Close) -> Result<(), FailReason> {
        self.keeps_alive = false;
        let whole = match &self.state {
            State::Head(_) => return Err(FailReason::Broken),
            State::Length(_) => false,
            State::Chunked(chunks) => chunks.is_whole(),
            // RFC 9112 §8: whole, unless the connection itself says that it was cut.
            State::UntilClose => close == Close::Clean,
            State::Over => true,
        };
        if whole {
            self.state = State::Over;
            Ok(())
        } else {
            Err(FailReason::Truncated)
        }
    }

    /// Whether the connection may carry another exchange: asked at the end, with what is left in
    /// `buf`. Bytes that nobody asked for say no.
    #[must_use]
    pub const fn may_be_reused(&self, left: usize) -> bool {
        matches!(self.state, State::Over) && self.keeps_alive && !self.form.odd && left == 0
    }

    /// A head, once it is whole.
    fn head(&mut self, buf: &mut BytesMut) -> Result<Option<Event>, Unclear> {
        let State::Head(finder) = &mut self.state else {
            return Ok(None);
        };
        let start = match head::opening(buf) {
            Opening::Status(start) => start,
            Opening::Short if buf.len() <= HEAD_MAX => return Ok(None),
            Opening::Short => return Err(Unclear::HeadTooLarge),
            // Only as the first thing on a connection: after an interim head it is no page.
            Opening::Page if self.interims == 0 => {
                return Ok(Some(self.begin(head::of_page())));
            }
            Opening::Page | Opening::Neither => return Err(Unclear::NotHttp),
        };
        let end = match finder.find(buf, start) {
            Some(end) if end <= HEAD_MAX => end,
            None if buf.len() <= HEAD_MAX => return Ok(None),
            _ => return Err(Unclear::HeadTooLarge),
        };
        let mut head = head::read(&buf[start..end], self.is_head)?;
        buf.advance(end);
        if start > 0 {
            head.form.odd();
        }
        if !head.status.is_informational() {
            return Ok(Some(self.begin(head)));
        }
        self.interim(head.status)?;
        Ok(Some(Event::Interim(Box::new(head))))
    }

    fn interim(&mut self, status: StatusCode) -> Result<(), Unclear> {
        self.interims += 1;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            Err(Unclear::Switched)
        } else if self.interims > INTERIMS_MAX {
            Err(Unclear::Interims)
        } else {
            self.state = State::Head(EndFinder::default());
            Ok(())
        }
    }

    fn begin(&mut self, head: Head) -> Event {
        self.keeps_alive = head.keeps_alive();
        self.state = match head.framing {
            Framing::None | Framing::Length(0) => State::Over,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Chunks::default()),
            Framing::UntilClose if self.is_head => State::Over,
            Framing::UntilClose => State::UntilClose,
        };
        Event::Head(Box::new(head))
    }
}
