//! The doors to the system that every daemon opens in the same way.
//!
//! Command line, configuration, files, private ones, log output, signals, the admin listener, datagrams in
//! batches, the supervisor and the sockets it passes on. No decisions: what a setting means, when to drain, what a state page says is the daemon's.

pub mod admin;
pub mod aside;
pub mod boot;
pub mod cli;
pub mod datagrams;
pub mod export;
pub mod inherited;
pub mod log;
pub mod private_file;
pub mod secret;
pub mod signals;
pub mod supervisor;
