//! Where records are: one place each, and nearly always one record of a URL.

use super::entry::{Spot, Variant};

/// One record on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Where.
    pub spot: Spot,
    /// Its bytes.
    pub length: u32,
    /// The second of the process's clock until which it is fresh while its site is quiet.
    pub(super) fresh_until: u32,
    /// Which variant it is.
    pub variant: Variant,
    /// Read since it was written here.
    pub(super) used: bool,
}

/// The records of one URL: nearly always one.
#[derive(Debug)]
pub(super) enum Places {
    One(Place),
    Several(Box<[Place]>),
}

impl Places {
    pub(super) fn all(&self) -> &[Place] {
        match self {
            Self::One(place) => std::slice::from_ref(place),
            Self::Several(places) => places,
        }
    }

    pub(super) fn all_mut(&mut self) -> &mut [Place] {
        match self {
            Self::One(place) => std::slice::from_mut(place),
            Self::Several(places) => places,
        }
    }
}
