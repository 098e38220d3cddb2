//! Denial for those who want signatures: the NSEC record of a negative answer (RFC 9824), which is
//! made of what there is at the place where nothing was found.

use common::rng::Generator;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::locate::{Node, Place};
use super::select::{self, Selection};
use super::{Reply, Stages, Wanted, authority};
use crate::engine::asked::AskedName;
use crate::engine::inquiry::Question;
use crate::engine::reason::Reason;
use crate::engine::sign::VARIANTS;
use crate::engine::sign::denial::{self, NXNAME};

impl Stages<'_, '_> {
    /// What whoever asks wants of a signed zone; `None` of another, or if nothing is wanted.
    pub(super) fn wanted(&self, place: &Place<'_>) -> Option<Wanted> {
        place.zone.ring()?;
        self.wants
    }

    /// Adds the NSEC record to a negative `reply`; answers with it if that is what was asked for.
    pub(super) fn deny(&mut self, place: &Place<'_>, question: &Question, reply: &mut Reply) {
        let signed = place.zone.ring().is_some();
        let exists = !matches!(place.node, Node::Missing(_));
        let asked_for = signed && exists && question.qtype == RecordType::NSEC;
        let wanted = self.wanted(place);
        if !authority::is_negative(reply) || (wanted.is_none() && !asked_for) {
            return;
        }
        let types = self.types(place, question.qtype);
        let ttl = place.zone.negative_soa().ttl;
        let nsec = denial::at(&question.name, place.zone.origin(), types, ttl);
        if asked_for {
            reply.authority.clear();
            reply.answers.push(nsec);
            reply.reason = Reason::ZoneData;
            return;
        }
        reply.authority.push(nsec);
        let Some(wanted) = wanted else {
            return;
        };
        reply.compact = wanted.compact;
        // RFC 9824 §3.1: it is denied by an NSEC of its own, as if it existed without data.
        if reply.code == ResponseCode::NXDomain && !wanted.compact {
            reply.code = ResponseCode::NoError;
        }
    }

    /// The types at `place`, but for `denied`.
    fn types(&mut self, place: &Place<'_>, denied: RecordType) -> Vec<RecordType> {
        let mut types: Vec<RecordType> = Vec::new();
        match place.node {
            Node::Missing(_) => types.push(NXNAME),
            Node::EmptyNonTerminal | Node::Static => {}
            Node::NameServer(below) => {
                types.extend(place.zone.server_types(below));
            }
            Node::Proxied => types.extend(self.proxied_types(place)),
            Node::Apex => {
                types.extend([RecordType::SOA, RecordType::NS]);
                types.extend(self.proxied_types(place));
                if let Some(ring) = place.zone.ring() {
                    types.extend(ring.types());
                }
            }
        }
        if let Some(statics) = place.statics {
            types.extend(statics.types());
        }
        types.retain(|kind| *kind != denied);
        types
    }

    /// A family is denied only if proxies are alive and none has an address of it: a resolver may
    /// answer from this record what was not asked (RFC 8198).
    fn proxied_types(&mut self, place: &Place<'_>) -> Vec<RecordType> {
        let asker = self.asker;
        let mut types = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let nothing = match select::select(self.view, self.rng, place.node, kind, &asker) {
                Selection::Named(pick) => pick.addresses.is_empty(),
                Selection::Unneeded => true,
                Selection::Nobody => false,
            };
            if !nothing {
                types.push(kind);
            }
        }
        if self.view.config.https.is_some() && place.is_certified() {
            types.push(RecordType::HTTPS);
        }
        types
    }
}

/// A generator for one of the few draws that a name has ([`VARIANTS`]), so that what was signed for
/// one resolver serves the next. Which name has which draws matters to nobody, so any mixing will do
/// (FNV-1a).
pub(super) fn draw_again(name: &AskedName, rng: &mut Generator) -> Generator {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let variant = rng.below(VARIANTS).to_be_bytes();
    let bytes = name.as_str().bytes().chain(variant);
    let seed = bytes.fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    Generator::from_seed(seed)
}
