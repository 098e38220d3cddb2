//! The doors to the system that every daemon opens in the same way.
//!
//! Command line, configuration, private files, log output, signals, the admin listener, datagrams in
//! batches. No decisions: what a setting means, when to drain, what a state page says is the daemon's.

pub mod admin;
pub mod cli;
pub mod datagrams;
pub mod log;
pub mod private_file;
pub mod secret;
pub mod signals;
