//! Whether this node does its work: it put and got a value through others in the last minute.
//!
//! Running, having contacts and answering pings prove nothing; a whole put and get through other
//! nodes does. Readiness trusts this alone. Decides when to test and what the results mean; the
//! façade runs the walks.

use std::time::Duration;

use common::clock::Moment;
use common::ids::Key;
use common::rng::Generator;

/// A passed test counts for so long.
const COUNTS_FOR: Duration = Duration::from_secs(60);

/// Time until the next test after a failed one.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Time from the first contact to the first test: the self-lookup goes first.
const FIRST_AFTER: Duration = Duration::from_millis(100);

/// The verdict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Health {
    /// No other node is known; this one serves itself.
    Alone,
    /// There are others, and the first test is not over.
    Untested,
    /// A put and a get went through others within the last minute.
    Healthy,
    /// They did not.
    Failing,
}

impl Health {
    /// The word for logs, state and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Untested => "untested",
            Self::Healthy => "healthy",
            Self::Failing => "failing",
        }
    }
}

/// What the test does.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    Putting,
    Getting,
}

/// A value of the test's own making.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Under a random key.
    pub key: Key,
    /// Random bytes.
    pub value: Vec<u8>,
}

/// The test and its results.
#[derive(Clone, Debug)]
pub struct SelfTest {
    every: Duration,
    due: Option<Moment>,
    stage: Stage,
    probe: Probe,
    passed: Option<Moment>,
    failed: bool,
}

impl SelfTest {
    /// A test to run every so often while there are contacts.
    #[must_use]
    pub const fn new(every: Duration) -> Self {
        let probe = Probe {
            key: Key::ZERO,
            value: Vec::new(),
        };
        Self {
            every,
            due: None,
            stage: Stage::Idle,
            probe,
            passed: None,
            failed: false,
        }
    }

    /// The first contact was made.
    pub fn joined(&mut self, now: Moment) {
        self.due = Some(now + FIRST_AFTER);
    }

    /// The last contact is gone: there is nobody to test with.
    pub fn alone(&mut self) {
        (self.due, self.stage, self.passed, self.failed) = (None, Stage::Idle, None, false);
    }

    /// When the next test is due.
    #[must_use]
    pub const fn next_due(&self) -> Option<Moment> {
        self.due
    }

    // Idle ⇒ Putting
    /// If a test is due, what to put first.
    pub fn begin(&mut self, now: Moment, rng: &mut Generator) -> Option<Probe> {
        self.due.filter(|due| *due <= now)?;
        // Should the walks never report, the next test still comes.
        self.due = Some(now + self.every);
        self.stage = Stage::Putting;
        self.probe = Probe {
            key: Key::from_bytes(rng.bytes()),
            value: rng.bytes::<8>().to_vec(),
        };
        Some(self.probe.clone())
    }

    // Putting ⇒ (Getting | Idle)
    /// The put succeeded or not. If it did, what to get now.
    pub fn put_done(&mut self, now: Moment, stored: bool) -> Option<Key> {
        if self.stage != Stage::Putting {
            return None;
        }
        if !stored {
            self.fail(now);
            return None;
        }
        self.stage = Stage::Getting;
        Some(self.probe.key)
    }

    // Getting ⇒ Idle
    /// The get came back with these values. Says whether the test passed; `None` if none ran.
    pub fn get_done(&mut self, now: Moment, values: &[Vec<u8>]) -> Option<bool> {
        if self.stage != Stage::Getting {
            return None;
        }
        let passed = values.contains(&self.probe.value);
        if passed {
            self.stage = Stage::Idle;
            (self.passed, self.failed) = (Some(now), false);
        } else {
            self.fail(now);
        }
        Some(passed)
    }

    fn fail(&mut self, now: Moment) {
        self.stage = Stage::Idle;
        self.failed = true;
        self.due = Some(now + RETRY_AFTER);
    }

    /// The verdict, given whether there are contacts.
    #[must_use]
    pub fn health(&self, now: Moment, contacts: bool) -> Health {
        let passed = self
            .passed
            .is_some_and(|passed| now.since(passed) <= COUNTS_FOR);
        match (contacts, passed) {
            (false, _) => Health::Alone,
            (true, true) => Health::Healthy,
            (true, false) if self.failed || self.passed.is_some() => Health::Failing,
            (true, false) => Health::Untested,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn only_a_whole_put_and_get_makes_it_healthy_and_for_a_minute_only() {
        let mut rng = Generator::from_seed(1);
        let mut test = SelfTest::new(Duration::from_secs(20));
        assert_eq!(test.health(at(0), false), Health::Alone);
        test.joined(at(0));
        assert_eq!(test.begin(at(50), &mut rng), None);
        let probe = test.begin(at(100), &mut rng).unwrap();
        assert_eq!(test.health(at(100), true), Health::Untested);
        assert_eq!(test.put_done(at(150), true), Some(probe.key));
        assert_eq!(test.get_done(at(200), &[probe.value]), Some(true));
        assert_eq!(test.health(at(200), true), Health::Healthy);
        assert_eq!(test.health(at(60_300), true), Health::Failing);
        assert_eq!(test.next_due(), Some(at(20_100)));
    }

    #[test]
    fn a_failed_test_is_repeated_soon() {
        let mut rng = Generator::from_seed(1);
        let mut test = SelfTest::new(Duration::from_secs(20));
        test.joined(at(0));
        test.begin(at(100), &mut rng).unwrap();
        assert_eq!(test.put_done(at(200), false), None);
        assert_eq!(test.health(at(200), true), Health::Failing);
        assert_eq!(test.next_due(), Some(at(2_200)));
        let probe = test.begin(at(2_200), &mut rng).unwrap();
        test.put_done(at(2_200), true).unwrap();
        assert_eq!(test.get_done(at(2_300), &[b"other".to_vec()]), Some(false));
        assert_eq!(test.get_done(at(2_300), &[probe.value]), None);
    }
}
