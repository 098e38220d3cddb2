//! The name server: answers coralised names with live proxies that it has verified itself.
//!
//! [`engine`] is the whole of it as two pure state machines: one answers questions from the zone
//! and a set of live proxies, the other keeps that set by pings and HTTP checks. It opens no socket,
//! starts no task, takes no lock, reads no clock and no environment. It does know DNS names and
//! records (`hickory-proto`, which is pure), but not messages: how they are read and written is the
//! shell's affair.
//!
//! `shell` (feature `shell`) is the daemon: sockets, the client of the local index, HTTP requests to
//! proxies, the admin listener. It decides nothing.
//!
//! Nothing here resolves names, follows anybody else's word on who is alive, or starts a check
//! because of a query.

pub mod engine;
#[cfg(feature = "shell")]
pub mod shell;
