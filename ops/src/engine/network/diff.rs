//! What differs between two orders, line by line.

use std::collections::BTreeSet;

use super::Daemons;
use crate::engine::document::intent::{SettingsMap, Wanted};
use crate::engine::document::words::DaemonName;

/// A daemon that is different, and how.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Different {
    /// The daemon.
    pub daemon: DaemonName,
    /// What is different.
    pub lines: Vec<Line>,
}

/// A word of an order, or a setting, that is different. Nothing: it is not there.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// What it was.
    pub before: Option<String>,
    /// What it becomes.
    pub after: Option<String>,
}

/// What differs between two orders.
#[must_use]
pub fn diff(before: &Daemons, after: &Daemons) -> Vec<Different> {
    let names: BTreeSet<&DaemonName> = before.keys().chain(after.keys()).collect();
    let one = |name: &DaemonName| Different {
        daemon: name.clone(),
        lines: lines(before.get(name), after.get(name)),
    };
    let all = names.into_iter().map(one);
    all.filter(|different| !different.lines.is_empty())
        .collect()
}

fn lines(before: Option<&Wanted>, after: Option<&Wanted>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |name: &str, before: Option<String>, after: Option<String>| {
        if before != after {
            let name = name.to_owned();
            lines.push(Line {
                name,
                before,
                after,
            });
        }
    };
    let of = |word: fn(&Wanted) -> String| (before.map(word), after.map(word));
    for (name, (before, after)) in [
        ("program", of(|wanted| wanted.program.as_str().to_owned())),
        ("release", of(|wanted| wanted.release.to_string())),
        ("state", of(|wanted| wanted.state.as_str().to_owned())),
    ] {
        say(name, before, after);
    }
    let settings =
        |wanted: Option<&Wanted>| wanted.map(|one| one.settings.clone()).unwrap_or_default();
    let (before, after): (SettingsMap, SettingsMap) = (settings(before), settings(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        say(name, before.get(name).cloned(), after.get(name).cloned());
    }
    lines
}

/// The lines for people, each with what is gone, what is new, or both.
#[must_use]
pub fn text(all: &[Different]) -> String {
    let mut text = String::new();
    for Different { daemon, lines } in all {
        text.push_str(&format!("  {daemon}\n"));
        for Line {
            name,
            before,
            after,
        } in lines
        {
            let line = match (before, after) {
                (Some(before), Some(after)) => format!("~ {name} = {before} -> {after}"),
                (None, Some(after)) => format!("+ {name} = {after}"),
                (Some(before), None) => format!("- {name} = {before}"),
                (None, None) => continue,
            };
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}
