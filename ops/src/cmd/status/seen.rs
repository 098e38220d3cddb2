//! How a name server sees the proxies it checks, read from its state page. Pure.
//!
//! Name servers check for themselves and need not agree: each has its own line for each proxy.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::render::{self, Align, Table};

/// Lines for people; who is not alive comes first. All of them are in the JSON.
const SHOWN_MAX: usize = 100;

/// What a proxy is to a name server. Only [`Alive`](Self::Alive) and [`Full`](Self::Full) ones
/// are named to clients, the full only where nobody else is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It fails the checks.
    Dead,
    /// It is well, and waits for having come and gone too often.
    Held,
    /// It serves much more slowly than others.
    Slow,
    /// It asks to be left alone.
    Draining,
    /// It does not serve everybody.
    NotPublic,
    /// No check of it has ended yet.
    Unverified,
    /// It is alive and has no capacity to spare.
    Full,
    /// It is alive.
    Alive,
}

impl Condition {
    /// The word for tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Held => "held back",
            Self::Slow => "slow",
            Self::Draining => "draining",
            Self::NotPublic => "not public",
            Self::Unverified => "unverified",
            Self::Full => "full",
            Self::Alive => "alive",
        }
    }
}

/// A proxy as a name server sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Seen {
    /// Where it serves.
    pub proxy: SocketAddr,
    /// What it is.
    pub condition: Condition,
    /// For how long, in milliseconds; of a full one, for how long it has been alive.
    pub for_ms: Option<u64>,
    /// What the checks found: of one that is alive nothing.
    pub why: Option<String>,
    /// How much more it says it could do, in percent.
    pub spare_percent: u8,
}

/// The part of the state page that is read.
#[derive(Debug, Deserialize)]
struct State {
    proxies: Vec<Checked>,
}

#[derive(Debug, Deserialize)]
struct Checked {
    addr: SocketAddr,
    state: String,
    reason: Option<String>,
    for_ms: Option<u64>,
    held_for_ms: Option<u64>,
    spare_percent: u8,
}

impl Checked {
    fn condition(&self) -> Condition {
        match (&*self.state, self.reason.as_deref()) {
            ("live", _) if self.spare_percent == 0 => Condition::Full,
            ("live", _) => Condition::Alive,
            ("out", Some("slow")) => Condition::Slow,
            ("out", Some("draining")) => Condition::Draining,
            ("out", Some("not_public")) => Condition::NotPublic,
            ("out", _) if self.held_for_ms.is_some() => Condition::Held,
            ("out", _) => Condition::Dead,
            _ => Condition::Unverified,
        }
    }

    fn seen(self) -> Seen {
        Seen {
            condition: self.condition(),
            proxy: self.addr,
            for_ms: self.for_ms,
            why: self.reason,
            spare_percent: self.spare_percent,
        }
    }
}

/// The proxies on the state page `text` of a name server; `None` if it is none.
pub(super) fn read(text: &str) -> Option<Vec<Seen>> {
    let state: State = serde_json::from_str(text).ok()?;
    Some(state.proxies.into_iter().map(Checked::seen).collect())
}

/// The table for people: what each of the `servers`, by name, sees; `name` knows what a proxy is
/// called. Empty if nobody sees anything.
pub(super) fn table<'a>(
    servers: impl Iterator<Item = (&'a str, &'a [Seen])>,
    name: impl Fn(SocketAddr) -> String,
) -> String {
    let each = servers.flat_map(|(server, seen)| seen.iter().map(move |seen| (server, seen)));
    let mut all: Vec<_> = each.collect();
    if all.is_empty() {
        return String::new();
    }
    let is_well = |seen: &Seen| seen.condition == Condition::Alive;
    all.sort_by_key(|(_, seen)| is_well(seen));
    let mut table = Table::new(&[
        ("seen by", Align::Left),
        ("proxy", Align::Left),
        ("address", Align::Left),
        ("is", Align::Left),
        ("for", Align::Right),
        ("why", Align::Left),
    ]);
    for (server, seen) in all.iter().take(SHOWN_MAX) {
        let lasting = seen.for_ms.map(Duration::from_millis);
        table.row([
            (*server).to_owned(),
            name(seen.proxy),
            seen.proxy.to_string(),
            seen.condition.as_str().to_owned(),
            lasting.map_or_else(|| "-".to_owned(), render::duration),
            seen.why.clone().unwrap_or_default(),
        ]);
    }
    let mut text = table.to_text();
    if let Some(rest) = all.get(SHOWN_MAX..).filter(|rest| !rest.is_empty()) {
        let well = rest.iter().filter(|(_, seen)| is_well(seen)).count();
        text.push_str(&format!(
            "\nand {} more, {well} of them alive: see --json",
            rest.len()
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(state: &str, reason: Option<&str>, held: Option<u64>, spare: u8) -> Condition {
        let page = json!({ "live": 1, "proxies": [{
            "addr": "192.0.2.1:80", "state": state, "reason": reason, "for_ms": 1_500,
            "held_for_ms": held, "spare_percent": spare, "flaps": 0,
        }]});
        let seen = read(&page.to_string()).unwrap();
        assert_eq!(
            (seen[0].for_ms, seen[0].why.as_deref()),
            (Some(1_500), reason)
        );
        seen[0].condition
    }

    #[test]
    fn each_state_and_reason_has_its_word() {
        let rows = [
            (("live", None, None, 40), "alive"),
            (("live", None, None, 0), "full"),
            (("out", Some("slow"), None, 40), "slow"),
            (("out", Some("draining"), None, 40), "draining"),
            (("out", Some("not_public"), None, 40), "not public"),
            (("out", Some("connect"), Some(9_000), 40), "held back"),
            (("out", Some("connect"), None, 40), "dead"),
            (("unverified", None, None, 100), "unverified"),
        ];
        for ((state, reason, held, spare), word) in rows {
            assert_eq!(checked(state, reason, held, spare).as_str(), word);
        }
    }

    fn seen(last: u8, condition: Condition, why: Option<&str>) -> Seen {
        Seen {
            proxy: SocketAddr::from(([192, 0, 2, last], 80)),
            condition,
            for_ms: Some(12_000),
            why: why.map(str::to_owned),
            spare_percent: 50,
        }
    }

    #[test]
    fn who_is_not_alive_comes_first() {
        let all = [
            seen(1, Condition::Alive, None),
            seen(2, Condition::Dead, Some("connect")),
        ];
        let text = table([("ns1", &all[..])].into_iter(), |addr| {
            format!("at{}", addr.port())
        });
        let lasting = render::duration(Duration::from_secs(12));
        assert_eq!(
            text,
            format!(
                "seen by  proxy  address       is        for  why\n\
                 ns1      at80   192.0.2.2:80  dead   {lasting:>6}  connect\n\
                 ns1      at80   192.0.2.1:80  alive  {lasting:>6}"
            )
        );
    }

    #[test]
    fn of_more_than_are_shown_the_rest_is_counted() {
        let all: Vec<_> = (0..=200).map(|n| seen(n, Condition::Alive, None)).collect();
        let text = table([("ns1", &all[..])].into_iter(), |_| String::new());
        assert_eq!(text.lines().count(), 1 + SHOWN_MAX + 1);
        assert!(text.ends_with("and 101 more, 101 of them alive: see --json"));
        assert_eq!(table([("ns1", &[][..])].into_iter(), |_| String::new()), "");
    }

    #[test]
    fn what_is_no_state_page_says_nothing() {
        for text in ["", "{}", "{\"proxies\": 3}", "<html>"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
