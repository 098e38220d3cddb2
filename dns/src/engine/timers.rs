//! Every reason to wake the checker, and how late is too late.

use std::time::Duration;

/// What a wake-up is for. All are armed and cleared in `Checker::poll_output`, which computes the
/// earliest afresh each time, so that none can be forgotten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// A ping or HTTP check is due.
    Check,
    /// The result of a check is overdue: whoever ran it is gone, and the check counts as not made.
    Overdue,
    /// Time to ask the index for candidates.
    Refresh,
    /// A set with other weights or levels may go out.
    Weights,
    /// Time to see who is slow beside whom, who is held back, and who is to be checked.
    Tend,
    /// Time to forget proxies that are out and that nobody mentions any more.
    Forget,
}

/// A wake-up that comes later than this after its time means that this process was starved; what it
/// then believes to have missed says nothing about others.
pub const STARVED_AFTER: Duration = Duration::from_millis(500);

/// Between two sets that differ in weights or levels only, at least: at 10,000 proxies there is hardly
/// a check without such a change. Who comes or goes is not waited for.
pub const WEIGHTS_EVERY: Duration = Duration::from_secs(1);

/// Between two questions for candidates.
pub const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// A page that was under way when a wake-up came later than this says nothing about how slow a proxy
/// is: this process was, or its machine.
pub const HASTY_AFTER: Duration = Duration::from_millis(50);

/// Between two looks at all checked proxies.
pub const TEND_EVERY: Duration = Duration::from_secs(1);

/// Between two deals of the seats, while there are more proxies than seats.
pub const DEAL_EVERY: Duration = Duration::from_secs(5);

/// Part of the seats that change hands in one deal at the most: a fiftieth, so that the whole set can
/// follow its clients within five minutes and no answer changes much at once.
pub const SWAPS_DIVISOR: usize = 50;

/// A proxy near clients that ask stays wanted for so long after it was last said to be.
pub const WANTED_FOR: Duration = Duration::from_secs(600);

/// A proxy that was dead for so long gives up its seat when others want it.
pub const REST_AFTER: Duration = Duration::from_secs(60);

/// One that gave up its seat so goes behind all others for so long.
pub const REST_FOR: Duration = Duration::from_secs(600);

/// Pings due within this are made together, early: the local index is asked once for all of them, and
/// a bound on detection never suffers from an early check.
pub const TOGETHER: Duration = Duration::from_millis(32);

/// Pings made together at the most: as many addresses as one request to the local index holds.
pub const PINGS_TOGETHER: usize = 64;

/// The shell ends each check at its timeout; this much later its result is taken for lost.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(2);

/// A proxy that is out and was not mentioned by the index for this long is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Between two looks for proxies to forget.
pub const FORGET_EVERY: Duration = Duration::from_secs(10);
