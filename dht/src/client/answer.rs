//! What the index says, as its callers get it: results, errors, and how both are read from its documents.

use std::net::SocketAddr;
use std::time::Duration;

use common::ids::NodeId;
use serde::de::DeserializeOwned;

use crate::api::{ErrorDoc, PingResponse, ServiceDoc, ValueDoc};
use crate::refusal::Refusal;
use crate::value::Value;

/// Why a call gave nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon answers at the socket, or it went away during the call.
    #[error("the index daemon cannot be reached: {0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("the index gave no answer within the deadline")]
    Deadline,
    /// The index said no.
    #[error("the index refused: {0}")]
    Refused(Refusal),
    /// The daemon answered something this client does not understand.
    #[error("the index answered out of protocol: {0}")]
    Protocol(String),
}

/// What a get found. No values is an answer too: nobody reachable has the key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The values, in the order in which the walk met them: those of inner levels first. Each says
    /// its level. May exceed what was wanted: a node returns all it has room for.
    pub values: Vec<Value>,
}

/// What a claim came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The key is the caller's until the TTL ends: fetch, and renew or withdraw.
    Granted,
    /// Others have it or are fetching it: their values, never empty.
    Found(Vec<Value>),
}

/// A live node of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Address of its index.
    pub addr: SocketAddr,
    /// Smoothed round-trip time; `None` for the asked node itself.
    pub rtt: Option<Duration>,
    /// How far the client asked about is from it by the hints: as its publisher measured, or for
    /// other members of the publisher's cluster half the cluster's width more. `None` where no hint
    /// leads to it.
    pub near: Option<Duration>,
    /// What runs there: kind of service and public address.
    pub services: Vec<(String, SocketAddr)>,
}

/// Answer to a first-hand ping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pong {
    /// Round-trip time of this ping.
    pub rtt: Duration,
    /// What runs there: kind of service and public address.
    pub services: Vec<(String, SocketAddr)>,
}

pub(super) fn values(docs: Vec<ValueDoc>) -> Result<Vec<Value>, ClientError> {
    let read = docs
        .into_iter()
        .map(Value::try_from)
        .collect::<Result<_, _>>();
    read.map_err(|error| ClientError::Protocol(error.to_string()))
}

pub(super) fn services(docs: Vec<ServiceDoc>) -> Vec<(String, SocketAddr)> {
    docs.into_iter().map(|doc| (doc.name, doc.addr)).collect()
}

/// The document of a good answer, or the error a bad one stands for.
pub(super) fn read<A: DeserializeOwned>(status: u16, body: &[u8]) -> Result<A, ClientError> {
    if status == 200 {
        return serde_json::from_slice(body).map_err(|e| ClientError::Protocol(e.to_string()));
    }
    let doc: ErrorDoc = serde_json::from_slice(body)
        .map_err(|_| ClientError::Protocol(format!("status {status} without a reason")))?;
    let unknown = || format!("status {status}: {}", doc.message);
    Err(refused(&doc.error, unknown))
}

/// The error that the word of a refusal stands for.
pub(super) fn refused(word: &str, unknown: impl FnOnce() -> String) -> ClientError {
    match word.parse() {
        Ok(Refusal::Deadline) => ClientError::Deadline,
        Ok(refusal) => ClientError::Refused(refusal),
        Err(_) => ClientError::Protocol(unknown()),
    }
}

pub(super) fn pong(doc: PingResponse) -> Pong {
    Pong {
        rtt: Duration::from_micros(doc.rtt_us),
        services: services(doc.services),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PutResponse;

    #[test]
    fn a_refusal_keeps_its_reason_and_a_deadline_is_its_own_error() {
        let body = |refusal| serde_json::to_vec(&ErrorDoc::of(refusal)).unwrap();
        let full = read::<PutResponse>(503, &body(Refusal::StoreFull));
        assert_eq!(full, Err(ClientError::Refused(Refusal::StoreFull)));
        let late = read::<PutResponse>(504, &body(Refusal::Deadline));
        assert_eq!(late, Err(ClientError::Deadline));
        let odd = read::<PutResponse>(500, b"<html>");
        assert!(matches!(odd, Err(ClientError::Protocol(_))));
    }
}
