//! The vocabulary of the end-to-end tests: real daemons on loopback addresses of their own, an
//! origin that misbehaves on demand, clients that notice what is wrong with an answer.
//!
//! A test takes a [`Place`](place::Place), starts what it needs there, and asks:
//!
//! ```no_run
//! # use harness::{cluster::Proxy, origin::{Origin, Reply}, place::Place};
//! # async fn reads_as_a_sentence() {
//! let place = Place::shared().await;
//! let origin = Origin::start(&place).await;
//! origin.serves("/hello", |_| Reply::page("hello").fresh_for(60));
//! let proxy = Proxy::alone(&place, &[]).await;
//! let answer = proxy.get(&origin.page("/hello")).await;
//! assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
//! # }
//! ```
//!
//! Nothing here sleeps except [`wait`]: a test waits for a condition, with a deadline. Everything
//! fails by panicking, since all of it runs inside a test. No traffic leaves the machine.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a harness fails the test it runs in by panicking, everywhere"
)]

pub mod authority;
pub mod binaries;
pub mod browser;
pub mod calendar;
pub mod check_page;
pub mod client;
pub mod cluster;
pub mod crash;
pub mod daemon;
pub mod dev;
pub mod disk;
pub mod exec;
pub mod fleet;
pub mod footprint;
pub mod fuzz;
pub mod guide;
pub mod lossy;
pub mod map;
pub mod metrics;
pub mod network;
pub mod origin;
pub mod pattern;
pub mod place;
pub mod postgres;
pub mod resolver;
pub mod skip;
pub mod steady;
pub mod wait;
pub mod watch;
pub mod web;
