//! Stage 4: the authority section.
//!
//! A negative answer carries the SOA, which says how long it may be kept (RFC 2308 §2, §3). A
//! positive one carries nothing: NS records there would only make it longer.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record};

use super::Reply;
use crate::engine::reason::Reason;
use crate::engine::zone::ZoneData;

/// Fills the authority section.
pub fn fill(zone: &ZoneData, reply: &mut Reply) {
    if is_negative(reply) {
        reply.authority.push(zone.negative_soa().clone());
    }
}

/// NXDOMAIN or NODATA, in our name: nothing was found, or aliases that lead to nothing here.
pub(super) fn is_negative(reply: &Reply) -> bool {
    let code = matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain);
    let leads_on = |record: &Record| matches!(record.data, RData::CNAME(_));
    let nothing = reply.answers.last().is_none_or(leads_on);
    // An alias that was asked for, or that leads outside, is an answer.
    reply.authoritative
        && code
        && nothing
        && reply.reason != Reason::Alias
        && reply.reason != Reason::Static
}
