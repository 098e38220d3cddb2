//! Bytes to messages.

use std::net::SocketAddr;
use std::time::Duration;

use common::limits::VALUE_MAX;
use common::trace::Context;
use common::wire::codec::{DecodeError, Reader};

use super::super::lists::{read_count, read_service_list};
use super::super::{
    Ask, CONTACTS_MAX, Contact, Kind, Message, Reply, Request, Say, Service, Token, rumour,
};
use super::{FLAG_FULL, FLAG_LOADED, FLAG_OWN, VALUES_MAX, extension};
use crate::refusal::Refusal;
use crate::value::Value;

/// The message of kind `code` in `body`.
///
/// # Errors
/// The kind is unknown or the body is not of its form.
pub fn decode(code: u8, body: &[u8]) -> Result<Message, DecodeError> {
    let mut r = Reader::new(body);
    let kind = Kind::from_code(code).ok_or_else(|| r.error("a known kind"))?;
    let level = r.u8("level")?;
    let message = match kind {
        Kind::Ping
        | Kind::Find
        | Kind::Get
        | Kind::Put
        | Kind::Claim
        | Kind::Withdraw
        | Kind::Offer
        | Kind::Hand
        | Kind::Relay
        | Kind::Probe
        | Kind::Sync => {
            let mut ask = read_ask(kind, &mut r)?;
            let tail = read_extensions(&mut r)?;
            if let Ask::Ping { services } = &mut ask {
                *services = tail.services;
            }
            Message::Request(Request {
                level,
                token: tail.token,
                behalf: tail.behalf,
                trace: tail.trace,
                ask,
            })
        }
        Kind::Pong
        | Kind::Nodes
        | Kind::Values
        | Kind::Stored
        | Kind::Granted
        | Kind::Withdrawn
        | Kind::Refused
        | Kind::Relayed
        | Kind::Ack
        | Kind::Differ => {
            let mut say = read_say(kind, level, &mut r)?;
            let tail = read_extensions(&mut r)?;
            if let Say::Pong { services, .. } = &mut say {
                *services = tail.services;
            }
            Message::Reply(Reply {
                level,
                token: tail.token,
                say,
            })
        }
    };
    Ok(message)
}

fn read_ask(kind: Kind, r: &mut Reader<'_>) -> Result<Ask, DecodeError> {
    if kind == Kind::Ping {
        return Ok(Ask::Ping {
            services: Vec::new(),
        });
    }
    if kind == Kind::Relay {
        let to = r.addr("node to ask")?;
        let inner = Kind::from_code(r.u8("kind")?).filter(|inner| *inner != Kind::Relay);
        let inner = inner.ok_or_else(|| r.error("a kind that can be relayed"))?;
        let mut body = Reader::new(r.bytes16(usize::from(u16::MAX), "relayed request")?);
        let ask = Box::new(read_ask(inner, &mut body)?);
        body.finish("end of relayed request")?;
        return Ok(Ask::Relay { to, ask });
    }
    if kind == Kind::Probe {
        let rumours = rumour::read_rumours(r)?;
        return Ok(Ask::Probe { rumours });
    }
    if kind == Kind::Sync {
        let (path, sums) = rumour::read_sync(r)?;
        return Ok(Ask::Sync { path, sums });
    }
    let key = r.key("key")?;
    Ok(match kind {
        Kind::Offer => Ask::Offer {
            key,
            ttl: Duration::from_millis(u64::from(r.u32("ttl")?)),
        },
        Kind::Find => Ask::Find { target: key },
        Kind::Get => Ask::Get {
            key,
            want: r.u8("want")?,
        },
        Kind::Withdraw => Ask::Withdraw { key },
        Kind::Hand => Ask::Hand {
            key,
            publisher: r.node_id("publisher")?,
            ttl: Duration::from_millis(u64::from(r.u32("ttl")?)),
            value: r.bytes16(usize::from(u16::MAX), "value")?.to_vec(),
        },
        Kind::Put | Kind::Claim => {
            let ttl = Duration::from_millis(u64::from(r.u32("ttl")?));
            // A value over the bound is decoded, so that it can be refused by name.
            let value = r.bytes16(usize::from(u16::MAX), "value")?.to_vec();
            match kind {
                Kind::Put => Ask::Put { key, value, ttl },
                _ => Ask::Claim { key, value, ttl },
            }
        }
        _ => return Err(r.error("a request")),
    })
}

fn read_say(kind: Kind, level: u8, r: &mut Reader<'_>) -> Result<Say, DecodeError> {
    Ok(match kind {
        Kind::Pong => Say::Pong {
            seen: r.addr("seen")?,
            boot: r.u64("boot")?,
            services: Vec::new(),
        },
        Kind::Nodes => Say::Nodes {
            contacts: read_contacts(r)?,
        },
        Kind::Values => {
            let held = r.u8("held")?;
            let flags = r.u8("flags")?;
            Say::Values {
                values: read_values(level, r)?,
                held,
                loaded: flags & FLAG_LOADED != 0,
                full: flags & FLAG_FULL != 0,
                own: flags & FLAG_OWN != 0,
                contacts: read_contacts(r)?,
            }
        }
        Kind::Ack => Say::Ack {
            seen: r.addr("seen")?,
            rumours: rumour::read_rumours(r)?,
        },
        Kind::Differ => Say::Differ {
            differing: r.u16("differing")?,
            listed: r.u16("listed")?,
            rumours: rumour::read_rumours(r)?,
        },
        Kind::Stored => Say::Stored,
        Kind::Granted => Say::Granted,
        Kind::Withdrawn => Say::Withdrawn,
        Kind::Relayed => {
            let inner = r.u8("kind")?;
            if inner == Kind::Relayed.code() {
                return Err(r.error("a kind that can be relayed"));
            }
            match decode(inner, r.bytes16(usize::from(u16::MAX), "relayed reply")?)? {
                Message::Reply(reply) => Say::Relayed(Box::new(reply.say)),
                Message::Request(_) => return Err(r.error("a relayed reply")),
            }
        }
        _ => Say::Refused(Refusal::from_wire_code(r.u8("refusal")?).unwrap_or(Refusal::Other)),
    })
}

fn read_contacts(r: &mut Reader<'_>) -> Result<Vec<Contact>, DecodeError> {
    let count = read_count(r, CONTACTS_MAX, "contacts")?;
    let mut contacts = Vec::new();
    for _ in 0..count {
        let addr = r.addr("contact")?;
        let age = Duration::from_millis(u64::from(r.u32("age")?));
        let level = r.u8("level")?;
        contacts.push(Contact { addr, age, level });
    }
    Ok(contacts)
}

fn read_values(level: u8, r: &mut Reader<'_>) -> Result<Vec<Value>, DecodeError> {
    let count = read_count(r, VALUES_MAX, "values")?;
    let mut values = Vec::new();
    for _ in 0..count {
        let publisher = r.node_id("publisher")?;
        let ttl = Duration::from_millis(u64::from(r.u32("ttl")?));
        let bytes = r.bytes16(VALUE_MAX, "value")?.to_vec();
        values.push(Value {
            bytes,
            ttl,
            publisher,
            level,
        });
    }
    Ok(values)
}

/// What extensions said.
#[derive(Default)]
struct Tail {
    token: Option<Token>,
    behalf: Option<SocketAddr>,
    trace: Option<Context>,
    services: Vec<Service>,
}

fn read_extensions(r: &mut Reader<'_>) -> Result<Tail, DecodeError> {
    let mut tail = Tail::default();
    while !r.is_empty() {
        let kind = r.u8("extension type")?;
        let bytes = r.bytes16(usize::from(u16::MAX), "extension")?;
        let mut inner = Reader::new(bytes);
        match kind {
            extension::TOKEN => {
                tail.token = Some(Token(inner.array("token")?));
                inner.finish("end of token")?;
            }
            extension::BEHALF => {
                tail.behalf = Some(inner.addr("node relayed for")?);
                inner.finish("end of node relayed for")?;
            }
            // One that cannot be read is as good as none.
            extension::TRACE => tail.trace = Context::read(&mut inner).ok(),
            extension::SERVICES => tail.services = read_services(&mut inner)?,
            unknown if unknown & extension::CRITICAL != 0 => {
                return Err(r.error("a known critical extension"));
            }
            _ => {}
        }
    }
    Ok(tail)
}

fn read_services(r: &mut Reader<'_>) -> Result<Vec<Service>, DecodeError> {
    let services = read_service_list(r)?;
    r.finish("end of services")?;
    Ok(services)
}
