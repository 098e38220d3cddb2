//! Last stage: what must hold of any reply, whatever the stages before did.

use hickory_proto::op::ResponseCode;

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
    // Only NOERROR carries answers, and only in our name.
    let code_fits = !answered || (reply.code == ResponseCode::NoError && reply.authoritative);
    // One owner and one type: there are no aliases here (RFC 2181 §5).
    let uniform = reply.answers.windows(2).all(|pair| match pair {
        [one, two] => one.name == two.name && one.record_type() == two.record_type(),
        _ => true,
    });
    soa_fits && code_fits && uniform
}
