//! Messages in, messages out: hickory's request to the engine's inquiry, the engine's reply to
//! hickory's response. Both transports end here.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::clock::{Clock as _, SystemClock};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata};
use hickory_server::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::lock;
use super::published::Published;
use crate::engine::answer::Reply;
use crate::engine::inquiry::{self, CookieAsked, Inquiry, Question, Subnet, Transport};
use crate::engine::server::Server;
use crate::engine::sign::Now;

/// Largest answer over UDP, in bytes: what crosses practically every path in one piece (DNS flag
/// day 2020). Clients that announce more get no more.
const UDP_PAYLOAD_MAX: u16 = 1_232;

/// Smallest that a client can announce (RFC 6891 §6.2.3).
const UDP_PAYLOAD_MIN: u16 = 512;

/// Option codes: RFC 5001, RFC 7871, RFC 7873.
const NSID: u16 = 3;
const CLIENT_SUBNET: u16 = 8;
const COOKIE: u16 = 10;

/// The flag CO (RFC 9824 §5.1) among the flags of EDNS.
const COMPACT_OK: u16 = 0x4000;

/// Option code of extended errors (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;

/// What transports count. Shared by all of them.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Questions over UDP.
    pub udp: AtomicU64,
    /// Questions over TCP.
    pub tcp: AtomicU64,
    /// UDP questions dropped because as many as allowed were being answered.
    pub dropped_busy: AtomicU64,
    /// Answers that could not be handed to the socket.
    pub dropped_unsent: AtomicU64,
    /// Answers sent to a question, which is nobody's question.
    pub dropped_response: AtomicU64,
    /// TCP connections taken.
    pub tcp_taken: AtomicU64,
    /// TCP connections closed because as many as allowed were open.
    pub tcp_refused: AtomicU64,
    /// TCP connections closed for taking too long.
    pub tcp_timed_out: AtomicU64,
}

impl Traffic {
    /// Adds one to `counter`.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The handler behind every socket. Clones share everything.
#[derive(Clone, Debug)]
pub struct Handler {
    server: Arc<Mutex<Server>>,
    published: Arc<Published>,
    edition: Arc<Mutex<u64>>,
    traffic: Arc<Traffic>,
    clock: SystemClock,
    udp_inflight: Arc<AtomicUsize>,
    udp_inflight_max: usize,
}

impl Handler {
    /// A handler that answers from `server`.
    #[must_use]
    pub fn new(
        server: Arc<Mutex<Server>>,
        published: Arc<Published>,
        traffic: Arc<Traffic>,
        clock: SystemClock,
        udp_inflight_max: usize,
    ) -> Self {
        Self {
            server,
            published,
            edition: Arc::default(),
            traffic,
            clock,
            udp_inflight: Arc::default(),
            udp_inflight_max,
        }
    }

    async fn answer<R: ResponseHandler>(&self, request: &Request, mut to: R) -> ResponseInfo {
        let reply = {
            let inquiry = inquiry(request);
            let mut server = lock(&self.server);
            if let Some(snapshot) = self.published.newer(&mut lock(&self.edition)) {
                server.publish(snapshot);
            }
            let now = Now {
                moment: self.clock.moment(),
                wall: self.clock.wall(),
            };
            server.handle_inquiry_at(now, &inquiry)
        };
        let edns = request.edns.as_ref().map(|asked| edns(asked, &reply));
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = reply.authoritative;
        metadata.response_code = reply.code;
        let (answers, authority) = (&reply.answers, &reply.authority);
        let response = builder.build(metadata, answers, authority, [], &reply.additional);
        match to.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "an answer could not be sent");
                Traffic::count(&self.traffic.dropped_unsent);
                nothing_sent(metadata)
            }
        }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response_handle: R,
    ) -> ResponseInfo {
        let nothing = || nothing_sent(Metadata::response_from_request(&request.metadata));
        // RFC 5625 §6.2 and common sense: answering an answer makes two servers talk for ever.
        if request.metadata.message_type == MessageType::Response {
            Traffic::count(&self.traffic.dropped_response);
            return nothing();
        }
        if request.protocol() != Protocol::Udp {
            Traffic::count(&self.traffic.tcp);
            return self.answer(request, response_handle).await;
        }
        Traffic::count(&self.traffic.udp);
        let before = self.udp_inflight.fetch_add(1, Ordering::Relaxed);
        let info = if before < self.udp_inflight_max {
            self.answer(request, response_handle).await
        } else {
            Traffic::count(&self.traffic.dropped_busy);
            nothing()
        };
        self.udp_inflight.fetch_sub(1, Ordering::Relaxed);
        info
    }
}

fn inquiry(request: &Request) -> Inquiry {
    let question = match request.queries.queries() {
        [one] => {
            let asked = one.original();
            Some(Question {
                name: asked.name().clone(),
                qtype: asked.query_type(),
                qclass: asked.query_class(),
            })
        }
        _ => None,
    };
    Inquiry {
        operation: request.metadata.op_code,
        from: request.src().ip().to_canonical(),
        transport: match request.protocol() {
            Protocol::Udp => Transport::Udp,
            _ => Transport::Tcp,
        },
        edns: request.edns.as_ref().map(asked),
        question,
    }
}

fn asked(edns: &Edns) -> inquiry::Edns {
    let option = |code: u16| edns.option(EdnsCode::from(code));
    let client_subnet = match option(CLIENT_SUBNET) {
        Some(EdnsOption::Subnet(subnet)) => Some(Subnet {
            address: subnet.addr(),
            source: subnet.source_prefix(),
        }),
        _ => None,
    };
    let cookie = match option(COOKIE) {
        Some(EdnsOption::Unknown(_, bytes)) => {
            bytes.split_first_chunk().map(|(client, rest)| CookieAsked {
                client: *client,
                server: rest.try_into().ok(),
            })
        }
        _ => None,
    };
    inquiry::Edns {
        version: edns.version(),
        payload: edns.max_payload(),
        dnssec_ok: edns.flags().dnssec_ok,
        compact_ok: edns.flags().z & COMPACT_OK != 0,
        client_subnet,
        cookie,
        nsid_asked: option(NSID).is_some(),
    }
}

/// EDNS of the answer to a question that had it. Hickory writes no more over UDP than the size
/// given here, so it is the client's, within our bounds.
fn edns(asked: &Edns, reply: &Reply) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(asked.max_payload().clamp(UDP_PAYLOAD_MIN, UDP_PAYLOAD_MAX));
    edns.set_version(0);
    // RFC 3225 §3: copied, whether or not something is signed.
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if reply.compact {
        edns.flags_mut().z = COMPACT_OK;
    }
    if let Some(error) = reply.extended_error {
        let code = error.code().to_be_bytes().to_vec();
        edns.options_mut()
            .insert(EdnsOption::Unknown(EXTENDED_ERROR, code));
    }
    edns
}

fn nothing_sent(metadata: Metadata) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata,
        counts: HeaderCounts::default(),
    })
}

#[cfg(test)]
mod tests {
    use common::name::Zone;
    use common::rng::Generator;
    use hickory_server::net::NetError;
    use hickory_server::net::runtime::TokioTime;
    use hickory_server::proto::op::{Message, OpCode, Query};
    use hickory_server::proto::rr::{Name, Record, RecordType};
    use hickory_server::zone_handler::MessageResponse;

    use super::*;
    use crate::engine::config::{AnswerConfig, NameServer, ZoneConfig};
    use crate::engine::snapshot::Snapshot;
    use crate::engine::zone::{ZoneData, Zones};

    /// Nobody may answer.
    #[derive(Clone)]
    struct Silence;

    #[async_trait::async_trait]
    impl ResponseHandler for Silence {
        async fn send_response<'a>(
            &mut self,
            _: MessageResponse<
                '_,
                'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
                impl Iterator<Item = &'a Record> + Send + 'a,
            >,
        ) -> Result<ResponseInfo, NetError> {
            panic!("an answer where none was due");
        }
    }

    async fn ignored(kind: MessageType, inflight_max: usize) -> Arc<Traffic> {
        let config = ZoneConfig {
            zone: Zone::parse("nyud.test").unwrap(),
            servers: vec![NameServer {
                name: "ns1.nyud.test".to_owned(),
                addresses: vec!["192.0.2.53".parse().unwrap()],
            }],
            hostmaster: "hostmaster@nyud.test".to_owned(),
            serial: 1,
            services: Vec::new(),
            records: Vec::new(),
            signing: None,
            negative_ttl: 30,
        };
        let zone = ZoneData::new(&config).unwrap();
        let zones = Zones::new(vec![zone]).unwrap();
        let snapshot = Snapshot::new(zones, AnswerConfig::default());
        let published = Arc::new(Published::new(snapshot));
        let server = Server::new(published.current(), Generator::from_seed(1));
        let traffic = Arc::new(Traffic::default());
        let server = Arc::new(Mutex::new(server));
        let clock = SystemClock::new();
        let counters = Arc::clone(&traffic);
        let handler = Handler::new(server, published, counters, clock, inflight_max);
        let mut message = Message::new(1, kind, OpCode::Query);
        message.add_query(Query::query(Name::root(), RecordType::NS));
        let from = "192.0.2.1:53".parse().unwrap();
        let bytes = message.to_vec().unwrap();
        let request = Request::from_bytes(bytes, from, Protocol::Udp).unwrap();
        handler
            .handle_request::<_, TokioTime>(&request, Silence)
            .await;
        traffic
    }

    #[tokio::test]
    async fn a_question_beyond_the_bound_is_dropped_and_counted() {
        let traffic = ignored(MessageType::Query, 0).await;
        assert_eq!(traffic.dropped_busy.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_answer_is_never_answered() {
        let traffic = ignored(MessageType::Response, 1).await;
        assert_eq!(traffic.dropped_response.load(Ordering::Relaxed), 1);
    }
}
