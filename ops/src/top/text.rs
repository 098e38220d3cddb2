//! A frame for people: tables under each other, the busiest first.

use super::{Frame, Item};
use crate::render::{self, Align, Table};

/// The text of a frame.
#[must_use]
pub fn text(frame: &Frame) -> String {
    let since = if frame.seconds > 0.0 {
        format!("a second, over the last {:.1} s", frame.seconds)
    } else {
        "in all, since each daemon started".to_owned()
    };
    let mut parts = vec![format!("requests and fetches {since}"), nodes(frame)];
    let lists = [
        ("site", "requests in 10 s", "", &frame.sites),
        ("page", "found", "size", &frame.objects),
        ("peer avoided", "by nodes", "reason", &frame.peers),
        ("reason", "each", "counted in", &frame.reasons),
    ];
    for (what, amount, note, items) in lists {
        if !items.is_empty() {
            parts.push(list([what, amount, note], items));
        }
    }
    parts.join("\n\n")
}

fn nodes(frame: &Frame) -> String {
    let right = Align::Right;
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("requests", right),
        ("hits", right),
        ("peers", right),
        ("origins", right),
        ("bad", right),
        ("clients", right),
        ("objects", right),
    ]);
    for row in &frame.nodes {
        if !row.here {
            table.row([row.node.clone(), "gone".to_owned()]);
            continue;
        }
        table.row([
            row.node.clone(),
            rate(row.requests_s),
            format!("{:.0} %", row.hits_percent),
            rate(row.peers_s),
            rate(row.origins_s),
            rate(row.bad_s),
            render::count(row.connections),
            render::count(row.objects),
        ]);
    }
    table.to_text()
}

fn list([what, amount, note]: [&'static str; 3], items: &[Item]) -> String {
    let mut table = Table::new(&[
        (what, Align::Left),
        (amount, Align::Right),
        (note, Align::Left),
    ]);
    for item in items {
        let name = item.name.chars().take(60).collect();
        table.row([name, rate(item.amount), item.note.clone()]);
    }
    table.to_text()
}

fn rate(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}
