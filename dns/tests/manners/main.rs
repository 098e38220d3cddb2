//! How the name server treats what is sent to it, by RFC and section: bytes in, bytes out.
//!
//! Each test names its standard and section, and its doc comment says what that asks for. The
//! engine answers, through both of its doors; what sockets do is tested in `daemon.rs`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

mod abuse;
mod cookies;
mod edns;
mod lab;
mod messages;
mod subnet;
mod types;
