//! Counters of the engine: plain integers that the shell renders when asked.

use std::collections::BTreeMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::reason::{Fault, Reason};

/// What was answered.
#[derive(Clone, Debug, Default)]
pub struct AnswerStats {
    /// Questions by type; types that have no word of their own are `other`, so that the table is
    /// bounded whatever is asked.
    pub by_type: BTreeMap<&'static str, u64>,
    /// Replies by response code.
    pub by_code: BTreeMap<&'static str, u64>,
    /// Replies by reason.
    pub by_reason: BTreeMap<Reason, u64>,
}

impl AnswerStats {
    /// Counts a reply.
    pub fn count(&mut self, qtype: Option<RecordType>, code: ResponseCode, reason: Reason) {
        let qtype = qtype.map_or("none", type_word);
        *self.by_type.entry(qtype).or_default() += 1;
        *self.by_code.entry(code_word(code)).or_default() += 1;
        *self.by_reason.entry(reason).or_default() += 1;
    }
}

/// What the checks came to.
#[derive(Clone, Debug, Default)]
pub struct CheckStats {
    /// Pings answered with the proxy listed.
    pub pings_answered: u64,
    /// Pings that failed.
    pub pings_failed: u64,
    /// Pings that taught nothing: no local index, or this process was starved.
    pub pings_void: u64,
    /// Pages served.
    pub pages_served: u64,
    /// Pages not served.
    pub pages_failed: u64,
    /// HTTP checks that taught nothing.
    pub pages_void: u64,
    /// Proxies taken out, by fault.
    pub taken_out: BTreeMap<Fault, u64>,
    /// Proxies that became live, for the first time or again.
    pub taken_in: u64,
    /// Times this process found itself starved.
    pub starved: u64,
    /// Mentions refused because the pool is full.
    pub pool_full: u64,
    /// Mentions of addresses that nobody can connect to.
    pub unusable: u64,
    /// Questions for candidates that the local index did not answer.
    pub index_gone: u64,
}

/// The word of a record type in metrics.
const fn type_word(qtype: RecordType) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "65,536 types; the label must be bounded"
    )]
    match qtype {
        RecordType::A => "a",
        RecordType::AAAA => "aaaa",
        RecordType::NS => "ns",
        RecordType::SOA => "soa",
        RecordType::ANY => "any",
        RecordType::HTTPS => "https",
        RecordType::TXT => "txt",
        RecordType::MX => "mx",
        RecordType::CNAME => "cname",
        RecordType::DS => "ds",
        RecordType::DNSKEY => "dnskey",
        _ => "other",
    }
}

/// The word of a response code in metrics; only those that this server gives have one.
const fn code_word(code: ResponseCode) -> &'static str {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only the codes that are given have a word"
    )]
    match code {
        ResponseCode::NoError => "noerror",
        ResponseCode::FormErr => "formerr",
        ResponseCode::ServFail => "servfail",
        ResponseCode::NXDomain => "nxdomain",
        ResponseCode::NotImp => "notimp",
        ResponseCode::Refused => "refused",
        ResponseCode::BADVERS => "badvers",
        _ => "other",
    }
}
