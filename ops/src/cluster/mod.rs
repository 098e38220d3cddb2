//! A whole network on one machine, as real processes on loopback.
//!
//! [`layout`] plans it (pure), [`ports`] finds room for it, [`home`] is its directory, [`binaries`]
//! finds the programs, [`process`] starts and ends them, [`readiness`] waits until all of it works,
//! and [`ready_file`] tells scripts and `atoll status` where it is. [`question`] asks a name server.

pub mod binaries;
mod certificate;
pub mod home;
pub mod layout;
pub mod ports;
pub mod process;
pub mod question;
pub mod readiness;
pub mod ready_file;
