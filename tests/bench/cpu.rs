//! CPU time of a process, and on which core it runs.

use std::time::Duration;

pub(crate) use harness::footprint::resident;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

/// `USER_HZ` of every Linux architecture we know: the unit of times in `/proc/PID/stat`.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time used.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Cpu {
    /// In the program.
    pub(crate) user: Duration,
    /// In the kernel on its behalf.
    pub(crate) system: Duration,
}

impl Cpu {
    /// What process `pid` used so far. The resolution is 10 ms: measure for seconds.
    pub(crate) fn of(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The second field is the name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let mut times = fields.split(' ').skip(11).map(|field| {
            let ticks: u64 = field.parse().unwrap();
            Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
        });
        Self {
            user: times.next().unwrap(),
            system: times.next().unwrap(),
        }
    }

    /// What process `pid` and its children used so far.
    pub(crate) fn of_family(pid: u32) -> Self {
        let each = family(pid).into_iter().map(Self::of);
        each.fold(Self::default(), |all, one| Self {
            user: all.user + one.user,
            system: all.system + one.system,
        })
    }

    /// What the threads of process `pid` and of its children used so far, to the nanosecond (all of it
    /// as `system`); of those called `name` only, if one is given.
    pub(crate) fn exactly(pid: u32, name: Option<&str>) -> Self {
        let mut all = Self::default();
        for pid in family(pid) {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
            for task in tasks.flatten() {
                let read = |file: &str| std::fs::read_to_string(task.path().join(file));
                let called = read("comm").unwrap_or_default();
                if name.is_none_or(|name| called.trim() == name) {
                    let stat = read("schedstat").unwrap_or_default();
                    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
                    all.system += Duration::from_nanos(nanos.unwrap_or_default());
                }
            }
        }
        all
    }

    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }

    /// Both together.
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }
}

/// Keeps a process and all its threads, or this thread and those it starts, on one core. Without
/// effect on a machine with one.
pub(crate) fn pin(pid: Option<u32>, core: usize) {
    let cores = std::fs::read_dir("/sys/devices/system/cpu").map_or(1, |dirs| {
        let name = |dir: std::fs::DirEntry| dir.file_name().into_string().unwrap_or_default();
        let is_core = |name: &String| {
            let number = name.strip_prefix("cpu").unwrap_or_default();
            number.parse::<usize>().is_ok()
        };
        dirs.flatten().map(name).filter(is_core).count()
    });
    let mut set = CpuSet::new();
    set.set(core % cores.max(1));
    let Some(pid) = pid else {
        let _ = sched_setaffinity(None, &set);
        return;
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    for task in tasks.flatten() {
        let name = task.file_name().into_string().unwrap();
        let task = Pid::from_raw(name.parse().unwrap());
        let _ = sched_setaffinity(task, &set);
    }
}

/// A process, its children and theirs: some servers work in a child.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(task.path().join("children"));
        for child in children.unwrap_or_default().split_whitespace() {
            all.extend(family(child.parse().unwrap()));
        }
    }
    all
}
