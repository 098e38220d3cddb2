//! The controller's doors: the database, the HTTP API, the files of programs.
//!
//! [`api`] has the routes, `rollouts` those of rollouts, [`store`] the database, `blobs` the programs, [`token`] who may do what,
//! `problem` how a "no" looks. One desk in memory, behind one lock that is never held while anything
//! is waited for. `openapi.json` describes the routes; a test compares both.

pub mod api;
mod blobs;
mod orders;
mod problem;
mod rollouts;
mod run;
pub mod store;
pub mod token;
mod views;

pub use run::{Options, run};
