//! The ring as SVG: id space as a circle, nodes where their ids are, contacts coloured by the
//! innermost cluster shared, lines the bolder the nearer; beside it clusters and round trips.
//!
//! One self-contained document without scripts or fonts of its own.

use std::f64::consts::TAU;
use std::fmt::Write as _;

use common::ids::Key;

use super::{Contact, Ring, bar_names, turn};
use crate::svg::escaped;

const CENTRE: (f64, f64) = (370.0, 390.0);
const RADIUS: f64 = 262.0;
const SIDE: f64 = 780.0;

/// With more contacts their labels would overlap all around.
const LABELLED_MAX: usize = 64;

/// Least angle between two labels, as a share of the circle.
const LABEL_GAP: f64 = 0.022;

const INK: &str = "#1d2733";
const SOFT: &str = "#5d6b7a";
const FAINT: &str = "#dde3ea";
const FAILED: &str = "#c0392b";

/// Colours of the levels, the world first; they differ in lightness too.
const LEVELS: [&str; 8] = [
    "#8fa3b8", "#2f7fb5", "#e8871e", "#7a4fb0", "#2e9e6b", "#b5476d", "#7d7a2f", "#444444",
];

/// The picture; `key` marks a key and its closest node.
#[must_use]
pub fn svg(ring: &Ring, key: Option<Key>) -> String {
    let mut out = String::with_capacity(32 * 1024);
    out.push_str(concat!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1180 780\" ",
        "font-family=\"Inter, 'Helvetica Neue', 'DejaVu Sans', sans-serif\" font-size=\"13\">\n",
        "<rect width=\"1180\" height=\"780\" fill=\"#ffffff\"/>\n"
    ));
    circle(&mut out);
    chords(&mut out, ring);
    dots(&mut out, ring);
    labels(&mut out, ring);
    own(&mut out, ring);
    if let Some(key) = key {
        mark(&mut out, ring, key);
    }
    panel(&mut out, ring);
    out.push_str("</svg>\n");
    out
}

/// The point at `share` of the way around, clockwise from the top, `radius` from the centre.
fn at(share: f64, radius: f64) -> (f64, f64) {
    let (sin, cos) = (share * TAU).sin_cos();
    (CENTRE.0 + radius * sin, CENTRE.1 - radius * cos)
}

fn circle(out: &mut String) {
    let (x, y) = CENTRE;
    put(
        out,
        format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{RADIUS}\" fill=\"#f8fafc\" stroke=\"{FAINT}\" \
             stroke-width=\"2\"/>\n"
        ),
    );
    for digit in 0..16_u8 {
        let share = f64::from(digit) / 16.0;
        let (from, to) = (at(share, RADIUS - 5.0), at(share, RADIUS + 5.0));
        line(out, from, to, "stroke=\"#c3ccd6\"");
        let (x, y) = at(share, RADIUS - 18.0);
        text(
            out,
            (x, y + 4.0),
            "middle",
            "#aab5c1",
            11,
            &format!("{digit:x}\u{2026}"),
        );
    }
}

fn colour(contact: &Contact) -> &'static str {
    if contact.failed {
        return FAILED;
    }
    let level = usize::from(contact.level).min(LEVELS.len() - 1);
    LEVELS[level]
}

/// From this node to each contact, bent towards the centre: far ones below, near ones on top.
fn chords(out: &mut String, ring: &Ring) {
    let own = turn(ring.id.as_bytes());
    let mut live: Vec<_> = ring.live().collect();
    live.sort_by_key(|contact| (contact.level, std::cmp::Reverse(contact.rtt_us)));
    for contact in live {
        let there = turn(contact.id.as_bytes());
        let ((x1, y1), (x2, y2)) = (at(own, RADIUS), at(there, RADIUS));
        let apart = ((own - there).abs()).min(1.0 - (own - there).abs());
        // Neighbours on the ring are joined near it, opposite nodes across the middle.
        let (cx, cy) = at(middle(own, there), RADIUS * (0.82 - 1.5 * apart).max(0.05));
        let width = width(contact.rtt_us);
        put(
            out,
            format_args!(
                "<path d=\"M{x1:.1} {y1:.1} Q{cx:.1} {cy:.1} {x2:.1} {y2:.1}\" fill=\"none\" \
                 stroke=\"{}\" stroke-width=\"{width:.1}\" stroke-opacity=\"0.55\" \
                 stroke-linecap=\"round\"/>\n",
                colour(contact)
            ),
        );
    }
}

/// The middle of the shorter arc between two shares of the circle.
fn middle(one: f64, other: f64) -> f64 {
    let plain = f64::midpoint(one, other);
    if (one - other).abs() > 0.5 {
        (plain + 0.5).fract()
    } else {
        plain
    }
}

/// Bold when near: 4 for a millisecond, 1 from 100 ms on and where nothing was measured.
fn width(rtt_us: Option<u64>) -> f64 {
    let micros = u32::try_from(rtt_us.unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
    let ms = (f64::from(micros) / 1_000.0).max(1.0);
    (4.0 - 1.5 * ms.log10()).max(1.0)
}

fn dots(out: &mut String, ring: &Ring) {
    for contact in &ring.contacts {
        let (x, y) = at(turn(contact.id.as_bytes()), RADIUS);
        let (fill, edge) = if contact.failed {
            ("#ffffff", FAILED)
        } else {
            (colour(contact), "#ffffff")
        };
        let title = title(contact);
        put(
            out,
            format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6.5\" fill=\"{fill}\" stroke=\"{edge}\" \
                 stroke-width=\"1.8\"><title>{title}</title></circle>\n"
            ),
        );
    }
}

fn title(contact: &Contact) -> String {
    let rtt = contact.rtt_us.map_or_else(
        || "not measured".to_owned(),
        |rtt| format!("{} ms", millis(rtt)),
    );
    let (id, addr) = (contact.id, contact.addr);
    format!("{id}\n{addr}, L{}, {rtt}", contact.level)
}

/// Microseconds as milliseconds with one place below ten.
fn millis(micros: u64) -> String {
    if micros < 10_000 {
        format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
    } else {
        (micros / 1_000).to_string()
    }
}

/// First digits and round trip outside the circle, as many as fit without overlapping.
fn labels(out: &mut String, ring: &Ring) {
    if ring.contacts.len() > LABELLED_MAX {
        return;
    }
    let own = turn(ring.id.as_bytes());
    let mut last = f64::NEG_INFINITY;
    for contact in &ring.contacts {
        let share = turn(contact.id.as_bytes());
        let near_own = (share - own).abs() < LABEL_GAP;
        if share - last < LABEL_GAP || near_own {
            continue;
        }
        last = share;
        let (x, y) = at(share, RADIUS + 15.0);
        let id: String = contact.id.to_string().chars().take(4).collect();
        let said = match contact.rtt_us {
            _ if contact.failed => format!("{id} failed"),
            Some(rtt) => format!("{id} \u{b7} {} ms", millis(rtt)),
            None => id,
        };
        let ink = if contact.failed { FAILED } else { SOFT };
        text(out, (x, y + 4.0), anchor(share), ink, 11, &said);
    }
}

/// Which end of a text is at its point, so that it leads away from the circle.
fn anchor(share: f64) -> &'static str {
    match share {
        share if !(0.03..=0.97).contains(&share) || (0.47..=0.53).contains(&share) => "middle",
        share if share < 0.5 => "start",
        _ => "end",
    }
}

fn own(out: &mut String, ring: &Ring) {
    let share = turn(ring.id.as_bytes());
    let (x, y) = at(share, RADIUS);
    put(
        out,
        format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"13\" fill=\"{INK}\" fill-opacity=\"0.14\"/>\n\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8.5\" fill=\"{INK}\" stroke=\"#ffffff\" \
             stroke-width=\"2\"/>\n"
        ),
    );
    let id: String = ring.id.to_string().chars().take(4).collect();
    let (x, y) = at(share, RADIUS + 21.0);
    bold(
        out,
        (x, y + 4.0),
        anchor(share),
        13,
        &format!("{id} this node"),
    );
}

/// A key, and the line to the node that is closest to it.
fn mark(out: &mut String, ring: &Ring, key: Key) {
    let share = turn(key.as_bytes());
    let (x, y) = at(share, RADIUS);
    if let Some((id, _)) = ring.closest(key).first() {
        let to = at(turn(id.as_bytes()), RADIUS);
        let style = format!("stroke=\"{INK}\" stroke-width=\"1.5\" stroke-dasharray=\"4 4\"");
        line(out, (x, y), to, &style);
    }
    put(
        out,
        format_args!(
            "<rect x=\"-7\" y=\"-7\" width=\"14\" height=\"14\" fill=\"#f3c623\" stroke=\"{INK}\" \
             stroke-width=\"1.5\" transform=\"translate({x:.1} {y:.1}) rotate(45)\"/>\n"
        ),
    );
    let id: String = key.to_string().chars().take(4).collect();
    let (x, y) = at(share, RADIUS + 40.0);
    bold(out, (x, y + 4.0), anchor(share), 12, &format!("{id} key"));
}

/// Left edge of the column of words.
const LEFT: f64 = SIDE + 40.0;

fn panel(out: &mut String, ring: &Ring) {
    let name = if ring.name.is_empty() {
        "this index"
    } else {
        &ring.name
    };
    bold(out, (LEFT, 70.0), "start", 24, name);
    let facts = [
        format!("{}, {}", ring.addr, ring.health),
        format!("about {} nodes in the network", ring.network_size),
        format!(
            "held: {} values, {} keys, {} bytes",
            ring.store.values, ring.store.keys, ring.store.bytes
        ),
    ];
    let mut y = 98.0;
    for fact in facts {
        text(out, (LEFT, y), "start", SOFT, 13, &fact);
        y += 20.0;
    }
    y = clusters(out, ring, y + 30.0);
    histogram(out, ring, y + 36.0);
}

/// The clusters, which are the legend of the colours too. Returns where it ends.
fn clusters(out: &mut String, ring: &Ring, top: f64) -> f64 {
    bold(out, (LEFT, top), "start", 15, "Clusters");
    let known = |level: u8| ring.live().filter(|contact| contact.level == level).count();
    let mut rows: Vec<(&str, String, String)> = ring
        .levels
        .iter()
        .rev()
        .map(|cluster| {
            let id: String = cluster.cluster.to_string().chars().take(8).collect();
            (
                LEVELS[usize::from(cluster.level).min(LEVELS.len() - 1)],
                format!("L{}  under {} ms", cluster.level, cluster.threshold_ms),
                format!(
                    "{id}, {} nodes, {} shown",
                    cluster.size,
                    known(cluster.level)
                ),
            )
        })
        .collect();
    let world = format!("{} shown", known(0));
    rows.push((LEVELS[0], "L0  the world".to_owned(), world));
    let failed = ring
        .contacts
        .iter()
        .filter(|contact| contact.failed)
        .count();
    if failed > 0 {
        rows.push((FAILED, "failed".to_owned(), failed.to_string()));
    }
    let mut y = top + 8.0;
    for (colour, name, said) in rows {
        y += 22.0;
        put(
            out,
            format_args!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\" fill=\"{colour}\"/>\n",
                LEFT + 6.0,
                y - 4.5
            ),
        );
        text(out, (LEFT + 20.0, y), "start", INK, 13, &name);
        text(out, (LEFT + 136.0, y), "start", SOFT, 12, &said);
    }
    y
}

/// Round trips as bars of stacked levels, the innermost first.
fn histogram(out: &mut String, ring: &Ring, top: f64) {
    const ROW: f64 = 24.0;
    const LENGTH: f64 = 190.0;
    bold(out, (LEFT, top), "start", 15, "Round trips, ms");
    let bars = ring.histogram();
    let most = bars.iter().map(|bar| bar.iter().sum::<u32>()).max();
    let unit = LENGTH / f64::from(most.unwrap_or(0).max(1));
    let mut y = top + 14.0;
    for (name, bar) in bar_names().iter().zip(&bars) {
        text(out, (LEFT + 58.0, y + 13.0), "end", SOFT, 12, name);
        let mut x = LEFT + 68.0;
        for (level, count) in bar.iter().enumerate().rev() {
            let width = unit * f64::from(*count);
            let colour = LEVELS[level.min(LEVELS.len() - 1)];
            if *count > 0 {
                put(
                    out,
                    format_args!(
                        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"17\" \
                         fill=\"{colour}\"/>\n"
                    ),
                );
            }
            x += width;
        }
        let total: u32 = bar.iter().sum();
        if total > 0 {
            text(
                out,
                (x + 6.0, y + 13.0),
                "start",
                SOFT,
                12,
                &total.to_string(),
            );
        }
        y += ROW;
    }
    let advice = "Lines: the bolder, the nearer. Round the circle: the id space.";
    text(out, (CENTRE.0, 752.0), "middle", SOFT, 12, advice);
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
    put(
        out,
        format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>\n"
        ),
    );
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, fill: &str, size: u8, said: &str) {
    let said = escaped(said);
    put(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{fill}\" \
             font-size=\"{size}\">{said}</text>\n"
        ),
    );
}

fn bold(out: &mut String, (x, y): (f64, f64), anchor: &str, size: u8, said: &str) {
    let said = escaped(said);
    put(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{INK}\" \
             font-size=\"{size}\" font-weight=\"600\">{said}</text>\n"
        ),
    );
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::tests::ring;
    use super::*;

    #[test]
    fn every_contact_has_its_dot_and_each_living_one_its_line() {
        let ring = ring(40);
        let picture = svg(&ring, Some(Key::of(b"k")));
        let live = ring.live().count();
        assert_eq!(picture.matches("<path ").count(), live);
        assert_eq!(picture.matches("<title>").count(), ring.contacts.len());
        assert_eq!(picture.matches("rotate(45)").count(), 1);
        assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    }

    #[test]
    fn names_cannot_break_the_document() {
        let mut ring = ring(1);
        ring.name = "<b>&".to_owned();
        assert!(svg(&ring, None).contains("&lt;b&gt;&amp;"));
    }

    #[test]
    fn a_full_circle_goes_clockwise_from_the_top() {
        let near = |(x, y): (f64, f64), (a, b): (f64, f64)| (x - a).abs() + (y - b).abs() < 0.01;
        let (x, y) = CENTRE;
        assert!(near(at(0.0, 10.0), (x, y - 10.0)));
        assert!(near(at(0.25, 10.0), (x + 10.0, y)));
        assert!((middle(0.9, 0.1) - 0.0).abs() < 0.01 || (middle(0.9, 0.1) - 1.0).abs() < 0.01);
    }
}
