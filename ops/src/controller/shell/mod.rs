//! The controller's doors: the database, the HTTP API, the files of programs.
//!
//! [`api`] has the routes, `rollouts` those of rollouts, [`store`] the database, `blobs` the programs, [`token`] who may do what,
//! `problem` how a "no" looks, `serve` the connections and their bounds. One desk in memory, behind one lock that is never held while anything
//! is waited for. `openapi.json` describes the routes; a test compares both.

mod answer;
pub mod api;
mod blobs;
mod orders;
mod problem;
mod rollouts;
mod run;
mod serve;
pub mod store;
mod timely;
pub mod token;
mod views;

pub(crate) use run::no_store;
pub use run::{Options, run};
