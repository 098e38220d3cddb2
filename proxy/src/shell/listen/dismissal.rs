//! The answer to a visitor who waited in the lobby as long as one may: 503, and when to come back.
//!
//! It is the same for all and made once, for it is sent when there is least time to make any. It is
//! text whatever the visitor would prefer.

use std::io;
use std::net::TcpStream;

use super::porter::Visitor;
use crate::engine::access::{Asked, Ending, Fields};
use crate::engine::http::key::Scheme;
use crate::engine::http::proxy_status::ProxyStatus;
use crate::engine::page::{self, Form, Page};
use crate::engine::reason::RefuseReason;
use crate::engine::share::lobby::WITHIN;
use crate::engine::steps::glance;
use crate::engine::trail::Trail;
use crate::shell::access::Due;
use crate::shell::context::Context;
use crate::shell::metrics::Outcome;
use crate::shell::tls::ALERT;

const REASON: RefuseReason = RefuseReason::Crowded;

/// See the module.
#[derive(Debug)]
pub(super) struct Dismissal {
    answer: Vec<u8>,
    /// Where its body begins.
    body_at: usize,
}

impl Dismissal {
    /// The answer of the node called `node` under `zone`.
    pub(super) fn new(node: &str, zone: &str) -> Self {
        let page = Page {
            status: REASON.status(),
            reason: REASON.as_str(),
            advice: &REASON.advice(zone),
            tried: &Trail::default(),
            saved: None,
            home: None,
            node,
        };
        let body = page::render(&page, Form::Line).body;
        let status = ProxyStatus {
            proxy: node,
            error: Some(REASON.proxy_error()),
            next_hop: None,
            received_status: None,
            details: Some(REASON.as_str()),
        };
        let mut answer = format!(
            "HTTP/1.1 {code}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Cache-Control: no-store\r\nRetry-After: 1\r\nConnection: close\r\n\
             Content-Length: {length}\r\nProxy-Status: ",
            code = REASON.status(),
            length = body.len(),
        )
        .into_bytes();
        answer.extend_from_slice(status.value().as_bytes());
        answer.extend_from_slice(b"\r\n\r\n");
        let body_at = answer.len();
        answer.extend_from_slice(body.as_bytes());
        Self { answer, body_at }
    }

    /// Sends a `visitor` away who came to speak TLS: an answer would take the handshake that there is
    /// no time for.
    pub(super) fn break_off(&self, ctx: &Context, visitor: &Visitor) {
        ctx.metrics.refused(REASON);
        // It may have left.
        drop(last_words(&visitor.stream, ALERT));
    }

    /// Sends `visitor` away.
    pub(super) fn send(&self, ctx: &Context, visitor: Visitor) {
        ctx.metrics.refused(REASON);
        let Visitor {
            stream,
            client,
            read,
            ..
        } = visitor;
        let until = if read.starts_with(b"HEAD ") {
            self.body_at
        } else {
            self.answer.len()
        };
        let said = last_words(&stream, &self.answer[..until]);
        drop(stream);
        let Some(log) = ctx.access.clone() else {
            return;
        };
        let request = glance::request(&read);
        let headers = request.as_ref().map(|request| request.headers.clone());
        let asked = Asked {
            client: client.to_canonical(),
            // Over TLS nothing is said before there are keys.
            scheme: Scheme::Http,
            request: request.map(|request| (request.method, request.uri, request.version)),
            fields: Fields::of(headers.unwrap_or_default()),
            status: REASON.status(),
            first_byte: WITHIN,
            outcome: Outcome::Refused.as_str(),
            reason: REASON.as_str(),
        };
        let (sent, ending) = match said {
            Ok(()) => ((until - self.body_at) as u64, Ending::Complete),
            Err(_) => (0, Ending::Left),
        };
        let now = ctx.now();
        let began = now - WITHIN;
        Due { log, asked, began }.ended(&ctx.clock, sent, ending);
    }
}

/// Sends what fits an empty buffer. The end of the connection, which is next, goes with it in one
/// packet.
#[cfg(target_os = "linux")]
fn last_words(stream: &TcpStream, words: &[u8]) -> io::Result<()> {
    use rustix::net::{SendFlags, send};
    let sent = send(stream, words, SendFlags::MORE | SendFlags::NOSIGNAL)?;
    whole(sent, words)
}

/// Sends what fits an empty buffer.
#[cfg(not(target_os = "linux"))]
fn last_words(mut stream: &TcpStream, words: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    whole(stream.write(words)?, words)
}

fn whole(sent: usize, words: &[u8]) -> io::Result<()> {
    if sent == words.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_when_to_come_back_and_why_not_now() {
        let dismissal = Dismissal::new("node1.nyud.test", "nyud.test");
        let text = String::from_utf8(dismissal.answer.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), text.len() - dismissal.body_at);
        let length = format!("Content-Length: {}", body.len());
        for line in [
            "HTTP/1.1 503 Service Unavailable",
            "Retry-After: 1",
            "Cache-Control: no-store",
            "Connection: close",
            &length,
            "Proxy-Status: node1.nyud.test; error=connection_limit_reached; details=\"crowded\"",
        ] {
            assert!(head.lines().any(|have| have == line), "{line} in {text}");
        }
        assert!(body.contains("crowded"), "{body}");
    }
}
