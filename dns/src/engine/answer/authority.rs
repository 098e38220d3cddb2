//! Stage 4: the authority section.
//!
//! A negative answer carries the SOA, which says how long it may be kept (RFC 2308 §2, §3). A
//! positive one carries nothing: NS records there would only make it longer.

use hickory_proto::op::ResponseCode;

use super::Reply;
use crate::engine::zone::ZoneData;

/// Fills the authority section.
pub fn fill(zone: &ZoneData, reply: &mut Reply) {
    if is_negative(reply) {
        reply.authority.push(zone.negative_soa().clone());
    }
}

/// NXDOMAIN or NODATA, in our name.
pub(super) fn is_negative(reply: &Reply) -> bool {
    let code = matches!(reply.code, ResponseCode::NoError | ResponseCode::NXDomain);
    reply.authoritative && code && reply.answers.is_empty()
}
