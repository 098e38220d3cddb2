//! The index in which everybody knows everybody.
//!
//! # Map
//!
//! [`Member`] is the façade; `serve` answers others, `exchange` asks them, `spread` deals with what
//! is told of members, `hand` gives values to whom they belong by now, `desk` takes commands, `work` carries them out, `upkeep` does what timers
//! ask, `view` shows. The rooms below know nothing of each other: [`roster`] says who is a member,
//! [`gossip`] what is still to be passed on, `own` what this node's clients have put, [`owners`] who stores a key, `task` what a command has
//! come to. Everything else is shared with the sloppy index: gate, tokens, store, requests under
//! way, round-trip times, self-test, messages.
//!
//! How it works and how it compares: `docs/design/full-membership.md`.
//!
//! # Absent on purpose
//!
//! Routing, clusters and shedding: a key is one hop away, its owners are the same for everybody,
//! and they carry its whole load.

mod desk;
mod exchange;
pub mod gossip;
mod hand;
mod node;
pub mod own;
pub mod owners;
pub mod roster;
mod serve;
mod spread;
mod task;
#[cfg(test)]
mod tests;
mod upkeep;
mod view;
mod work;

pub use node::Member;
