//! What the index of an old network says of its leaving, on its state page. Pure.
//!
//! Not when it leaves: the index decides that (`dht/src/engine/retire.rs`). Here it is read, whole for whoever asks
//! the index itself, and bounded for the report of its node.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::report::{Leaving, STRAGGLERS_MAX};

/// An index that is to leave, as its state page says it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Retiring {
    /// Why it has left, once it has.
    pub left: Option<String>,
    /// Requests about keys a second that others send it, once that was counted for its `retire.window`.
    pub old_asked_per_s: Option<f64>,
    /// The same of the index of the new network.
    pub new_asked_per_s: Option<f64>,
    /// The rate under which it is quiet.
    pub quiet_under_per_s: Option<f64>,
    /// For how long it has been quiet, in seconds.
    pub quiet_for_s: Option<u64>,
    /// How long it has to be, in seconds.
    pub quiet_s: u64,
    /// When it leaves at the latest, in seconds from now.
    pub deadline_in_s: u64,
    /// Where the proxies are, as their peers know them, that are in the old network alone.
    pub stragglers: Vec<SocketAddr>,
}

impl Retiring {
    /// Reads it from the state page of an index; `None` if that is not to leave.
    #[must_use]
    pub fn read(state: &Value) -> Option<Self> {
        serde_json::from_value(state["retire"].clone()).ok()
    }

    /// What of it goes into its node's report.
    #[must_use]
    pub fn reported(&self) -> Leaving {
        let named = self.stragglers.iter().take(STRAGGLERS_MAX).copied();
        Leaving {
            left: self.left.clone(),
            asked_per_ks: self.old_asked_per_s.map(per_ks),
            new_asked_per_ks: self.new_asked_per_s.map(per_ks),
            quiet_under_per_ks: self.quiet_under_per_s.map(per_ks),
            quiet_for_s: self.quiet_for_s,
            quiet_s: self.quiet_s,
            deadline_in_s: self.deadline_in_s,
            straggler_count: self.stragglers.len() as u64,
            stragglers: named.collect(),
        }
    }
}

/// A rate a second as one in a thousand seconds: documents have no fractions.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and rates are not negative"
)]
fn per_ks(per_s: f64) -> u64 {
    (per_s * 1_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_names_a_few_stragglers_and_counts_the_rest() {
        let many: Vec<_> = (0..20).map(|n| format!("192.0.2.{n}:81")).collect();
        let page = json!({ "retire": { "left": null, "old_asked_per_s": 0.25, "new_asked_per_s": 210.0,
            "quiet_under_per_s": 2.1, "quiet_for_s": null, "quiet_s": 600, "deadline_in_s": 7_200,
            "stragglers": many } });
        let reported = Retiring::read(&page).unwrap().reported();
        assert_eq!(reported.straggler_count, 20);
        assert_eq!(reported.stragglers.len(), STRAGGLERS_MAX);
        let rates = [
            reported.asked_per_ks,
            reported.new_asked_per_ks,
            reported.quiet_under_per_ks,
        ];
        assert_eq!(rates, [Some(250), Some(210_000), Some(2_100)]);
    }

    #[test]
    fn an_index_that_is_to_stay_says_nothing_of_it() {
        assert_eq!(Retiring::read(&json!({ "retire": null })), None);
        assert_eq!(Retiring::read(&Value::Null), None);
    }
}
