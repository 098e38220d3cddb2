//! What is answered, short of how it is written: the result of the [stages](super::answer), to be signed
//! and put into a message.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::Record;

use super::reason::Reason;

/// Extended error (RFC 8914 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtendedError {
    /// 20: the name is not under a zone of ours.
    NotAuthoritative,
    /// 21: the operation or class is not supported here.
    NotSupported,
    /// 30: the type is none that can be asked for (RFC 9824 §3.5).
    InvalidQueryType,
    /// 22: no proxy is alive.
    NoReachableAuthority,
}

impl ExtendedError {
    /// The code in the registry.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::NotAuthoritative => 20,
            Self::NotSupported => 21,
            Self::NoReachableAuthority => 22,
            Self::InvalidQueryType => 30,
        }
    }
}

/// A reply, short of what only its message knows: id, flags of the question, EDNS.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// Response code.
    pub code: ResponseCode,
    /// Whether it speaks for the zone.
    pub authoritative: bool,
    /// Answer section.
    pub answers: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section, without OPT.
    pub additional: Vec<Record>,
    /// Extended error, for whom it can be told.
    pub extended_error: Option<ExtendedError>,
    /// How many bits of the asker's network the answer depends on (RFC 7871 §7.2.1); `None` if it
    /// would be the same for everybody.
    pub scope: Option<u8>,
    /// Whether record sets of signed zones are to come with signatures.
    pub to_sign: bool,
    /// Whether the flag CO is set in it (RFC 9824 §5.1).
    pub compact: bool,
    /// Why it is what it is.
    pub reason: Reason,
}

impl Reply {
    /// A reply that speaks for no zone and has no records.
    #[must_use]
    pub const fn refusal(
        code: ResponseCode,
        reason: Reason,
        extended_error: Option<ExtendedError>,
    ) -> Self {
        Self {
            code,
            authoritative: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            extended_error,
            scope: None,
            to_sign: false,
            compact: false,
            reason,
        }
    }

    /// An empty reply for the zone.
    #[must_use]
    pub const fn empty(code: ResponseCode, reason: Reason) -> Self {
        let mut reply = Self::refusal(code, reason, None);
        reply.authoritative = true;
        reply
    }

    /// Records of the answer section.
    #[must_use]
    pub fn with(answers: Vec<Record>, reason: Reason) -> Self {
        let mut reply = Self::empty(ResponseCode::NoError, reason);
        reply.answers = answers;
        reply
    }
}
