//! Questions to one index: a document goes out, and one comes back. Whether a second index is asked as well is
//! the business of [`Client`]'s own file.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::ids::Key;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{pong, read, refused, services, values};
use super::{Claim, Client, ClientError, Found, NodeView, Pong, Search};
use crate::api::{
    BytesDoc, ClaimResponse, GetRequest, HintRequest, KeyDoc, NodesRequest, NodesResponse, PingDoc,
    PingRequest, PingResponse, PingsRequest, PingsResponse, PutRequest, PutResponse, ValuesDoc,
    WithdrawRequest, WithdrawResponse, micros, millis,
};

/// Time beyond the caller's deadline that the daemon has to get its answer across the socket.
/// The daemon ends the command at the deadline itself; this only covers the way back.
const TRANSPORT_GRACE: Duration = Duration::from_millis(100);

impl Client {
    pub(super) async fn get_here(
        &self,
        key: Key,
        want: usize,
        outermost: u8,
        deadline: Duration,
    ) -> Result<Found, ClientError> {
        let want = u8::try_from(want).unwrap_or(u8::MAX);
        let deadline_ms = millis(deadline);
        let request = GetRequest {
            key: KeyDoc::of(key),
            want,
            deadline_ms,
            outermost,
            stream: false,
        };
        let doc: ValuesDoc = self.post("/v1/get", &request, deadline).await?;
        Ok(Found {
            values: values(doc.values)?,
        })
    }

    pub(super) async fn put_here(
        &self,
        key: Key,
        value: &[u8],
        ttl: Duration,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let request = put_request(key, value, ttl, deadline);
        let doc: PutResponse = self.post("/v1/put", &request, deadline).await?;
        Ok(doc.copies)
    }

    pub(super) async fn claim_here(
        &self,
        key: Key,
        value: &[u8],
        ttl: Duration,
        deadline: Duration,
    ) -> Result<Claim, ClientError> {
        let request = put_request(key, value, ttl, deadline);
        let doc: ClaimResponse = self.post("/v1/claim", &request, deadline).await?;
        match (doc.granted, values(doc.values)?) {
            (true, _) => Ok(Claim::Granted),
            (false, found) if !found.is_empty() => Ok(Claim::Found(found)),
            (false, _) => Err(ClientError::Protocol(
                "a claim neither granted nor found".into(),
            )),
        }
    }

    pub(super) async fn withdraw_here(
        &self,
        key: Key,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let request = WithdrawRequest {
            key: KeyDoc::of(key),
            deadline_ms: millis(deadline),
        };
        let doc: WithdrawResponse = self.post("/v1/withdraw", &request, deadline).await?;
        Ok(doc.copies)
    }

    pub(super) async fn hint_here(
        &self,
        client: IpAddr,
        rtt: Duration,
        ttl: Duration,
        deadline: Duration,
    ) -> Result<u32, ClientError> {
        let request = HintRequest {
            client,
            rtt_us: micros(rtt),
            ttl_ms: millis(ttl),
            deadline_ms: millis(deadline),
        };
        let doc: PutResponse = self.post("/v1/hint", &request, deadline).await?;
        Ok(doc.copies)
    }

    pub(super) async fn nodes_here(
        &self,
        search: Search<'_>,
        deadline: Duration,
    ) -> Result<Vec<NodeView>, ClientError> {
        let request = NodesRequest {
            level: search.level,
            count: u16::try_from(search.count).unwrap_or(u16::MAX),
            near: search.near,
            service: search.service.map(str::to_owned),
            deadline_ms: millis(deadline),
        };
        let doc: NodesResponse = self.post("/v1/nodes", &request, deadline).await?;
        let view = |node: crate::api::NodeDoc| NodeView {
            id: node.id,
            addr: node.addr,
            rtt: node.rtt_us.map(Duration::from_micros),
            near: node.near_us.map(Duration::from_micros),
            services: services(node.services),
        };
        Ok(doc.nodes.into_iter().map(view).collect())
    }

    pub(super) async fn ping_here(
        &self,
        addr: SocketAddr,
        deadline: Duration,
    ) -> Result<Pong, ClientError> {
        let request = PingRequest {
            addr,
            deadline_ms: millis(deadline),
        };
        let doc: PingResponse = self.post("/v1/ping", &request, deadline).await?;
        Ok(pong(doc))
    }

    pub(super) async fn pings_here(
        &self,
        addrs: Vec<SocketAddr>,
        deadline: Duration,
    ) -> Result<Vec<Result<Pong, ClientError>>, ClientError> {
        let asked = addrs.len();
        let request = PingsRequest {
            addrs,
            deadline_ms: millis(deadline),
        };
        let doc: PingsResponse = self.post("/v1/pings", &request, deadline).await?;
        if doc.pings.len() != asked {
            let message = format!("{} results of {asked} pings", doc.pings.len());
            return Err(ClientError::Protocol(message));
        }
        let result = |doc| match doc {
            PingDoc::Pong(doc) => Ok(pong(doc)),
            PingDoc::Refused { error } => Err(refused(&error, || format!("refused as {error}"))),
        };
        Ok(doc.pings.into_iter().map(result).collect())
    }

    async fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &'static str,
        request: &Q,
        deadline: Duration,
    ) -> Result<A, ClientError> {
        let body = encode(request)?;
        let allowed = deadline.saturating_add(TRANSPORT_GRACE);
        let traced = self.trace.map(|trace| format!("{path}?trace={trace}"));
        let path = traced.as_deref().unwrap_or(path);
        let answer = self.pool.exchange("POST", path, body, allowed).await?;
        read(answer.status, &answer.body)
    }
}

fn put_request(key: Key, value: &[u8], ttl: Duration, deadline: Duration) -> PutRequest {
    PutRequest {
        key: KeyDoc::of(key),
        bytes: BytesDoc::of(value),
        ttl_ms: millis(ttl),
        deadline_ms: millis(deadline),
    }
}

pub(super) fn encode<Q: Serialize>(request: &Q) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(request).map_err(|error| ClientError::Protocol(error.to_string()))
}
