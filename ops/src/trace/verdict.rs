//! Where the time of a traced request went, in one sentence.

use std::time::Duration;

use super::Placed;
use crate::render;

/// What spans are called when they are to blame.
fn called(one: &Placed) -> String {
    let target = &one.span.target;
    match &*one.span.what {
        "first_byte" => format!("the origin's first byte ({target})"),
        "origin" => format!("the origin's body ({target})"),
        "peer" => format!("the peer {target}"),
        "index" => "the index".to_owned(),
        "hop" => format!("the index node {target}"),
        _ => format!("{} itself", one.node),
    }
}

/// The verdict on the request that is the first of `spans`.
#[must_use]
pub fn of(spans: &[Placed]) -> String {
    let Some(first) = spans.first() else {
        return "no node kept anything of this trace".to_owned();
    };
    let whole = first.span.took_us;
    let ms = |us: u64| render::duration(Duration::from_micros(us));
    let told = |one: &Placed| match &*one.span.what {
        "index" | "peer" => true,
        // That of a peer is within the peer's own.
        "first_byte" => one.span.target.contains("://"),
        _ => false,
    };
    let longest = spans
        .iter()
        .filter(|one| told(one))
        .max_by_key(|one| one.span.took_us);
    let failures = spans.iter().filter(|one| one.span.failed && one.depth > 0);
    let failures: Vec<_> = failures
        .map(|one| format!("{}: {}", called(one), one.span.outcome))
        .collect();
    let mut text = match longest {
        Some(one) if one.span.took_us * 2 >= whole => format!(
            "{} of {} were {}",
            ms(one.span.took_us.min(whole)),
            ms(whole),
            called(one)
        ),
        Some(one) => format!(
            "{} until the answer, spread: the most, {}, was {}",
            ms(whole),
            ms(one.span.took_us),
            called(one)
        ),
        None if spans.len() == 1 => format!(
            "{} until the answer, all of it at {}: {}",
            ms(whole),
            first.node,
            first.span.outcome
        ),
        None => format!("{} until the answer: {}", ms(whole), first.span.outcome),
    };
    if !failures.is_empty() {
        text.push_str(&format!("; on the way failed {}", failures.join(", ")));
    }
    if first.span.failed {
        text.push_str(&format!(
            "; the client got an error: {}",
            first.span.outcome
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::join;
    use super::super::tests::{miss, span};
    use super::super::{Page, Placed};
    use super::*;

    #[test]
    fn whoever_took_most_of_it_is_named() {
        assert_eq!(
            of(&join(&miss())),
            "340 ms of 412 ms were the origin's first byte (http://a.example)"
        );
    }

    #[test]
    fn a_hit_is_the_nodes_own_and_failures_are_told() {
        let page = |spans| {
            let node = "proxy node1".to_owned();
            [Page { node, spans }]
        };
        let hit = join(&page(vec![span("a", None, "request", (0, 80))]));
        assert_eq!(
            of(&hit),
            "80 µs until the answer, all of it at proxy node1: whole"
        );
        let mut peer = span("b", Some("a"), "peer", (0, 10));
        peer.failed = true;
        peer.outcome = "nothing".to_owned();
        let spans: Vec<Placed> = join(&page(vec![span("a", None, "request", (0, 80)), peer]));
        assert!(of(&spans).ends_with("; on the way failed the peer 192.0.2.1:81: nothing"));
        assert_eq!(of(&[]), "no node kept anything of this trace");
    }
}
