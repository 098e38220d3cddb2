//! Waiting: for a condition, for a future, always with a deadline. The only place that sleeps.

use std::sync::OnceLock;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};

/// For anything that takes no time on a healthy machine, with room for a busy one.
pub const SOON: Duration = Duration::from_secs(15);

/// For whole clusters and large transfers.
pub const EVENTUALLY: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// The moment, on one clock for the whole process, so that moments can be compared.
#[must_use]
pub fn now() -> Moment {
    static CLOCK: OnceLock<SystemClock> = OnceLock::new();
    CLOCK.get_or_init(SystemClock::new).moment()
}

/// Waits until `condition` holds; fails the test if that takes longer than `deadline`. Returns how
/// long it took.
pub async fn until(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> Duration {
    let began = now();
    some(what, deadline, async || condition().await.then_some(())).await;
    now().since(began)
}

/// Waits until `probe` finds something; fails the test if that takes longer than `deadline`.
pub async fn some<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            pause(LOOK).await;
        }
    };
    let found = tokio::time::timeout(deadline, looking).await;
    found.unwrap_or_else(|_| panic!("never within {deadline:?}: {what}"))
}

/// Waits for `work`; fails the test if that takes longer than `deadline`.
pub async fn within<T>(what: &str, deadline: Duration, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(deadline, work).await;
    done.unwrap_or_else(|_| panic!("not within {deadline:?}: {what}"))
}

/// Lets time pass because a script says so: a slow origin, a slow client. Never to wait for something.
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_as_long_as_needed_and_no_longer() {
        let mut looks = 0;
        let took = until("the third look", SOON, async || {
            looks += 1;
            looks == 3
        })
        .await;
        assert!(looks == 3 && took < SOON);
    }

    #[tokio::test]
    #[should_panic(expected = "never within 30ms: pigs fly")]
    async fn a_condition_that_never_holds_fails_the_test_by_name() {
        until("pigs fly", Duration::from_millis(30), async || false).await;
    }
}
