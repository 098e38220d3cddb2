//! The operator's one command, `atoll`.
//!
//! It starts a whole CDN on one machine (`dev`), sends a crowd through it (`crowd`), shows its
//! processes (`status`), turns a URL into its coralised forms (`url`), makes secrets and keys (`secret`, `key`),
//! signs releases (`release`), runs the daemons of a node
//! (`agent`), tells nodes what to run (`controller`) and is the demo's web server (`origin`). It knows the daemons only from outside: their command
//! lines, their admin pages, the names and addresses they serve. No code of theirs is linked in.
//!
//! Pure parts, tested without processes: [`cluster::layout`] (who listens where, with which
//! arguments), [`demo::respond`] and [`demo::route`] (a request's answer), [`crowd::cache_status`]
//! and [`crowd::report`], [`render`], [`figures`], [`doctor`], [`top`], [`trace`], all of
//! [`engine`], [`agent::engine`] and [`controller::engine`]. The rest carries out what they decide.

pub mod admin;
pub mod agent;
pub mod cluster;
pub mod cmd;
pub mod controller;
pub mod crowd;
pub mod demo;
pub mod doctor;
pub mod engine;
pub mod exchange;
pub mod figures;
pub mod outcome;
pub mod release_dir;
pub mod render;
pub mod ring;
pub mod say;
pub mod svg;
pub mod top;
pub mod trace;

pub use cmd::run;
