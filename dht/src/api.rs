//! The documents of the local API: what the daemon reads and the client writes, and back.
//!
//! Pure data and its conversions; no transport. Fields a reader does not know are ignored, so that
//! a newer client can talk to an older daemon. Durations are whole milliseconds, except round-trip
//! times, which are microseconds. A value travels as `value` when it is UTF-8 and as
//! `value_base64` otherwise.

mod shape;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::ids::{ClusterId, NodeId};
use serde::{Deserialize, Serialize};

pub use self::shape::{BytesDoc, KeyDoc, ShapeError};
use crate::hints;
use crate::refusal::Refusal;
use crate::value::Value;

/// Largest request body in bytes: the largest value in base64 with generous room for the rest.
pub const BODY_MAX: usize = 4_096;

/// Time between two lines of a service registration. Three missing lines mean a dead daemon.
pub const SERVICE_LINE_EVERY: Duration = Duration::from_secs(5);

/// Addresses that one request may ping: as many as [`BODY_MAX`] has room for, of IPv6.
pub const PINGS_MAX: usize = 64;

/// Longest name of a service, in bytes.
pub const SERVICE_NAME_MAX: usize = 16;

/// The service by which a proxy says in an old network, at its peer address, that whatever is found of it here is
/// found in the new network as well. Whoever has a peer's door and does not say so is a straggler.
pub const IN_BOTH: &str = "in-both";

/// How long a command may take when its caller does not say, in milliseconds: a walk over a
/// planet-wide network with one dead node in the way.
const DEADLINE_DEFAULT_MS: u64 = 2_000;

/// Longest deadline taken seriously, in milliseconds. Longer ones are cut: no caller waits longer.
const DEADLINE_MAX_MS: u64 = 60_000;

const fn deadline_default() -> u64 {
    DEADLINE_DEFAULT_MS
}

const fn hint_ttl_default() -> u64 {
    hints::TTL.as_secs() * 1_000
}

const fn want_default() -> u8 {
    4
}

/// The time a request allows, within bounds.
#[must_use]
pub fn deadline(deadline_ms: u64) -> Duration {
    Duration::from_millis(deadline_ms.clamp(1, DEADLINE_MAX_MS))
}

/// `duration` in whole milliseconds, saturating.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// `duration` in whole microseconds, saturating.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// `POST /v1/get`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GetRequest {
    /// Under which key.
    #[serde(flatten)]
    pub key: KeyDoc,
    /// How many values are enough to end the search (default 4).
    #[serde(default = "want_default")]
    pub want: u8,
    /// Milliseconds allowed; what was found by then is returned.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
    /// The last level asked (default 0, the world); above 0 no request leaves the node's cluster of
    /// that level.
    #[serde(default)]
    pub outermost: u8,
    /// Answer with one line per finding as it arrives, instead of one document at the end.
    #[serde(default)]
    pub stream: bool,
}

/// Answer to a get, and to a claim that found others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ValuesDoc {
    /// The values found, in the order they were found.
    pub values: Vec<ValueDoc>,
    /// Whether the search is over. Only a streamed answer has lines with `false`.
    #[serde(default)]
    pub last: bool,
}

/// One value found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ValueDoc {
    /// Its bytes.
    #[serde(flatten)]
    pub bytes: BytesDoc,
    /// Milliseconds it still holds.
    pub ttl_ms: u64,
    /// The node whose client put it.
    pub publisher: NodeId,
    /// The level it was found at; 0 is the world.
    #[serde(default)]
    pub level: u8,
}

impl From<&Value> for ValueDoc {
    fn from(value: &Value) -> Self {
        Self {
            bytes: BytesDoc::of(&value.bytes),
            ttl_ms: millis(value.ttl),
            publisher: value.publisher,
            level: value.level,
        }
    }
}

impl TryFrom<ValueDoc> for Value {
    type Error = ShapeError;

    fn try_from(doc: ValueDoc) -> Result<Self, ShapeError> {
        let ttl = Duration::from_millis(doc.ttl_ms);
        Ok(Self {
            bytes: doc.bytes.resolve()?,
            ttl,
            publisher: doc.publisher,
            level: doc.level,
        })
    }
}

/// `POST /v1/put` and `POST /v1/claim`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PutRequest {
    /// Under which key.
    #[serde(flatten)]
    pub key: KeyDoc,
    /// The value, at most 256 bytes.
    #[serde(flatten)]
    pub bytes: BytesDoc,
    /// Milliseconds the value shall hold; capped at 24 hours.
    pub ttl_ms: u64,
    /// Milliseconds allowed.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
}

/// Answer to a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PutResponse {
    /// How many nodes stored it.
    pub copies: u32,
}

/// Answer to a claim.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClaimResponse {
    /// Whether the key is now the caller's. If not, `values` says who has it.
    pub granted: bool,
    /// Values of other publishers; empty if granted.
    #[serde(default)]
    pub values: Vec<ValueDoc>,
}

/// `POST /v1/withdraw`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WithdrawRequest {
    /// Under which key.
    #[serde(flatten)]
    pub key: KeyDoc,
    /// Milliseconds allowed.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
}

/// Answer to a withdrawal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WithdrawResponse {
    /// How many nodes were told; those that cannot be reached forget at the value's end.
    pub copies: u32,
}

/// `POST /v1/hint`: this node has measured the round trip to clients. Answered as a put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HintRequest {
    /// The address of one such client; its prefix (IPv4 /24, IPv6 /56) counts.
    pub client: IpAddr,
    /// The round trip in microseconds; at most two seconds, or it is no hint of nearness.
    pub rtt_us: u64,
    /// Milliseconds the hint shall hold (default one hour).
    #[serde(default = "hint_ttl_default")]
    pub ttl_ms: u64,
    /// Milliseconds allowed.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
}

/// `POST /v1/nodes`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodesRequest {
    /// Of which level (default 0, the world).
    #[serde(default)]
    pub level: u8,
    /// How many at most.
    pub count: u16,
    /// Near whom: members of the clusters that hints about this address's prefix name come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<IpAddr>,
    /// Only nodes that run this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Milliseconds allowed.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
}

/// Answer to `nodes`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodesResponse {
    /// Live nodes, in random order.
    pub nodes: Vec<NodeDoc>,
}

/// One node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeDoc {
    /// Its id.
    pub id: NodeId,
    /// Address of its index.
    pub addr: SocketAddr,
    /// Smoothed round-trip time in microseconds; absent for the asked node itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u64>,
    /// How far the client named by `near` is from it by the hints, in microseconds; absent where no
    /// hint leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near_us: Option<u64>,
    /// What runs there.
    #[serde(default)]
    pub services: Vec<ServiceDoc>,
}

/// A service and where it listens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceDoc {
    /// Kind of service, such as `http`.
    pub name: String,
    /// Its public address.
    pub addr: SocketAddr,
}

impl ServiceDoc {
    /// The document for a name and address.
    #[must_use]
    pub fn of((name, addr): &(String, SocketAddr)) -> Self {
        Self {
            name: name.clone(),
            addr: *addr,
        }
    }

    /// Whether the name is one a service may have.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<(), ShapeError> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let length = (1..=SERVICE_NAME_MAX).contains(&self.name.len());
        if length && self.name.bytes().all(fine) {
            Ok(())
        } else {
            Err(ShapeError::ServiceName)
        }
    }
}

/// `POST /v1/ping`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PingRequest {
    /// Address of the index to ping.
    pub addr: SocketAddr,
    /// Milliseconds allowed.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
}

/// Answer to a ping.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PingResponse {
    /// Round-trip time of this ping in microseconds.
    pub rtt_us: u64,
    /// What runs there.
    pub services: Vec<ServiceDoc>,
}

/// `POST /v1/pings`: several pings, answered together when the last one has ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PingsRequest {
    /// Addresses of the indexes to ping, at most [`PINGS_MAX`].
    pub addrs: Vec<SocketAddr>,
    /// Milliseconds allowed for each.
    #[serde(default = "deadline_default")]
    pub deadline_ms: u64,
}

/// Answer to several pings.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PingsResponse {
    /// One for each address, in the order of the request.
    pub pings: Vec<PingDoc>,
}

/// What came of one of several pings.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PingDoc {
    /// It was answered.
    Pong(PingResponse),
    /// It was not.
    Refused {
        /// The word of the refusal.
        error: String,
    },
}

/// Answer to `GET /v1/levels`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LevelsResponse {
    /// The levels this node takes part in, level 0 first.
    pub levels: Vec<LevelDoc>,
}

/// One level.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LevelDoc {
    /// Its number; 0 is the world.
    pub level: u8,
    /// Largest round-trip time inside a cluster, in milliseconds; absent for the world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_ms: Option<u64>,
    /// The node's cluster at this level.
    pub cluster: ClusterId,
    /// Estimated number of members.
    pub size: u32,
    /// Seconds since the cluster was founded.
    pub age_s: u64,
}

/// One line of a service registration (`POST /v1/service`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceLine {
    /// Always true: the service is registered as long as lines come.
    pub registered: bool,
}

/// A refusal: the body of every answer with a status of 400 or above.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ErrorDoc {
    /// The word of the refusal ([`Refusal::as_str`]).
    pub error: String,
    /// One sentence for people.
    pub message: String,
}

impl ErrorDoc {
    /// The document for `refusal`.
    #[must_use]
    pub fn of(refusal: Refusal) -> Self {
        Self {
            error: refusal.as_str().to_owned(),
            message: refusal.explanation().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::ids::Key;

    use super::*;

    #[test]
    fn a_request_reads_as_people_write_it() {
        let text = r#"{"text":"x","want":2,"unknown":1}"#;
        let request: GetRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.key.resolve(), Ok(Key::of(b"x")));
        assert_eq!((request.want, request.deadline_ms), (2, 2_000));
        let text = r#"{"text":"x","value":"v","ttl_ms":1}"#;
        let request: PutRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.bytes.resolve(), Ok(b"v".to_vec()));
    }

    #[test]
    fn exactly_one_form_of_key_and_value_is_needed() {
        let both = KeyDoc {
            key: Some(Key::ZERO),
            text: Some(String::new()),
        };
        assert_eq!(both.resolve(), Err(ShapeError::Key));
        assert_eq!(KeyDoc::default().resolve(), Err(ShapeError::Key));
        assert_eq!(BytesDoc::default().resolve(), Err(ShapeError::Value));
        let bad = BytesDoc {
            value: None,
            value_base64: Some("?".to_owned()),
        };
        assert_eq!(bad.resolve(), Err(ShapeError::Base64));
    }

    #[test]
    fn any_bytes_survive_json() {
        for bytes in [&b"plain"[..], &[0xff, 0, 1], b""] {
            let text = serde_json::to_string(&BytesDoc::of(bytes)).unwrap();
            let back: BytesDoc = serde_json::from_str(&text).unwrap();
            assert_eq!(back.resolve().unwrap(), bytes);
        }
    }

    #[test]
    fn refuses_service_names_that_do_not_fit_the_wire() {
        let addr = "192.0.2.1:80".parse().unwrap();
        let check = |name: &str| {
            ServiceDoc {
                name: name.to_owned(),
                addr,
            }
            .check()
        };
        assert_eq!(check("http"), Ok(()));
        for name in ["", "HTTP", "a b", "seventeen-letters"] {
            assert_eq!(check(name), Err(ShapeError::ServiceName), "{name}");
        }
    }

    #[test]
    fn a_deadline_is_bounded_both_ways() {
        assert_eq!(deadline(0), Duration::from_millis(1));
        assert_eq!(deadline(u64::MAX), Duration::from_secs(60));
    }
}
