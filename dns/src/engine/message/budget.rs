//! How long a reply may be.
//!
//! Over UDP a sender can lie about its address, and whoever is named there receives the reply. So a
//! sender that has proven nothing gets no more than a small multiple of what it sent; a cookie that
//! this server made (RFC 7873), or a connection, proves the address.

use super::{HEADER, UDP_PAYLOAD_MAX, UDP_PAYLOAD_MIN};
use crate::engine::inquiry::{Edns, Transport};

/// Bytes of an address record whose owner is a pointer.
const RECORD: usize = 12;

/// Most bytes of the reply to a message of `received` bytes. `factor` bounds how many times longer
/// than the question an answer to an unproven address may be; 0: as long as any other.
#[must_use]
pub fn limit(
    transport: Transport,
    edns: Option<&Edns>,
    received: usize,
    proven: bool,
    factor: usize,
) -> usize {
    if transport == Transport::Tcp {
        return usize::from(u16::MAX);
    }
    let announced = edns.map_or(UDP_PAYLOAD_MIN, |edns| edns.payload);
    let fits = usize::from(announced.clamp(UDP_PAYLOAD_MIN, UDP_PAYLOAD_MAX));
    if proven || factor == 0 {
        fits
    } else {
        fits.min(received.saturating_mul(factor))
    }
}

/// How many address records fit a reply of `limit` bytes beside a question of `question` bytes and
/// an OPT record of `opt` bytes; at least one, so that who has room for none is told to ask again
/// by TCP. `bytes` is the length of one address.
#[must_use]
pub fn addresses(limit: usize, question: usize, opt: usize, bytes: usize) -> usize {
    let room = limit.saturating_sub(HEADER + question + opt);
    (room / (RECORD + bytes)).max(1)
}
