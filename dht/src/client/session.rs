//! A service registration: an answer that lasts as long as the service does.
//!
//! The daemon writes a line every few seconds; the registration ends when either side closes the
//! connection, so a killed service is forgotten at once and a killed daemon is noticed.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::{Duration, timeout};

use super::ClientError;
use super::answer::read;
use super::asking::encode;
use super::conn::{Pool, Sender, request, unreachable};
use crate::api::{BODY_MAX, SERVICE_LINE_EVERY, ServiceDoc, ServiceLine};

/// Time allowed for the daemon to accept a registration.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// A registered service; dropped, it is deregistered.
#[derive(Debug)]
pub struct ServiceSession {
    lines: Incoming,
    // Held so that the connection stays open.
    _sender: Sender,
}

impl ServiceSession {
    pub(super) async fn open(pool: &Pool, service: &ServiceDoc) -> Result<Self, ClientError> {
        let opening = Box::pin(Self::register(pool, service));
        timeout(OPEN_WITHIN, opening)
            .await
            .unwrap_or(Err(ClientError::Deadline))
    }

    async fn register(pool: &Pool, service: &ServiceDoc) -> Result<Self, ClientError> {
        let body = Bytes::from(encode(service)?);
        let mut sender = pool.connect().await?;
        let response = sender
            .send_request(request("POST", "/v1/service", body)?)
            .await
            .map_err(|error| unreachable(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            let whole = Limited::new(response.into_body(), BODY_MAX).collect().await;
            let body = whole.map_err(|error| ClientError::Protocol(error.to_string()))?;
            // Any status but 200 reads as an error.
            return Err(read::<ServiceLine>(status, &body.to_bytes())
                .err()
                .unwrap_or_else(|| ClientError::Protocol(format!("status {status}"))));
        }
        let mut session = Self {
            lines: response.into_body(),
            _sender: sender,
        };
        // The first line says that the registration stands.
        if session.line().await {
            Ok(session)
        } else {
            Err(ClientError::Deadline)
        }
    }

    /// Returns when the registration has ended: the daemon closed, died, or fell silent for three
    /// lines. Cancel-safe.
    pub async fn closed(&mut self) {
        while timeout(SERVICE_LINE_EVERY * 3, self.line()).await == Ok(true) {}
    }

    async fn line(&mut self) -> bool {
        matches!(self.lines.frame().await, Some(Ok(_)))
    }
}
