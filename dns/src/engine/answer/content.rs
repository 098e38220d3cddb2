//! Stage 3: the answer section.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::HINFO;
use hickory_proto::rr::{RData, Record, RecordType};

use super::locate::Node;
use super::select::Selection;
use super::{ExtendedError, Reply, View};
use crate::engine::inquiry::Question;
use crate::engine::reason::Reason;
use crate::engine::zone::address;

/// TTL of the answer to ANY, in seconds: long, since nobody needs it twice.
const ANY_TTL: u32 = 3_600;

/// The reply to `question` about `node`, without its other sections.
pub fn fill(view: &View<'_>, node: Node<'_>, question: &Question, selection: Selection) -> Reply {
    match node {
        Node::Missing(_) => return Reply::empty(ResponseCode::NXDomain, Reason::NoSuchName),
        Node::EmptyNonTerminal => {
            return Reply::empty(ResponseCode::NoError, Reason::EmptyNonTerminal);
        }
        Node::Apex | Node::NameServer(_) | Node::Proxied => {}
    }
    if question.qtype == RecordType::ANY {
        return any(question);
    }
    match selection {
        Selection::Named(pick) if !pick.addresses.is_empty() => {
            let owner = &question.name;
            let record = |ip: &IpAddr| address(owner.clone(), pick.ttl, *ip);
            let records = pick.addresses.iter().map(record).collect();
            let mut reply = Reply::with(records, pick.reason);
            reply.scope = pick.scope;
            reply
        }
        // Proxies there are, but none with an address of this family.
        Selection::Named(_) => no_data(),
        Selection::Nobody => Reply::refusal(
            ResponseCode::ServFail,
            Reason::NobodyAlive,
            Some(ExtendedError::NoReachableAuthority),
        ),
        Selection::Unneeded => zone_data(view, node, question),
    }
}

/// Data of the zone itself.
fn zone_data(view: &View<'_>, node: Node<'_>, question: &Question) -> Reply {
    let mut records: Vec<Record> = match (node, question.qtype) {
        (Node::Apex, RecordType::SOA) => vec![view.zone.soa().clone()],
        (Node::Apex, RecordType::NS) => view.zone.ns().collect(),
        (Node::NameServer(below), RecordType::A | RecordType::AAAA) => {
            view.zone.server(below, &question.name, question.qtype)
        }
        _ => Vec::new(),
    };
    if records.is_empty() {
        return no_data();
    }
    // The owner is the question's name, in its case.
    for record in &mut records {
        record.name = question.name.clone();
    }
    Reply::with(records, Reason::ZoneData)
}

/// RFC 8482 §4.2: one synthesised record, which says why there is no more.
fn any(question: &Question) -> Reply {
    let data = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
    let record = Record::from_rdata(question.name.clone(), ANY_TTL, data);
    Reply::with(vec![record], Reason::AnyMinimal)
}

const fn no_data() -> Reply {
    Reply::empty(ResponseCode::NoError, Reason::NoData)
}
