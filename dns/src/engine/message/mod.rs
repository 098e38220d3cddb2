//! Messages as bytes: how a question is read, and how a reply is written.
//!
//! | file | does |
//! |---|---|
//! | [`read`] | header, question, the way to OPT: everything that somebody else wrote |
//! | [`options`] | what OPT says |
//! | [`header`] | the header of a reply |
//! | [`opt`] | the OPT record of a reply |
//! | [`budget`] | how long a reply may be |
//! | [`careful`] | any reply, its records written by `hickory-proto` |
//!
//! There is one reader, strict and without allocation, for every message. There are two writers:
//! [`careful`] for any reply and [`plain`](super::plain) for the few kinds that nearly all replies
//! are. Both give the same bytes for the same reply.

pub mod budget;
pub mod careful;
pub mod header;
pub mod opt;
pub mod options;
pub mod read;

/// Bytes of a message header (RFC 1035 §4.1.1).
pub const HEADER: usize = 12;

/// Largest reply over UDP, in bytes: what crosses practically every path in one piece (DNS flag
/// day 2020). Clients that announce more get no more.
pub const UDP_PAYLOAD_MAX: u16 = 1_232;

/// Largest reply over UDP to whoever says nothing, or less (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
pub const UDP_PAYLOAD_MIN: u16 = 512;

/// Type of the OPT record (RFC 6891 §6.1.2).
pub const OPT: u16 = 41;
