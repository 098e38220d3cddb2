//! The controller: what each node is to run, and what it says it runs.
//!
//! Agents call it; it calls nobody. It may be gone for days, and nodes go on: an order that was followed
//! once needs no controller any more. [`engine`] decides, [`shell`] has the database, the listener
//! and the clock.

pub mod client;
pub mod engine;
pub mod shell;
