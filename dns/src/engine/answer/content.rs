//! Stage 3: the answer section.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, HINFO, HTTPS};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::locate::{Node, Place};
use super::select::{Pick, Selection};
use super::{ExtendedError, Reply, View};
use crate::engine::inquiry::Question;
use crate::engine::reason::Reason;
use crate::engine::zone::address;

/// TTL of the answer to ANY, in seconds: long, since nobody needs it twice.
const ANY_TTL: u32 = 3_600;

/// What was selected for a question.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would be an allocation per answer; it lives on the stack for one"
)]
pub enum Selected {
    /// For a question about addresses, or about nothing that proxies have.
    One(Selection),
    /// For a question about HTTPS: what would be answered for A and for AAAA.
    Both(Selection, Selection),
}

/// The reply to `question` about `place`, without its other sections. An alias is not yet followed.
pub fn fill(view: &View<'_>, place: &Place<'_>, question: &Question, selected: Selected) -> Reply {
    match place.node {
        Node::Missing(_) => return Reply::empty(ResponseCode::NXDomain, Reason::NoSuchName),
        Node::EmptyNonTerminal => {
            return Reply::empty(ResponseCode::NoError, Reason::EmptyNonTerminal);
        }
        Node::Apex | Node::NameServer(_) | Node::Proxied | Node::Static => {}
    }
    // RFC 8482 §7 would let signatures be asked for; each answer has its own, so alone they are
    // worth nothing.
    let signatures = question.qtype == RecordType::RRSIG && place.zone.ring().is_some();
    if question.qtype == RecordType::ANY || signatures {
        return any(place, question);
    }
    if let Some(reply) = static_records(place, question) {
        return reply;
    }
    match selected {
        Selected::One(Selection::Unneeded) => zone_data(place, question),
        Selected::One(Selection::Named(pick)) => named(&pick, &question.name),
        Selected::One(Selection::Nobody) => nobody(),
        Selected::Both(v4, v6) => https(view, &question.name, v4, v6),
    }
}

/// The records themselves, or the alias in their stead (RFC 1034 §3.6.2).
fn static_records(place: &Place<'_>, question: &Question) -> Option<Reply> {
    let statics = place.statics?;
    let of = |kind| match statics.set(kind) {
        [] => None,
        set => Some(owned(set, &question.name)),
    };
    if let Some(records) = of(question.qtype) {
        return Some(Reply::with(records, Reason::Static));
    }
    of(RecordType::CNAME).map(|alias| Reply::with(alias, Reason::Alias))
}

/// `set` with the question's name, in its case, as the owner.
fn owned(set: &[Record], owner: &Name) -> Vec<Record> {
    let mut records = set.to_vec();
    for record in &mut records {
        record.name = owner.clone();
    }
    records
}

fn named(pick: &Pick, owner: &Name) -> Reply {
    // Proxies there are, but none with an address of this family.
    if pick.addresses.is_empty() {
        return no_data();
    }
    let record = |ip: &IpAddr| address(owner.clone(), pick.ttl, *ip);
    let records = pick.addresses.iter().map(record).collect();
    let mut reply = Reply::with(records, pick.reason);
    reply.scope = pick.scope;
    reply
}

const fn nobody() -> Reply {
    let error = Some(ExtendedError::NoReachableAuthority);
    Reply::refusal(ResponseCode::ServFail, Reason::NobodyAlive, error)
}

/// One record in service mode (RFC 9460 §2.4.3): the name itself, the protocols, and the addresses
/// that A and AAAA would give, to save the client a round trip (§7.3).
fn https(view: &View<'_>, owner: &Name, v4: Selection, v6: Selection) -> Reply {
    let Some(protocols) = &view.config.https else {
        return no_data();
    };
    let (mut params, mut reason, mut ttl, mut scope) = (Vec::new(), None, u32::MAX, None);
    if !protocols.is_empty() {
        let alpn = SvcParamValue::Alpn(Alpn(protocols.clone()));
        params.push((SvcParamKey::Alpn, alpn));
    }
    for selection in [v4, v6] {
        let Selection::Named(pick) = selection else {
            continue;
        };
        reason = Some(pick.reason);
        ttl = ttl.min(pick.ttl);
        scope = scope.max(pick.scope);
        params.extend(hint(&pick.addresses));
    }
    let Some(reason) = reason else {
        return nobody();
    };
    let data = RData::HTTPS(HTTPS(SVCB::new(1, Name::root(), params)));
    let mut reply = Reply::with(vec![Record::from_rdata(owner.clone(), ttl, data)], reason);
    reply.scope = scope;
    reply
}

/// Addresses of one family as the hint of that family.
fn hint(addresses: &[IpAddr]) -> Option<(SvcParamKey, SvcParamValue)> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for address in addresses {
        match address {
            IpAddr::V4(ip) => v4.push(A(*ip)),
            IpAddr::V6(ip) => v6.push(AAAA(*ip)),
        }
    }
    if !v4.is_empty() {
        return Some((SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(v4))));
    }
    (!v6.is_empty()).then_some((SvcParamKey::Ipv6Hint, SvcParamValue::Ipv6Hint(IpHint(v6))))
}

/// Data of the zone itself.
fn zone_data(place: &Place<'_>, question: &Question) -> Reply {
    let zone = place.zone;
    let records: Vec<Record> = match (place.node, question.qtype) {
        (Node::Apex, RecordType::SOA) => vec![zone.soa().clone()],
        (Node::Apex, RecordType::NS) => zone.ns().collect(),
        (Node::NameServer(below), RecordType::A | RecordType::AAAA) => {
            zone.server(below, &question.name, question.qtype)
        }
        (Node::Apex, kind) => zone
            .ring()
            .map_or(Vec::new(), |ring| ring.records(kind).to_vec()),
        _ => Vec::new(),
    };
    if records.is_empty() {
        return no_data();
    }
    Reply::with(owned(&records, &question.name), Reason::ZoneData)
}

/// RFC 8482 §4.2: one synthesised record, which says why there is no more; of an alias itself, since
/// nothing stands beside one.
fn any(place: &Place<'_>, question: &Question) -> Reply {
    let alias = place
        .statics
        .map_or(&[][..], |statics| statics.set(RecordType::CNAME));
    if !alias.is_empty() {
        return Reply::with(owned(alias, &question.name), Reason::AnyMinimal);
    }
    let data = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
    let record = Record::from_rdata(question.name.clone(), ANY_TTL, data);
    Reply::with(vec![record], Reason::AnyMinimal)
}

const fn no_data() -> Reply {
    Reply::empty(ResponseCode::NoError, Reason::NoData)
}
