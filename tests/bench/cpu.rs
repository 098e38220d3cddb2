//! CPU time of a process, and on which core it runs.

use std::time::Duration;

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

/// Keeps a process, or this thread and those it starts, on one core. Without effect on a machine
/// with one.
pub(crate) fn pin(pid: Option<u32>, core: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut set = CpuSet::new();
    set.set(core % cores);
    let pid = pid.map(|pid| Pid::from_raw(i32::try_from(pid).unwrap()).unwrap());
    let _ = sched_setaffinity(pid, &set);
}
