//! How indexes of an old network stand beside those of a new one: whether each leaves, and who holds it.

use std::time::Duration;

use crate::engine::retiring::Retiring;
use crate::render::{self, Align, Table};

/// Stragglers that the table names; all are in the JSON.
const NAMED_MAX: usize = 4;

/// How it stands, in words.
fn stands(leaving: &Retiring) -> String {
    let seconds = |s| render::duration(Duration::from_secs(s));
    let waits = leaving.stragglers.len();
    match (&leaving.left, leaving.quiet_for_s) {
        (Some(why), _) => format!("has left ({why})"),
        (None, _) if waits > 0 => {
            let plural = if waits == 1 { "" } else { "s" };
            let deadline = seconds(leaving.deadline_in_s);
            format!("stays for {waits} straggler{plural}, {deadline} at most")
        }
        (None, Some(quiet)) => {
            let (quiet, of) = (seconds(quiet), seconds(leaving.quiet_s));
            format!("leaves: quiet for {quiet} of {of}")
        }
        (None, None) if leaving.old_asked_per_s.is_none() => "measuring".to_owned(),
        (None, None) => format!("stays, {} at most", seconds(leaving.deadline_in_s)),
    }
}

fn named(leaving: &Retiring) -> String {
    let named = leaving.stragglers.iter().take(NAMED_MAX);
    let mut named: Vec<_> = named.map(ToString::to_string).collect();
    if leaving.stragglers.len() > NAMED_MAX {
        named.push(format!("{} more", leaving.stragglers.len() - NAMED_MAX));
    }
    named.join(", ")
}

/// The table for people, of indexes by name; empty if none is to leave.
pub(super) fn table<'a>(all: impl Iterator<Item = (&'a str, &'a Retiring)>) -> String {
    let mut table = Table::new(&[
        ("old index", Align::Left),
        ("asked/s", Align::Right),
        ("new one", Align::Right),
        ("quiet under", Align::Right),
        ("", Align::Left),
        ("stragglers", Align::Left),
    ]);
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
    let mut rows = 0;
    for (name, leaving) in all {
        rows += 1;
        table.row([
            name.to_owned(),
            rate(leaving.old_asked_per_s),
            rate(leaving.new_asked_per_s),
            rate(leaving.quiet_under_per_s),
            stands(leaving),
            named(leaving),
        ]);
    }
    if rows == 0 {
        return String::new();
    }
    table.to_text()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn page(rate: Option<f64>, quiet: Option<u64>, stragglers: &[&str]) -> Value {
        json!({ "retire": { "left": null, "old_asked_per_s": rate, "new_asked_per_s": rate.map(|_| 200.0),
            "quiet_under_per_s": rate.map(|_| 2.0), "quiet_for_s": quiet, "quiet_s": 600,
            "deadline_in_s": 7_200, "stragglers": stragglers } })
    }

    fn text(page: &Value) -> String {
        let leaving = Retiring::read(page).unwrap();
        table([("reef1", &leaving)].into_iter())
    }

    #[test]
    fn an_index_says_whether_it_leaves_and_who_holds_it() {
        let busy = text(&page(Some(150.25), None, &[]));
        assert!(
            busy.contains("reef1        150.2    200.0          2.0  stays,"),
            "{busy}"
        );
        let quiet = text(&page(Some(0.1), Some(60), &[]));
        assert!(quiet.contains("leaves: quiet for 60.0 s of"), "{quiet}");
        let held = text(&page(Some(0.1), None, &["192.0.2.7:81"]));
        assert!(held.contains("stays for 1 straggler,"), "{held}");
        assert!(held.ends_with("192.0.2.7:81"), "{held}");
        let new = text(&page(None, None, &[]));
        assert!(new.contains("measuring"), "{new}");
    }

    #[test]
    fn more_stragglers_than_there_is_room_for_are_counted() {
        let many: Vec<_> = (0..6).map(|n| format!("192.0.2.{n}:81")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let text = text(&page(None, None, &many));
        assert!(text.ends_with("192.0.2.3:81, 2 more"), "{text}");
    }

    #[test]
    fn an_index_that_is_to_stay_has_no_line() {
        assert_eq!(table([].into_iter()), "");
    }
}
