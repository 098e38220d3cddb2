//! All end-to-end tests in one program: real daemons, real sockets, one claim per test.
//!
//! `ATOLL_BIN_DIR` names programs to test instead of those built from this tree. What cannot be
//! tested on a machine is said on standard error in a line that begins with `SKIPPED`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as the tests do")]

mod architecture;
mod cli;
mod coop;
mod dht;
mod dns;
mod fleet;
mod guides;
mod http;
mod http2;
mod programs;
mod seeing;
mod store;
mod tls;
