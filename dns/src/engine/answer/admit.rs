//! Stage 0: refuses what is no question to this server, cheapest test first.

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use super::{ExtendedError, Reply};
use crate::engine::inquiry::Inquiry;
use crate::engine::reason::Reason;
use crate::engine::sign::denial::NXNAME;

/// What of a message decides whether it is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heading {
    /// The operation.
    pub operation: OpCode,
    /// EDNS version, if there is EDNS.
    pub version: Option<u8>,
    /// Whether the options of EDNS could be read.
    pub options_fit: bool,
    /// Questions counted.
    pub questions: u16,
    /// Whether there is a cookie.
    pub cookie: bool,
    /// Type and class of the question, if there is exactly one.
    pub asked: Option<(RecordType, DNSClass)>,
}

impl Inquiry {
    /// What of it decides whether it is taken.
    #[must_use]
    pub fn heading(&self) -> Heading {
        let question = self.question.as_ref();
        Heading {
            operation: self.operation,
            version: self.edns.map(|edns| edns.version),
            options_fit: true,
            questions: u16::from(question.is_some()),
            cookie: self.edns.is_some_and(|edns| edns.cookie.is_some()),
            asked: question.map(|question| (question.qtype, question.qclass)),
        }
    }
}

/// A reply without records that speaks for no zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Response code.
    pub code: ResponseCode,
    /// Why.
    pub reason: Reason,
    /// Extended error.
    pub extended_error: Option<ExtendedError>,
}

impl Refusal {
    /// The reply.
    #[must_use]
    pub const fn reply(self) -> Reply {
        Reply::refusal(self.code, self.reason, self.extended_error)
    }
}

/// Whether a message is a question to be answered.
///
/// # Errors
/// The refusal.
pub fn admit(heading: &Heading) -> Result<(), Refusal> {
    // RFC 6891 §6.1.3: before anything else, since what follows may mean something else in a later
    // version.
    if heading.version.is_some_and(|version| version > 0) {
        return Err(refuse(ResponseCode::BADVERS, Reason::EdnsVersion));
    }
    // RFC 1035 §4.1.1; NOTIFY, UPDATE and the rest concern servers that copy zones.
    if heading.operation != OpCode::Query {
        return Err(refuse(ResponseCode::NotImp, Reason::Operation));
    }
    // RFC 7871 §7.1.1 and RFC 7873 §5.2.2: an option that is not what its standard says.
    if !heading.options_fit {
        return Err(refuse(ResponseCode::FormErr, Reason::Malformed));
    }
    // RFC 7873 §5.4: whoever asks nothing wants a cookie.
    if heading.questions == 0 && heading.cookie {
        return Err(refuse(ResponseCode::NoError, Reason::CookieOnly));
    }
    // RFC 9619: a query has one question.
    let Some((qtype, qclass)) = heading.asked else {
        return Err(refuse(ResponseCode::FormErr, Reason::Malformed));
    };
    // RFC 5936 §2.2.1 and RFC 1995: nobody transfers this zone.
    if matches!(qtype, RecordType::AXFR | RecordType::IXFR) {
        return Err(refuse(ResponseCode::Refused, Reason::Transfer));
    }
    // RFC 6891 §6.1.1: OPT is never asked for.
    if qtype == RecordType::OPT {
        return Err(refuse(ResponseCode::FormErr, Reason::Malformed));
    }
    // RFC 9824 §3.5: it exists in NSEC records only.
    if qtype == NXNAME {
        let mut reply = refuse(ResponseCode::FormErr, Reason::Malformed);
        reply.extended_error = Some(ExtendedError::InvalidQueryType);
        return Err(reply);
    }
    // CHAOS would tell the version (RFC 4892); class ANY has no use (RFC 1035 §3.2.5).
    if qclass != DNSClass::IN {
        let mut refusal = refuse(ResponseCode::Refused, Reason::Class);
        refusal.extended_error = Some(ExtendedError::NotSupported);
        return Err(refusal);
    }
    Ok(())
}

const fn refuse(code: ResponseCode, reason: Reason) -> Refusal {
    Refusal {
        code,
        reason,
        extended_error: None,
    }
}
