//! The name server as pure state machines; the shell moves their bytes and timers.
//!
//! - [`server::Server`] answers: one question in, one reply out, from the zone and from the set of
//!   live proxies that it was last given. It never waits and never asks anybody.
//! - [`checker::Checker`] keeps that set: it chooses whom to check of those it knows, says whom to
//!   ping, whom to fetch from and when to wake it, is told what came of it, and publishes a new
//!   [`live::LiveSet`] whenever it changes.
//! - [`near::learner::Learner`] finds out, in the background, which proxies are near the networks that
//!   ask, and publishes a new table of [`near::places::Places`].
//! - [`watch`] compares what a zone's parent says of it with the zone.
//!
//! Nothing here opens a socket, reads a clock, takes a lock or draws global randomness: `now` is an
//! argument, a [`Generator`](common::rng::Generator) is a field, effects are values.
//!
//! ```
//! use std::time::Duration;
//! use common::clock::Moment;
//! use common::rng::Generator;
//! use dns::engine::checker::Checker;
//! use dns::engine::config::CheckConfig;
//! use dns::engine::output::{HttpOutcome, Output};
//!
//! let proxy = "192.0.2.1:80".parse().unwrap();
//! let config = CheckConfig { fixed: vec![proxy], ..CheckConfig::default() };
//! let mut checker = Checker::new(config, false, Generator::from_seed(1), Moment::ZERO);
//! let (mut now, mut live) = (Moment::ZERO, None);
//! while live.is_none() {
//!     checker.handle_timeout(now);
//!     // Drain after every call; `Wake` is always last.
//!     loop {
//!         match checker.poll_output(now) {
//!             Output::Http { proxy } => {
//!                 let fine = HttpOutcome::Served { took: Duration::from_millis(3), draining: false, spare: 100 };
//!                 checker.handle_http(now, proxy, fine);
//!             }
//!             Output::Publish(set) => live = Some(set),
//!             Output::Wake(at, _) => {
//!                 now = now.max(at);
//!                 break;
//!             }
//!             Output::Pings(_) | Output::Refresh { .. } | Output::Changed(_) => {}
//!         }
//!     }
//! }
//! assert_eq!(live.unwrap().v4.len(), 1);
//! ```

pub mod answer;
pub mod appetite;
pub mod asked;
pub mod checker;
pub mod config;
pub mod cookie;
pub mod exchange;
pub mod inquiry;
pub mod limiter;
pub mod live;
pub mod message;
pub mod named;
pub mod near;
pub mod output;
pub mod pace;
pub mod plain;
pub mod pool;
pub mod probe;
pub mod proxy;
pub mod reason;
pub mod record;
pub mod reply;
pub mod server;
pub mod share;
pub mod sign;
pub mod siphash;
pub mod snapshot;
pub mod stats;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod watch;
pub mod zone;
