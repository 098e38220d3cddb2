//! One question on its way to its reply: what was read, who asked, and how long the reply may be.

use std::net::IpAddr;

use common::clock::{Moment, WallTime};
use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use super::answer::admit::Heading;
use super::inquiry::{Asker, Inquiry, Question, Transport};
use super::message::budget;
use super::message::opt::Opt;
use super::message::read::Message;
use super::reply::ExtendedError;

/// How a message came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When.
    pub now: Moment,
    /// The calendar, for cookies.
    pub wall: WallTime,
    /// Sender.
    pub from: IpAddr,
    /// How it came.
    pub transport: Transport,
}

/// A question being answered.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// How it came.
    pub arrival: &'a Arrival,
    /// Most bytes of the reply.
    pub limit: usize,
    /// Cookie to reply with.
    pub cookie: Option<[u8; 24]>,
    /// Name of this server, if it is asked for and there is room for it.
    pub nsid: Option<&'a [u8]>,
}

impl Exchange<'_> {
    /// What decides whether the question is taken at all.
    #[must_use]
    pub fn heading(&self) -> Heading {
        let asked = self.message.asked.as_ref();
        Heading {
            operation: OpCode::from_u8(self.message.stub.operation),
            version: self.message.edns.map(|edns| edns.version),
            options_fit: self.message.options_fit,
            questions: self.message.questions,
            cookie: self.cookie.is_some(),
            asked: asked.map(|asked| (asked.qtype.into(), asked.qclass.into())),
        }
    }

    /// Who asks, and how many addresses of the type asked for the reply has room for.
    #[must_use]
    pub fn asker(&self, qtype: RecordType) -> Asker {
        let question = self.message.asked.map_or(0, |asked| asked.bytes.len());
        let opt = self.opt(ResponseCode::NoError, None, None);
        let bytes = if qtype == RecordType::AAAA { 16 } else { 4 };
        Asker {
            from: self.arrival.from,
            subnet: self.message.edns.and_then(|edns| edns.client_subnet),
            room: budget::addresses(
                self.limit,
                question,
                opt.as_ref().map_or(0, Opt::len),
                bytes,
            ),
        }
    }

    /// The OPT record of the reply, if the message had one.
    #[must_use]
    pub fn opt(
        &self,
        code: ResponseCode,
        scope: Option<u8>,
        extended_error: Option<ExtendedError>,
    ) -> Option<Opt<'_>> {
        let edns = self.message.edns?;
        Some(Opt {
            code_high: code.high(),
            dnssec_ok: edns.dnssec_ok,
            compact: false,
            // RFC 7871 §7.2.1: the same, with the scope; no wider than was asked makes no sense of
            // a resolver that declines to say.
            subnet: self.message.subnet.map(|bytes| (bytes, scope.unwrap_or(0))),
            cookie: self.cookie,
            nsid: self.nsid,
            extended_error: extended_error.map(ExtendedError::code),
        })
    }

    /// The inquiry, for the stages that need the question as a name.
    #[must_use]
    pub fn inquiry(&self) -> Inquiry {
        let asked = self.message.asked.as_ref();
        let question = asked.and_then(|asked| {
            // What was read as a name is one.
            let mut name = Name::from_labels(asked.labels()).ok()?;
            name.set_fqdn(true);
            Some(Question {
                name,
                qtype: RecordType::from(asked.qtype),
                qclass: DNSClass::from(asked.qclass),
            })
        });
        Inquiry {
            operation: OpCode::from_u8(self.message.stub.operation),
            from: self.arrival.from,
            transport: self.arrival.transport,
            edns: self.message.edns,
            room: self
                .asker(question.as_ref().map_or(RecordType::A, |q| q.qtype))
                .room,
            question,
        }
    }
}
