//! The daemon around one engine. Decides nothing: it moves datagrams, requests and time in, and
//! what the engine wants done out.
//!
//! `address` says at start where others reach this node. Then tasks, all in one thread:
//! - `run`: owns the engine's turn: reads the UDP socket and the command queue, wakes it in time;
//! - `local`: accepts on the Unix socket, one task per connection; `routes` turns a request into a
//!   command and its answers into a response, `stream` into one that lasts;
//! - the admin listener of `common`, shown by `state` and `metrics`;
//! - `retiring`, where the index of a new network runs beside this one: looks at that one;
//! - a writer of `peers` every half minute and at the end, and of `values` at the end; `disk` says how that goes.

mod address;
mod capture;
mod disk;
mod local;
mod metrics;
mod orders;
mod peers;
mod retiring;
mod routes;
mod run;
mod settings;
mod state;
mod stream;
mod traces;
mod turns;
mod udp;
mod values;

pub use peers::parse as parse_peers;
pub use run::{Daemon, run};
pub use settings::{DaemonConfig, KEYS};
