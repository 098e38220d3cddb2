//! A calendar of a test's own for real processes: `libfaketime`, loaded before them.
//!
//! What they read of the date is what the test says. Their monotonic clock is the machine's, but for
//! [`Calendar::fast`]: there both run fast, and with them every wait, as with a bad crystal.

use std::fs;
use std::path::{Path, PathBuf};

use crate::daemon::Vars;
use crate::place::Place;
use crate::skip;

/// Where distributions put it; the one for programs with threads.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A calendar that can be set while processes read it. Drop it after they are gone.
#[derive(Debug)]
pub struct Calendar {
    file: PathBuf,
    vars: Vars,
}

impl Calendar {
    /// One that is right. `None`, said loudly, where there is no libfaketime.
    #[must_use]
    pub fn right(place: &Place) -> Option<Self> {
        Self::new(place, "+0", &[("FAKETIME_DONT_FAKE_MONOTONIC", "1")])
    }

    /// One that is a minute ahead and runs a tenth too fast, like everything else that its processes know of
    /// time.
    #[must_use]
    pub fn fast(place: &Place) -> Option<Self> {
        Self::new(place, "+60s x1.1", &[])
    }

    fn new(place: &Place, says: &str, more: &[(&str, &str)]) -> Option<Self> {
        let Some(library) = LIBRARIES.iter().find(|file| Path::new(file).is_file()) else {
            skip::loudly("a calendar of its own needs libfaketime");
            return None;
        };
        let file = place.file("calendar");
        let own = [
            ("LD_PRELOAD", *library),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str()?),
            ("FAKETIME_CACHE_DURATION", "1"),
        ];
        let vars = own.iter().chain(more);
        let vars = vars
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let calendar = Self { file, vars };
        calendar.says(says);
        Some(calendar)
    }

    /// How far it is from the right one, from a second later on: `+3d`, `-2h`, `+0`.
    pub fn says(&self, how: &str) {
        // Renamed into place: a process that reads half a line would take it for another time.
        let aside = self.file.with_extension("aside");
        fs::write(&aside, format!("{how}\n")).unwrap();
        fs::rename(&aside, &self.file).unwrap();
    }

    /// What makes processes read it.
    #[must_use]
    pub fn vars(&self) -> Vars {
        self.vars.clone()
    }
}

/// What the library leaves behind of a process that ended without a chance to tidy up.
pub(crate) fn forget(pid: u32) {
    for name in [
        format!("faketime_shm_{pid}"),
        format!("sem.faketime_sem_{pid}"),
    ] {
        drop(fs::remove_file(Path::new("/dev/shm").join(name)));
    }
}
