//! The demo's web site: an ordinary origin that can be made slow or dead while it runs.
//!
//! It serves real files, content made up for crowds and large downloads, and counts what it was
//! asked, because "how many requests reached the origin" is what the demo is about. It knows
//! nothing of Atoll. [`route`] and [`respond`] decide the answer (pure), [`content`] makes up
//! bytes (pure); [`server`] and [`admin`] carry it out, [`state`] is what they share, [`site`] the
//! files that come with the program.

pub mod admin;
pub mod body;
pub mod content;
pub mod respond;
pub mod route;
pub mod server;
pub mod site;
pub mod state;
