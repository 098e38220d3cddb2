//! Stage 2: which proxies to name.
//!
//! Uniformly at random among the live ones, at most as many as one answer holds, a fresh draw and
//! order for each question: that is all the load balancing there is. Nearness and spare capacity
//! would hook in here.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::rng::Generator;
use hickory_proto::rr::RecordType;

use super::View;
use super::locate::Node;
use crate::engine::config::Resort;
use crate::engine::live::LiveSet;
use crate::engine::reason::Reason;

/// What was selected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selection {
    /// The question needs no proxy.
    Unneeded,
    /// These, for this reason. Empty if those there are have no address of the family asked for.
    Named(Vec<IpAddr>, Reason),
    /// Nobody is alive and nothing stands in.
    Nobody,
}

/// Address family of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    V4,
    V6,
}

/// Selects for a question of type `qtype` about `node`.
pub fn select(view: &View<'_>, rng: &mut Generator, node: &Node, qtype: RecordType) -> Selection {
    let family = match (node, qtype) {
        (Node::Apex | Node::Proxied, RecordType::A) => Family::V4,
        (Node::Apex | Node::Proxied, RecordType::AAAA) => Family::V6,
        _ => return Selection::Unneeded,
    };
    let count = view.config.count;
    if view.live.anyone() {
        return Selection::Named(draw(view.live, family, count, rng), Reason::Live);
    }
    for resort in &view.config.when_empty {
        let set = stand_in(view, *resort);
        if let Some((set, reason)) = set.filter(|(set, _)| !set.is_empty()) {
            return Selection::Named(draw(&set, family, count, rng), reason);
        }
    }
    Selection::Nobody
}

fn stand_in<'a>(view: &View<'a>, resort: Resort) -> Option<(Cow<'a, LiveSet>, Reason)> {
    match resort {
        Resort::LastVerified => {
            let lost = view.live.lost?;
            let fresh = view.now.since(lost) <= view.config.last_for;
            fresh.then_some((Cow::Borrowed(view.live), Reason::LastVerified))
        }
        Resort::Anchors => {
            let anchors = view.config.anchors.iter().copied();
            Some((Cow::Owned(LiveSet::new(anchors, None)), Reason::Anchors))
        }
    }
}

fn draw(set: &LiveSet, family: Family, count: usize, rng: &mut Generator) -> Vec<IpAddr> {
    match family {
        Family::V4 => sample(&set.v4, count, rng)
            .map(|ip: Ipv4Addr| ip.into())
            .collect(),
        Family::V6 => sample(&set.v6, count, rng)
            .map(|ip: Ipv6Addr| ip.into())
            .collect(),
    }
}

/// `count` different items, each set and each order equally likely (Floyd's sampling, then a
/// shuffle): its cost depends on `count` alone, not on how many there are.
fn sample<T: Copy>(items: &[T], count: usize, rng: &mut Generator) -> impl Iterator<Item = T> {
    let count = count.min(items.len());
    let mut chosen: Vec<usize> = Vec::with_capacity(count);
    for top in items.len() - count..items.len() {
        let index = rng.below(top + 1);
        let index = if chosen.contains(&index) { top } else { index };
        chosen.push(index);
    }
    for last in (1..chosen.len()).rev() {
        chosen.swap(last, rng.below(last + 1));
    }
    chosen
        .into_iter()
        .filter_map(|index| items.get(index).copied())
}
