//! A part of a core for a server: the load has to be able to want many times what is given, and on
//! two cores it cannot do that to a server that has one of them.
//!
//! By the `cpu` controller of cgroups, version 1 or 2, where this process may write there. Threads
//! that take the core away would do it too, but give the server more the oftener it wakes up.

use std::fs;
use std::path::{Path, PathBuf};

/// Short, so that what the quota makes wait is not taken for the server's slowness.
const PERIOD_US: u32 = 10_000;

/// A group with a quota; its processes go back to where they were with it.
#[derive(Debug)]
pub(crate) struct Quota {
    root: &'static Path,
    dir: PathBuf,
}

impl Quota {
    /// Gives `pids` together `percent` of a core. `None` where that is not possible here.
    pub(crate) fn give(pids: &[u32], percent: u32) -> Option<Self> {
        let quota = PERIOD_US / 100 * percent;
        let name = format!("atoll-bench-{}", std::process::id());
        let v1 = Path::new("/sys/fs/cgroup/cpu");
        let v2 = Path::new("/sys/fs/cgroup");
        let (root, settings) = if v1.is_dir() {
            let period = ("cpu.cfs_period_us", PERIOD_US.to_string());
            (v1, vec![period, ("cpu.cfs_quota_us", quota.to_string())])
        } else {
            // Without effect where it is on already.
            let _ = fs::write(v2.join("cgroup.subtree_control"), "+cpu");
            (v2, vec![("cpu.max", format!("{quota} {PERIOD_US}"))])
        };
        let dir = root.join(name);
        fs::create_dir(&dir).ok()?;
        let group = Self { root, dir };
        for (file, value) in settings {
            fs::write(group.dir.join(file), value).ok()?;
        }
        for pid in pids {
            fs::write(group.dir.join("cgroup.procs"), pid.to_string()).ok()?;
        }
        Some(group)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let members = fs::read_to_string(self.dir.join("cgroup.procs"));
        for pid in members.unwrap_or_default().split_whitespace() {
            // One that has ended needs no place.
            let _ = fs::write(self.root.join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.dir);
    }
}
