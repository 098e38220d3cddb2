//! Bodies of datagrams: bytes to messages and back.
//!
//! ```text
//! request   level u8 · fixed fields of its kind · extensions
//! reply     level u8 · fixed fields of its kind · extensions
//! extension type u8 · length u16 · bytes; unknown ones are skipped, unless the high bit of the
//!           type says that the message means something else without them
//! ```
//!
//! Decoding reads only what is there and allocates only what was read. Encoding a reply cuts it to
//! the room it is given (contacts first, then values), because a reply to an unproven address may
//! not exceed its request.

pub(super) mod decode;

use std::time::Duration;

use common::trace::CONTEXT_LEN;
use common::wire::codec::{TooLong, Writer, addr_len};

use super::lists::{service_len, write_count, write_service_list};
use super::rumour::{self, rumour_len, write_rumours};
use super::{
    Ask, CONTACTS_MAX, Contact, Reply, Request, SERVICES_MAX, Say, Service, TOKEN_LEN, Token,
};
use crate::refusal::Refusal;
use crate::value::Value;

/// Flags of a reply with values.
const FLAG_LOADED: u8 = 1;
const FLAG_FULL: u8 = 2;
const FLAG_OWN: u8 = 4;

/// Values in one reply, at most: what one key holds.
const VALUES_MAX: usize = 16;

/// Extension types.
mod extension {
    /// A write token.
    pub(super) const TOKEN: u8 = 1;
    /// Zeros that make room for the reply.
    pub(super) const PADDING: u8 = 2;
    /// Services of the sender.
    pub(super) const SERVICES: u8 = 3;
    /// The trace that a request is part of: who does not know it answers all the same.
    pub(super) const TRACE: u8 = 5;
    /// The node on whose behalf a relay asks: without it the request would mean the relay's own.
    pub(super) const BEHALF: u8 = CRITICAL | 4;
    /// Set on types that must be understood.
    pub(super) const CRITICAL: u8 = 0x80;
}

/// Type and length of an extension.
const EXTENSION_HEAD: usize = 3;

/// Bytes of a token extension.
const TOKEN_EXTENSION: usize = EXTENSION_HEAD + TOKEN_LEN;

/// The body of `request`, padded with an extension to `pad_to` bytes where it is shorter.
///
/// # Errors
/// It has more than `room` bytes.
pub fn encode_request(request: &Request, room: usize, pad_to: usize) -> Result<Vec<u8>, TooLong> {
    let mut w = Writer::new(room);
    w.u8(request.level);
    write_ask(&mut w, &request.ask);
    write_token(&mut w, request.token);
    if let Some(addr) = request.behalf {
        let mut inner = Writer::new(room);
        inner.addr(addr);
        w.u8(extension::BEHALF).bytes16(&inner.finish()?);
    }
    // What is optional does not keep a request from being sent.
    if let Some(trace) = request.trace
        && w.len() + EXTENSION_HEAD + CONTEXT_LEN <= room
    {
        let mut inner = Writer::new(CONTEXT_LEN);
        trace.write(&mut inner);
        w.u8(extension::TRACE).bytes16(&inner.finish()?);
    }
    let target = pad_to.min(room);
    if let Some(missing) = target.checked_sub(w.len() + EXTENSION_HEAD) {
        w.u8(extension::PADDING).bytes16(&vec![0; missing]);
    }
    w.finish()
}

fn write_ask(w: &mut Writer, ask: &Ask) {
    match ask {
        Ask::Ping { services } => write_services(w, services),
        Ask::Find { target } => {
            w.put(target.as_bytes());
        }
        Ask::Get { key, want } => {
            w.put(key.as_bytes()).u8(*want);
        }
        Ask::Put { key, value, ttl } | Ask::Claim { key, value, ttl } => {
            w.put(key.as_bytes()).u32(wire_millis(*ttl)).bytes16(value);
        }
        Ask::Withdraw { key } => {
            w.put(key.as_bytes());
        }
        Ask::Offer { key, ttl } => {
            w.put(key.as_bytes()).u32(wire_millis(*ttl));
        }
        Ask::Hand {
            key,
            publisher,
            value,
            ttl,
        } => {
            w.put(key.as_bytes()).put(publisher.as_bytes());
            w.u32(wire_millis(*ttl)).bytes16(value);
        }
        Ask::Relay { to, ask } => {
            let mut inner = Writer::new(w.room());
            write_ask(&mut inner, ask);
            w.addr(*to).u8(ask.kind().code());
            write_inner(w, inner);
        }
        Ask::Probe { rumours } => write_rumours(w, rumours),
        Ask::Sync { path, sums } => rumour::write_sync(w, *path, sums),
    }
}

/// An inner overflow is an outer one: the length alone exceeds the room.
fn write_inner(w: &mut Writer, inner: Writer) {
    match inner.finish() {
        Ok(bytes) => w.bytes16(&bytes),
        Err(_) => w.put(&vec![0; w.room() + 1]),
    };
}

/// The body of `reply` in at most `room` bytes; what does not fit is left out. `None` if not even
/// its fixed part fits: then there is no reply.
#[must_use]
pub fn encode_reply(reply: &Reply, room: usize) -> Option<Vec<u8>> {
    let fixed = 1 + fixed_len(&reply.say);
    let mut left = room.checked_sub(fixed)?;
    let token = reply.token.filter(|_| left >= TOKEN_EXTENSION);
    left -= token.map_or(0, |_| TOKEN_EXTENSION);
    let mut w = Writer::new(room);
    w.u8(reply.level);
    match &reply.say {
        Say::Pong {
            seen,
            boot,
            services,
        } => {
            w.addr(*seen).u64(*boot);
            if let Some(mut room) = left.checked_sub(EXTENSION_HEAD + 1) {
                let fitting = fitting(services, &mut room, service_len, SERVICES_MAX);
                write_services(&mut w, fitting);
            }
        }
        Say::Nodes { contacts } => {
            write_contacts(
                &mut w,
                fitting(contacts, &mut left, contact_len, CONTACTS_MAX),
            );
        }
        Say::Values {
            values,
            held,
            loaded,
            full,
            own,
            contacts,
        } => {
            let flags = [(loaded, FLAG_LOADED), (full, FLAG_FULL), (own, FLAG_OWN)];
            let flags = flags.map(|(set, flag)| u8::from(*set) * flag);
            w.u8(*held)
                .u8(flags.into_iter().fold(0, |all, flag| all | flag));
            write_values(&mut w, fitting(values, &mut left, value_len, VALUES_MAX));
            write_contacts(
                &mut w,
                fitting(contacts, &mut left, contact_len, CONTACTS_MAX),
            );
        }
        Say::Stored | Say::Granted | Say::Withdrawn => {}
        Say::Refused(refusal) => {
            w.u8(refusal.wire_code().unwrap_or(Refusal::OTHER_CODE));
        }
        Say::Relayed(say) => {
            let (level, kind) = (reply.level, say.kind().code());
            let inner = Reply {
                level,
                token: None,
                say: (**say).clone(),
            };
            w.u8(kind).bytes16(&encode_reply(&inner, left)?);
        }
        Say::Ack { seen, rumours } => {
            w.addr(*seen);
            let most = rumour::RUMOURS_MAX;
            write_rumours(&mut w, fitting(rumours, &mut left, rumour_len, most));
        }
        Say::Differ {
            differing,
            listed,
            rumours,
        } => rumour::write_differ(&mut w, (*differing, *listed), rumours, left),
    }
    write_token(&mut w, token);
    w.finish().ok()
}

/// The longest beginning of `items` that fits `left`, from which it is taken.
fn fitting<'a, T>(
    items: &'a [T],
    left: &mut usize,
    len: impl Fn(&T) -> usize,
    most: usize,
) -> &'a [T] {
    let mut count = 0;
    for item in items.iter().take(most) {
        let Some(rest) = left.checked_sub(len(item)) else {
            break;
        };
        *left = rest;
        count += 1;
    }
    &items[..count]
}

/// Bytes of the parts of a reply that cannot be left out, after the level.
fn fixed_len(say: &Say) -> usize {
    match say {
        Say::Pong { seen, .. } => addr_len(*seen) + 8,
        Say::Nodes { .. } | Say::Refused(_) => 1,
        Say::Values { .. } => 4,
        Say::Relayed(_) => 3,
        Say::Ack { seen, .. } => addr_len(*seen) + 1,
        Say::Differ { .. } => 5,
        Say::Stored | Say::Granted | Say::Withdrawn => 0,
    }
}

fn contact_len(contact: &Contact) -> usize {
    addr_len(contact.addr) + 5
}

fn value_len(value: &Value) -> usize {
    20 + 4 + 2 + value.bytes.len()
}

fn wire_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn write_token(w: &mut Writer, token: Option<Token>) {
    if let Some(token) = token {
        w.u8(extension::TOKEN).bytes16(&token.0);
    }
}

fn write_contacts(w: &mut Writer, contacts: &[Contact]) {
    write_count(w, contacts.len());
    for contact in contacts {
        w.addr(contact.addr)
            .u32(wire_millis(contact.age))
            .u8(contact.level);
    }
}

fn write_values(w: &mut Writer, values: &[Value]) {
    write_count(w, values.len());
    for value in values {
        w.put(value.publisher.as_bytes())
            .u32(wire_millis(value.ttl))
            .bytes16(&value.bytes);
    }
}

fn write_services(w: &mut Writer, services: &[Service]) {
    if services.is_empty() {
        return;
    }
    let mut inner = Writer::new(w.room());
    write_service_list(&mut inner, services);
    w.u8(extension::SERVICES);
    write_inner(w, inner);
}
