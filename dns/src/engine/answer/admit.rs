//! Stage 0: refuses what is no question to this server, cheapest test first.

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use super::{ExtendedError, Reply};
use crate::engine::inquiry::{Inquiry, Question};
use crate::engine::reason::Reason;
use crate::engine::sign::denial::NXNAME;

/// The question, or the reply that refuses it.
///
/// # Errors
/// The refusal.
pub fn admit(inquiry: &Inquiry) -> Result<&Question, Reply> {
    // RFC 6891 §6.1.3: before anything else, since what follows may mean something else in a later
    // version.
    if inquiry.edns.is_some_and(|edns| edns.version > 0) {
        return Err(refuse(ResponseCode::BADVERS, Reason::EdnsVersion));
    }
    // RFC 1035 §4.1.1; NOTIFY, UPDATE and the rest concern servers that copy zones.
    if inquiry.operation != OpCode::Query {
        return Err(refuse(ResponseCode::NotImp, Reason::Operation));
    }
    // RFC 9619: a query has one question.
    let Some(question) = &inquiry.question else {
        return Err(refuse(ResponseCode::FormErr, Reason::Malformed));
    };
    // RFC 5936 §2.2.1 and RFC 1995: nobody transfers this zone.
    if matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
        return Err(refuse(ResponseCode::Refused, Reason::Transfer));
    }
    // RFC 6891 §6.1.1: OPT is never asked for.
    if question.qtype == RecordType::OPT {
        return Err(refuse(ResponseCode::FormErr, Reason::Malformed));
    }
    // RFC 9824 §3.5: it exists in NSEC records only.
    if question.qtype == NXNAME {
        let mut reply = refuse(ResponseCode::FormErr, Reason::Malformed);
        reply.extended_error = Some(ExtendedError::InvalidQueryType);
        return Err(reply);
    }
    // CHAOS would tell the version (RFC 4892); class ANY has no use (RFC 1035 §3.2.5).
    if question.qclass != DNSClass::IN {
        let mut reply = refuse(ResponseCode::Refused, Reason::Class);
        reply.extended_error = Some(ExtendedError::NotSupported);
        return Err(reply);
    }
    Ok(question)
}

const fn refuse(code: ResponseCode, reason: Reason) -> Reply {
    Reply::refusal(code, reason, None)
}
