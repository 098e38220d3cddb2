//! Stage 2: which proxies to name.
//!
//! Uniformly at random among the live ones, at most as many as one answer holds, a fresh draw and
//! order for each question: that is all the load balancing there is. Nearness and spare capacity
//! would hook in here.
//!
//! Allocates nothing, since it is on the way of every answer.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use common::rng::Generator;
use hickory_proto::rr::RecordType;

use super::View;
use super::locate::Node;
use crate::engine::config::{ADDRESSES_MAX, Resort};
use crate::engine::inquiry::Asker;
use crate::engine::live::LiveSet;
use crate::engine::reason::Reason;

/// Addresses of one answer, at most [`ADDRESSES_MAX`].
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    list: [IpAddr; ADDRESSES_MAX],
    count: usize,
}

impl Addresses {
    /// None.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            list: [IpAddr::V4(Ipv4Addr::UNSPECIFIED); ADDRESSES_MAX],
            count: 0,
        }
    }

    /// Adds `address`; beyond [`ADDRESSES_MAX`] there is no room, and nothing happens.
    pub fn push(&mut self, address: IpAddr) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = address;
            self.count += 1;
        }
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

/// The proxies to name.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    /// Their addresses; none if those there are have no address of the family asked for.
    pub addresses: Addresses,
    /// How long the answer may be kept, in seconds.
    pub ttl: u32,
    /// How many bits of the asker's network the choice depends on; `None` if it would be the same
    /// for everybody.
    pub scope: Option<u8>,
    /// Why these.
    pub reason: Reason,
}

/// What was selected.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation per answer; it lives on the stack for one"
)]
pub enum Selection {
    /// The question needs no proxy.
    Unneeded,
    /// These.
    Named(Pick),
    /// Nobody is alive and nothing stands in.
    Nobody,
}

/// Address family of a question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    V4,
    V6,
}

/// Selects for a question of type `qtype` about `node` by `asker`.
pub fn select(
    view: &View<'_>,
    rng: &mut Generator,
    node: Node<'_>,
    qtype: RecordType,
    _asker: &Asker,
) -> Selection {
    let family = match (node, qtype) {
        (Node::Apex | Node::Proxied, RecordType::A) => Family::V4,
        (Node::Apex | Node::Proxied, RecordType::AAAA) => Family::V6,
        _ => return Selection::Unneeded,
    };
    if view.live.anyone() {
        return draw(view, view.live, family, rng, Reason::Live);
    }
    for resort in &view.config.when_empty {
        let (set, reason) = match resort {
            Resort::LastVerified => (last_verified(view), Reason::LastVerified),
            Resort::Anchors => (Some(&view.config.anchors), Reason::Anchors),
        };
        if let Some(set) = set.filter(|set| !set.is_empty()) {
            return draw(view, set, family, rng, reason);
        }
    }
    Selection::Nobody
}

fn last_verified<'a>(view: &View<'a>) -> Option<&'a LiveSet> {
    let lost = view.live.lost?;
    let fresh = view.now.since(lost) <= view.config.last_for;
    fresh.then_some(view.live)
}

fn draw(
    view: &View<'_>,
    set: &LiveSet,
    family: Family,
    rng: &mut Generator,
    reason: Reason,
) -> Selection {
    let count = view.config.count;
    Selection::Named(Pick {
        addresses: match family {
            Family::V4 => sample(&set.v4, count, rng),
            Family::V6 => sample(&set.v6, count, rng),
        },
        ttl: view.config.ttl,
        scope: None,
        reason,
    })
}

/// `count` different items, each set and each order equally likely (Floyd's sampling, then a
/// shuffle): its cost depends on `count` alone, not on how many there are.
fn sample<T: Copy + Into<IpAddr>>(items: &[T], count: usize, rng: &mut Generator) -> Addresses {
    let count = count.min(items.len()).min(ADDRESSES_MAX);
    let mut chosen = [0_usize; ADDRESSES_MAX];
    for (place, top) in (items.len() - count..items.len()).enumerate() {
        let index = rng.below(top + 1);
        let index = if chosen.iter().take(place).any(|other| *other == index) {
            top
        } else {
            index
        };
        if let Some(slot) = chosen.get_mut(place) {
            *slot = index;
        }
    }
    for last in (1..count).rev() {
        chosen.swap(last, rng.below(last + 1));
    }
    let mut addresses = Addresses::none();
    for index in chosen.iter().take(count) {
        if let Some(item) = items.get(*index) {
            addresses.push((*item).into());
        }
    }
    addresses
}
