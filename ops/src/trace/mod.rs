//! One trace from the spans that several processes kept of it: placed on one line of time, drawn, judged.
//! Pure.
//!
//! No two clocks are compared. A span that another process's span caused lies in the middle of it, as far as
//! anybody can know: what is left of the outer one was spent on the way, half of it each way.

pub mod draw;
pub mod verdict;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A span as a process's admin page shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// Its name.
    pub id: String,
    /// The span that caused it.
    pub parent: Option<String>,
    /// What it is about, in a word.
    pub what: String,
    /// Whom it concerns.
    pub target: String,
    /// When it began, by its process's clock, in microseconds.
    pub began_us: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// What came of it.
    pub outcome: String,
    /// Whether that is a failure.
    pub failed: bool,
}

/// What one process kept of a trace.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Page {
    /// The process: `proxy node1`.
    pub node: String,
    /// Its spans.
    pub spans: Vec<Shown>,
}

/// A span in its place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Placed {
    /// The process it is of.
    pub node: String,
    /// How deep it lies below the first.
    pub depth: usize,
    /// When it began, in microseconds after the first.
    pub at_us: i64,
    /// The span.
    #[serde(flatten)]
    pub span: Shown,
}

/// The spans of all `pages` on one line of time, each below what caused it, in order of their beginning.
/// Those whose cause nobody kept come last, as traces of their own.
#[must_use]
pub fn join(pages: &[Page]) -> Vec<Placed> {
    let all: Vec<(&str, &Shown)> = pages
        .iter()
        .flat_map(|page| page.spans.iter().map(|span| (&*page.node, span)))
        .collect();
    let known: BTreeMap<&str, usize> = all
        .iter()
        .enumerate()
        .map(|(at, (_, span))| (&*span.id, at))
        .collect();
    let mut below: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut roots = Vec::new();
    for (at, (_, span)) in all.iter().enumerate() {
        let parent = span.parent.as_deref().and_then(|id| known.get(id));
        match parent {
            Some(parent) if *parent != at => below.entry(*parent).or_default().push(at),
            _ => roots.push(at),
        }
    }
    // What a client asked for comes first, what has lost its cause last.
    roots.sort_by_key(|at| (all[*at].1.parent.is_some(), all[*at].1.began_us));
    let mut placed = Vec::new();
    for root in roots {
        place(&all, &below, (root, 0, 0), &mut placed);
    }
    placed
}

/// Places the span numbered `at`, at `at_us` and so deep, and all below it.
fn place(
    all: &[(&str, &Shown)],
    below: &BTreeMap<usize, Vec<usize>>,
    (at, at_us, depth): (usize, i64, usize),
    placed: &mut Vec<Placed>,
) {
    // Ids of strangers could make a circle.
    if placed.len() >= all.len() {
        return;
    }
    let (node, span) = all[at];
    placed.push(Placed {
        node: node.to_owned(),
        depth,
        at_us,
        span: span.clone(),
    });
    let signed = |us: u64| i64::try_from(us).unwrap_or(i64::MAX);
    let mut inner: Vec<(i64, usize)> = Vec::new();
    for child in below.get(&at).into_iter().flatten() {
        let (child_node, inside) = all[*child];
        let begins = if child_node == node {
            at_us + signed(inside.began_us) - signed(span.began_us)
        } else {
            at_us + (signed(span.took_us) - signed(inside.took_us)) / 2
        };
        inner.push((begins, *child));
    }
    inner.sort_by_key(|(begins, child)| (*begins, u8::from(all[*child].1.what == "first_byte")));
    for (begins, child) in inner {
        place(all, below, (child, begins, depth + 1), placed);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn span(
        id: &str,
        parent: Option<&str>,
        what: &str,
        (began_us, took_us): (u64, u64),
    ) -> Shown {
        Shown {
            id: id.to_owned(),
            parent: parent.map(str::to_owned),
            what: what.to_owned(),
            target: "192.0.2.1:81".to_owned(),
            began_us,
            took_us,
            outcome: "whole".to_owned(),
            failed: false,
        }
    }

    /// A miss of 412 ms at one proxy: the index, two of whose hops are known, and a slow origin.
    pub(crate) fn miss() -> Vec<Page> {
        vec![
            Page {
                node: "dht node2".to_owned(),
                spans: vec![span("e", Some("d"), "answer", (7, 0))],
            },
            Page {
                node: "proxy node1".to_owned(),
                spans: vec![
                    span("a", None, "request", (1_000_000, 412_000)),
                    span("b", Some("a"), "index", (1_001_000, 60_000)),
                    span("c", Some("a"), "origin", (1_062_000, 349_000)),
                    Shown {
                        target: "http://a.example".to_owned(),
                        ..span("f", Some("c"), "first_byte", (1_062_000, 340_000))
                    },
                ],
            },
            Page {
                node: "dht node1".to_owned(),
                spans: vec![span("d", Some("b"), "hop", (90_000_000, 50_000))],
            },
        ]
    }

    #[test]
    fn spans_of_other_clocks_lie_in_the_middle_of_what_caused_them() {
        let placed = join(&miss());
        let rows: Vec<_> = placed
            .iter()
            .map(|one| (&*one.span.id, one.depth, one.at_us))
            .collect();
        assert_eq!(
            rows,
            [
                ("a", 0, 0),
                ("b", 1, 1_000),
                ("d", 2, 6_000),
                ("e", 3, 31_000),
                ("c", 1, 62_000),
                ("f", 2, 62_000),
            ]
        );
    }

    #[test]
    fn what_lost_its_cause_comes_last_and_circles_end() {
        let page = Page {
            node: "n".to_owned(),
            spans: vec![
                span("x", Some("gone"), "serve", (0, 1)),
                span("a", None, "request", (5, 1)),
            ],
        };
        let ids: Vec<_> = join(&[page]).into_iter().map(|one| one.span.id).collect();
        assert_eq!(ids, ["a", "x"]);
        let circle = Page {
            node: "n".to_owned(),
            spans: vec![
                span("x", Some("y"), "serve", (0, 1)),
                span("y", Some("x"), "serve", (0, 1)),
                span("z", Some("z"), "serve", (0, 1)),
            ],
        };
        assert_eq!(join(&[circle]).len(), 1);
    }
}
