//! What origins send, read so that what is meant comes through and what is unclear does not.
//!
//! A [`Reader`] is fed the bytes of one connection in pieces of any size and gives the head, the
//! body's bytes and its end. It is the only reader of origins' responses: a second parser beside it
//! would be a second opinion about where a body ends.
//!
//! Three classes, decided per deviation and never by chance of timing:
//! - **odd**: the meaning is clear. It comes through as if it had been sent well; only the
//!   connection is not used again.
//! - **doubtful**: it is good enough for who asked, but not for keeping: something that decides
//!   about caching could not be read, or the framing has a second, less likely meaning.
//! - [`Unclear`]: it could mean several things, and a wrong guess would show one client another's
//!   bytes. A bad gateway, with its reason.
//!
//! Not here: sockets, deadlines, and what a response means for caching.

pub mod chunked;
pub mod fields;
pub mod framing;
pub mod head;
pub mod part;
pub mod reader;
pub mod unclear;

pub use reader::{Event, Reader};
pub use unclear::Unclear;

/// Notes on how well a response was formed, gathered while it is read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Form {
    /// It deviated from the standard; its connection is not used again.
    pub odd: bool,
    /// It must not be kept.
    pub doubtful: bool,
}

impl Form {
    /// A deviation whose meaning is clear.
    pub const fn odd(&mut self) {
        self.odd = true;
    }

    /// A deviation whose meaning is only likely.
    pub const fn doubtful(&mut self) {
        self.odd = true;
        self.doubtful = true;
    }
}

#[cfg(test)]
mod tests;
