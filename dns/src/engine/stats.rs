//! Counters of the engine: plain integers that the shell renders when asked.

use std::collections::BTreeMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::cookie::Worth;
use super::inquiry::Transport;
use super::reason::{Fault, Reason, Silence};
use super::sign::cache::SignStats;

/// Which door a reply went through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Door {
    /// [`plain`](super::plain).
    Plain,
    /// [`careful`](super::message::careful).
    Careful,
}

impl Door {
    /// Every door, in the order of the counters.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Careful];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Careful => "careful",
        }
    }
}

/// One counter per word of a closed list; what is not on the list counts as the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Counts<const N: usize>([u64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Counts<N> {
    fn add(&mut self, place: Option<usize>) {
        let place = place.unwrap_or(N - 1).min(N - 1);
        if let Some(count) = self.0.get_mut(place) {
            *count = count.wrapping_add(1);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (mine, others) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.wrapping_add(*others);
        }
    }

    fn rows(&self, words: [&'static str; N]) -> Vec<(&'static str, u64)> {
        words.into_iter().zip(self.0).collect()
    }
}

/// Types of questions with a counter of their own.
const TYPES: [(RecordType, &str); 11] = [
    (RecordType::A, "a"),
    (RecordType::AAAA, "aaaa"),
    (RecordType::HTTPS, "https"),
    (RecordType::NS, "ns"),
    (RecordType::SOA, "soa"),
    (RecordType::TXT, "txt"),
    (RecordType::MX, "mx"),
    (RecordType::CNAME, "cname"),
    (RecordType::DS, "ds"),
    (RecordType::DNSKEY, "dnskey"),
    (RecordType::ANY, "any"),
];

/// Codes of replies; only those that this server gives have a counter of their own.
const CODES: [(ResponseCode, &str); 7] = [
    (ResponseCode::NoError, "noerror"),
    (ResponseCode::NXDomain, "nxdomain"),
    (ResponseCode::Refused, "refused"),
    (ResponseCode::FormErr, "formerr"),
    (ResponseCode::ServFail, "servfail"),
    (ResponseCode::NotImp, "notimp"),
    (ResponseCode::BADVERS, "badvers"),
];

/// What was answered. Of one size whatever is asked, and copied in no time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AnswerStats {
    types: Counts<13>,
    codes: Counts<8>,
    reasons: Counts<{ Reason::ALL.len() }>,
    silences: Counts<{ Silence::ALL.len() }>,
    transports: Counts<2>,
    cookies: Counts<3>,
    doors: Counts<2>,
    /// What was signed.
    pub signing: SignStats,
}

impl AnswerStats {
    /// Counts a reply.
    pub fn count(&mut self, qtype: Option<u16>, code: ResponseCode, reason: Reason) {
        let place = qtype.map(|qtype| {
            let known = TYPES
                .iter()
                .position(|(other, _)| u16::from(*other) == qtype);
            known.unwrap_or(TYPES.len())
        });
        self.types.add(place);
        self.codes
            .add(CODES.iter().position(|(other, _)| *other == code));
        self.reasons.add(Some(reason as usize));
    }

    /// Counts a message that came.
    pub fn received(&mut self, transport: Transport) {
        self.transports.add(Some(transport as usize));
    }

    /// Counts a message that got no reply.
    pub fn silent(&mut self, silence: Silence) {
        self.silences.add(Some(silence as usize));
    }

    /// Counts a cookie.
    pub fn cookie(&mut self, worth: Worth) {
        self.cookies.add(Some(worth as usize));
    }

    /// Counts a reply by its door.
    pub fn door(&mut self, door: Door) {
        self.doors.add(Some(door as usize));
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Self) {
        self.signing.merge(other.signing);
        self.types.merge(&other.types);
        self.codes.merge(&other.codes);
        self.reasons.merge(&other.reasons);
        self.silences.merge(&other.silences);
        self.transports.merge(&other.transports);
        self.cookies.merge(&other.cookies);
        self.doors.merge(&other.doors);
    }

    /// Questions by type: those without a word of their own are `other`, messages without a question
    /// `none`.
    #[must_use]
    pub fn by_type(&self) -> Vec<(&'static str, u64)> {
        let mut words = ["other"; 13];
        for (word, (_, known)) in words.iter_mut().zip(TYPES) {
            *word = known;
        }
        words[TYPES.len() + 1] = "none";
        self.types.rows(words)
    }

    /// Replies by response code.
    #[must_use]
    pub fn by_code(&self) -> Vec<(&'static str, u64)> {
        let mut words = ["other"; 8];
        for (word, (_, known)) in words.iter_mut().zip(CODES) {
            *word = known;
        }
        self.codes.rows(words)
    }

    /// Replies by reason.
    #[must_use]
    pub fn by_reason(&self) -> Vec<(&'static str, u64)> {
        self.reasons.rows(Reason::ALL.map(Reason::as_str))
    }

    /// Messages without a reply, by reason.
    #[must_use]
    pub fn by_silence(&self) -> Vec<(&'static str, u64)> {
        self.silences.rows(Silence::ALL.map(Silence::as_str))
    }

    /// Messages by transport.
    #[must_use]
    pub fn by_transport(&self) -> Vec<(&'static str, u64)> {
        self.transports.rows(Transport::ALL.map(Transport::as_str))
    }

    /// Cookies by worth.
    #[must_use]
    pub fn by_cookie(&self) -> Vec<(&'static str, u64)> {
        self.cookies.rows(Worth::ALL.map(Worth::as_str))
    }

    /// Replies by door.
    #[must_use]
    pub fn by_door(&self) -> Vec<(&'static str, u64)> {
        self.doors.rows(Door::ALL.map(Door::as_str))
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
    /// Pings and pages that failed, by what they said.
    pub failures: BTreeMap<Fault, u64>,
    /// Pages served so slowly that they count against a proxy.
    pub pages_slow: u64,
    /// Proxies that got a seat.
    pub seated: u64,
    /// Proxies that gave theirs to others.
    pub unseated: u64,
    /// Proxies wanted for clients near them that nobody mentioned.
    pub wanted_unknown: u64,
    /// Times this process found itself starved.
    pub starved: u64,
    /// Mentions refused because the pool is full.
    pub pool_full: u64,
    /// Mentions of addresses that nobody can connect to.
    pub unusable: u64,
    /// Questions for candidates that the local index did not answer.
    pub index_gone: u64,
}
