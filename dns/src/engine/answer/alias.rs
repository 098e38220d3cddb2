//! Following an alias (RFC 1034 §3.6.2): the stages once more for where it leads, and the two replies
//! put together.
//!
//! An alias that leads out of all zones is the whole answer: whoever asked goes on elsewhere.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use super::Reply;
use crate::engine::inquiry::Question;
use crate::engine::reason::Reason;

/// What to ask next, if `reply` is an alias that `question` did not ask for.
#[must_use]
pub fn next(reply: &Reply, question: &Question) -> Option<Question> {
    let asked_for = matches!(question.qtype, RecordType::CNAME | RecordType::ANY);
    match &reply.answers.first()?.data {
        RData::CNAME(target) if !asked_for => Some(Question {
            name: target.0.clone(),
            qtype: question.qtype,
            qclass: question.qclass,
        }),
        _ => None,
    }
}

/// The alias, and what was found where it leads.
#[must_use]
pub fn join(alias: Reply, mut found: Reply) -> Reply {
    match found.code {
        // RFC 6604 §2.1: the code is that of the last name.
        ResponseCode::NoError | ResponseCode::NXDomain => {
            let mut answers = alias.answers;
            answers.append(&mut found.answers);
            found.answers = answers;
            found
        }
        // Outside the zones.
        ResponseCode::Refused => Reply {
            reason: Reason::Alias,
            ..alias
        },
        _ => found,
    }
}
