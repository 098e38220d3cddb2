//! What visitors of one kind got.

use std::time::Duration;

use super::say;
use super::visitor::End;

/// See the module.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally {
    sent: u64,
    /// Answered whole, within the visitor's patience.
    pub(crate) served: u64,
    refused: u64,
    broken: u64,
    late: u64,
    waits: Vec<Duration>,
}

impl Tally {
    /// One more visit has ended.
    pub(crate) fn count(&mut self, end: End) {
        self.sent += 1;
        match end {
            End::Served(wait) => {
                self.served += 1;
                self.waits.push(wait);
            }
            End::Refused(_) => self.refused += 1,
            End::Broken => self.broken += 1,
            End::Late => self.late += 1,
        }
    }

    /// Served per second of `time`.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn goodput(&self, time: Duration) -> f64 {
        self.served as f64 / time.as_secs_f64()
    }

    /// Prints a line.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(crate) fn show(&mut self, name: &str, time: Duration) {
        self.waits.sort_unstable();
        let part = |n: usize| {
            let at = self.waits.get(self.waits.len() * n / 100);
            at.copied().unwrap_or_default().as_secs_f64() * 1e3
        };
        let rate = self.goodput(time);
        let whole = self.served as f64 * 100.0 / (self.sent.max(1)) as f64;
        say(&format!(
            "  {name:<15} {:>7} came, {rate:>7.1} served/s ({whole:>5.1} %), {:>6} refused, {:>5} broken, {:>6} late; half within {:.0} ms, 99 % within {:.0} ms\n",
            self.sent,
            self.refused,
            self.broken,
            self.late,
            part(50),
            part(99),
        ));
    }
}
