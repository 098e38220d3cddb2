//! What happened, as the tasks beside the loop tell it.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::call::Answer;
use crate::agent::engine::Start;
use crate::agent::engine::life::{Berth, Notice};
use crate::agent::engine::report::View;
use crate::agent::engine::tally::Look;
use crate::engine::document::Signed;
use crate::engine::document::release::Manifest;
use crate::engine::document::words::{DaemonName, Digest, Version};

/// What happened, as tasks tell the loop.
#[derive(Debug)]
pub(super) enum Happening {
    Kept(bool),
    Slot(Box<Signed<Manifest>>),
    NoSlot(Version, String),
    /// A daemon's program was checked: where it is.
    Checked(Box<Start>, std::io::Result<PathBuf>),
    Ended(DaemonName, Berth, String),
    /// A daemon's process said something.
    Told(Message),
    Answered(Answer, Option<i64>),
    Looked(Vec<(DaemonName, Look)>, Vec<(String, Option<Digest>)>),
    Asked(oneshot::Sender<View>),
}

/// A message of a daemon's process.
#[derive(Debug)]
pub(super) struct Message {
    /// Which process.
    pub(super) pid: u32,
    /// What it says of itself.
    pub(super) notices: Vec<Notice>,
    /// A socket to keep, with its name.
    pub(super) keep: Option<(String, OwnedFd)>,
    /// The name of a socket to keep no longer.
    pub(super) forget: Option<String>,
}
