//! What must hold of any reply before it is signed, whatever the stages before did.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record};

use super::{Reply, authority};
use crate::engine::reason::Reason;

/// `reply`, or SERVFAIL if it contradicts itself, which is a fault of this program: better no
/// answer than one that resolvers keep.
#[must_use]
pub fn verify(reply: Reply) -> Reply {
    let sound = is_sound(&reply);
    debug_assert!(sound, "unsound reply: {reply:?}");
    if sound {
        reply
    } else {
        Reply::refusal(ResponseCode::ServFail, Reason::Unsound, None)
    }
}

fn is_sound(reply: &Reply) -> bool {
    let answered = !reply.answers.is_empty();
    // RFC 2308 §2.1 and §2.2: SOA in a negative answer, and in no other.
    let negative = authority::is_negative(reply);
    let soa_fits = negative != reply.authority.is_empty();
    // NXDOMAIN comes with answers only if they lead to what does not exist (RFC 6604 §2.1), and
    // answers speak for the zone.
    let leads_on = reply.answers.last().is_some_and(is_alias);
    let code_fits = !answered
        || (reply.authoritative
            && match reply.code {
                ResponseCode::NoError => true,
                ResponseCode::NXDomain => leads_on,
                _ => false,
            });
    soa_fits && code_fits && reply.answers.windows(2).all(is_consecutive)
}

fn is_alias(record: &Record) -> bool {
    matches!(record.data, RData::CNAME(_))
}

/// One owner and one type (RFC 2181 §5), or an alias and what it leads to.
fn is_consecutive(pair: &[Record]) -> bool {
    match pair {
        [one, two] => match &one.data {
            RData::CNAME(target) => target.0 == two.name,
            _ => one.name == two.name && one.record_type() == two.record_type(),
        },
        _ => true,
    }
}
