//! Stage 2: which proxies to name.
//!
//! Those alive, near ones first ([`draw`](super::draw)), a fresh draw and order for each question;
//! when nobody is alive, whoever the configuration lets stand in.
//!
//! Allocates nothing, since it is on the way of every answer.

use common::rng::Generator;
use hickory_proto::rr::RecordType;

use super::View;
use super::addresses::Addresses;
use super::draw::{Whereabouts, draw};
use super::locate::Node;
use crate::engine::config::Resort;
use crate::engine::inquiry::Asker;
use crate::engine::live::{Family, LiveSet};
use crate::engine::reason::Reason;

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

/// Selects for a question of type `qtype` about `node` by `asker`.
pub fn select(
    view: &View<'_>,
    rng: &mut Generator,
    node: Node<'_>,
    qtype: RecordType,
    asker: &Asker,
) -> Selection {
    let family = match (node, qtype) {
        (Node::Apex | Node::Proxied, RecordType::A) => Family::V4,
        (Node::Apex | Node::Proxied, RecordType::AAAA) => Family::V6,
        _ => return Selection::Unneeded,
    };
    if view.live.anyone() {
        return near(view, family, asker, rng);
    }
    for resort in &view.config.when_empty {
        let (set, reason) = match resort {
            Resort::LastVerified => (last_verified(view), Reason::LastVerified),
            Resort::Anchors => (Some(&view.config.anchors), Reason::Anchors),
        };
        if let Some(set) = set.filter(|set| !set.is_empty()) {
            return any(view, set, family, asker, rng, reason);
        }
    }
    Selection::Nobody
}

fn last_verified<'a>(view: &View<'a>) -> Option<&'a LiveSet> {
    let lost = view.live.lost?;
    let fresh = view.now.since(lost) <= view.config.last_for;
    fresh.then_some(view.live)
}

/// Those alive, the near ones first.
fn near(view: &View<'_>, family: Family, asker: &Asker, rng: &mut Generator) -> Selection {
    let whereabouts = Whereabouts::of(view, asker);
    let side = view.live.side(family);
    let drawn = draw(
        view,
        (family, side),
        whereabouts.place,
        view.config.count.min(asker.room),
        rng,
    );
    Selection::Named(Pick {
        addresses: drawn.addresses(side),
        ttl: if drawn.all_innermost {
            view.config.near_ttl
        } else {
            view.config.ttl
        },
        scope: whereabouts.scope,
        reason: drawn.reason(),
    })
}

/// Those of a set that stands in, wherever they are.
fn any(
    view: &View<'_>,
    set: &LiveSet,
    family: Family,
    asker: &Asker,
    rng: &mut Generator,
    reason: Reason,
) -> Selection {
    let count = view.config.count.min(asker.room);
    let side = set.side(family);
    let drawn = draw(view, (family, side), None, count, rng);
    Selection::Named(Pick {
        addresses: drawn.addresses(side),
        ttl: view.config.ttl,
        scope: None,
        reason,
    })
}
