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

/// The shell ends each check at its timeout; this much later its result is taken for lost.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(2);

/// A proxy that is out and was not mentioned by the index for this long is forgotten.
pub const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Between two looks for proxies to forget.
pub const FORGET_EVERY: Duration = Duration::from_secs(10);
