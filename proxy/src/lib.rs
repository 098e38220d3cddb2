//! The proxy: a coralised URL in, the origin's page out, from as near as possible.
//!
//! `engine` decides and touches nothing: no sockets, files, clock, tasks or global randomness;
//! time and generators are arguments. `shell` moves bytes and carries the decisions out. The crate
//! is not a general proxy: it serves names under its zone only, GET and HEAD only, and never
//! passes on as whole what it did not receive whole.

pub mod engine;
#[cfg(feature = "shell")]
pub mod shell;
