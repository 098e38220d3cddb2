//! What two or more of Atoll's programs must agree on, and nothing else.
//!
//! Admission rule: a thing lives here only if at least two product crates use it today, it has no
//! policy of its own, and a difference between two copies would hurt. There is no HTTP here (that
//! is the proxy's), no DNS message (the name server's), no routing (the index's), no error enum
//! shared by all, no global state.
//!
//! Everything outside feature `shell` is pure: no sockets, files, clock or environment. Feature
//! `shell` adds the doors to the system that every daemon opens in the same way: the clocks, the
//! entropy source, signals, log output, reading a configuration and a secret file, and the admin
//! listener.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod expiring;
pub mod ids;
pub mod limits;
pub mod name;
pub mod nearness;
pub mod netaddr;
pub mod rng;
#[cfg(feature = "shell")]
pub mod shell;
pub mod telemetry;
pub mod trace;
pub mod wire;
