//! What one node tells another of third ones: the form of a rumour, and of prefixes of ids in an
//! exchange of digests. The rules by which rumours are believed are `full::roster`'s.
//!
//! ```text
//! rumour    address · incarnation u32 · run u32 · standing u8 · count u8 · services
//! rumours   count u8 · rumour ...
//! ```

use std::net::SocketAddr;

use common::ids::{ID_LEN, NodeId};
use common::wire::codec::{DecodeError, Reader, Writer, addr_len};

use super::Service;
use super::lists::{read_service_list, service_len, write_service_list};

/// Rumours in one message, at most; a datagram holds fewer than seventy.
pub const RUMOURS_MAX: usize = 64;

/// Continuations of a prefix: one per value of its next four bits.
pub const FANOUT: usize = 16;

/// Longest prefix, in digits of four bits: sixteen to this power is more than any membership.
pub const DEPTH_MAX: u8 = 8;

/// How a member stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// It lives, by its own word.
    Alive,
    /// Somebody cannot reach it; it may object.
    Suspect,
    /// It did not object in time.
    Dead,
}

/// What is known of one member. Its id follows from its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rumour {
    /// Where it is.
    pub addr: SocketAddr,
    /// Its own count of what it said of itself: the higher is the later.
    pub incarnation: u32,
    /// Random number of its run: another one means that it lost what it stored.
    pub run: u32,
    /// How it stands.
    pub standing: Standing,
    /// What runs there; only said of the living.
    pub services: Vec<Service>,
}

/// A prefix of ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Path {
    depth: u8,
    digits: u32,
}

impl Path {
    /// The empty prefix: of all ids.
    pub const ROOT: Self = Self {
        depth: 0,
        digits: 0,
    };

    /// The prefix with one digit more; `None` at the greatest depth.
    #[must_use]
    pub fn child(self, digit: usize) -> Option<Self> {
        let digit = u32::try_from(digit & (FANOUT - 1)).unwrap_or(0);
        (self.depth < DEPTH_MAX).then(|| Self {
            depth: self.depth + 1,
            digits: self.digits << 4 | digit,
        })
    }

    /// Which continuation of this prefix `id` is in, if it has this prefix at all.
    #[must_use]
    pub fn digit_of(self, id: &NodeId) -> Option<usize> {
        let [a, b, c, d, e, ..] = *id.as_bytes();
        let head = u64::from(u32::from_be_bytes([a, b, c, d])) << 8 | u64::from(e);
        let shift = 40 - 4 * u32::from(self.depth);
        let digit = usize::try_from(head >> (shift - 4) & 0xf).unwrap_or(0);
        (head >> shift == u64::from(self.digits)).then_some(digit)
    }

    /// The lowest and the highest id with this prefix.
    #[must_use]
    pub fn range(self) -> (NodeId, NodeId) {
        let shift = 32 - 4 * u32::from(self.depth);
        let low = u64::from(self.digits) << shift;
        let high = low | ((1 << shift) - 1);
        let edge = |head: u64, fill: u8| {
            let mut bytes = [fill; ID_LEN];
            let [_, _, _, _, rest @ ..] = head.to_be_bytes();
            for (byte, head) in bytes.iter_mut().zip(rest) {
                *byte = head;
            }
            NodeId::from_bytes(bytes)
        };
        (edge(low, 0), edge(high, 0xff))
    }
}

impl Standing {
    const fn code(self) -> u8 {
        match self {
            Self::Alive => 0,
            Self::Suspect => 1,
            Self::Dead => 2,
        }
    }

    /// The word for the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
        }
    }
}

/// Bytes of a rumour.
#[must_use]
pub fn rumour_len(rumour: &Rumour) -> usize {
    let services: usize = rumour.services.iter().map(service_len).sum();
    addr_len(rumour.addr) + 4 + 4 + 1 + 1 + services
}

pub(super) fn write_rumours(w: &mut Writer, rumours: &[Rumour]) {
    w.u8(u8::try_from(rumours.len()).unwrap_or(u8::MAX));
    for rumour in rumours {
        w.addr(rumour.addr)
            .u32(rumour.incarnation)
            .u32(rumour.run)
            .u8(rumour.standing.code());
        write_service_list(w, &rumour.services);
    }
}

pub(super) fn read_rumours(r: &mut Reader<'_>) -> Result<Vec<Rumour>, DecodeError> {
    let count = r.u8("rumours")?;
    if usize::from(count) > RUMOURS_MAX {
        return Err(r.error("at most 64 rumours"));
    }
    let mut rumours = Vec::new();
    for _ in 0..count {
        rumours.push(Rumour {
            addr: r.addr("member")?,
            incarnation: r.u32("incarnation")?,
            run: r.u32("run")?,
            standing: match r.u8("standing")? {
                0 => Standing::Alive,
                1 => Standing::Suspect,
                2 => Standing::Dead,
                _ => return Err(r.error("a known standing")),
            },
            services: read_service_list(r)?,
        });
    }
    Ok(rumours)
}

pub(super) fn write_sync(w: &mut Writer, path: Path, sums: &[u64; FANOUT]) {
    w.u8(path.depth).u32(path.digits);
    for sum in sums {
        w.u64(*sum);
    }
}

pub(super) fn read_sync(r: &mut Reader<'_>) -> Result<(Path, Box<[u64; FANOUT]>), DecodeError> {
    let (depth, digits) = (r.u8("depth")?, r.u32("prefix")?);
    let fits = depth <= DEPTH_MAX && u64::from(digits) >> (4 * u32::from(depth)) == 0;
    if !fits {
        return Err(r.error("a prefix of an id"));
    }
    let mut sums = Box::new([0; FANOUT]);
    for sum in sums.iter_mut() {
        *sum = r.u64("sum")?;
    }
    Ok((Path { depth, digits }, sums))
}

/// A list that does not fit is not begun: what it would have listed is said to differ instead.
pub(super) fn write_differ(
    w: &mut Writer,
    (differing, listed): (u16, u16),
    rumours: &[Rumour],
    left: usize,
) {
    let bytes: usize = rumours.iter().map(rumour_len).sum();
    if bytes <= left && rumours.len() <= RUMOURS_MAX {
        w.u16(differing).u16(listed);
        write_rumours(w, rumours);
    } else {
        w.u16(differing | listed).u16(0);
        write_rumours(w, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_exactly_the_ids_of_its_range() {
        let id = |first: [u8; 5]| {
            let mut bytes = [0x77; ID_LEN];
            bytes
                .iter_mut()
                .zip(first)
                .for_each(|(byte, it)| *byte = it);
            NodeId::from_bytes(bytes)
        };
        let some = id([0xab, 0xcd, 0xef, 0x01, 0x23]);
        let mut path = Path::ROOT;
        for digit in [0xa, 0xb, 0xc, 0xd, 0xe, 0xf, 0x0, 0x1] {
            assert_eq!(path.digit_of(&some), Some(digit));
            path = path.child(digit).unwrap();
            let (low, high) = path.range();
            assert!(low <= some && some <= high);
        }
        assert_eq!((path.digit_of(&some), path.child(2)), (Some(2), None));
        assert_eq!(path.digit_of(&id([0xab, 0xcd, 0xef, 0x02, 0])), None);
        let (low, high) = Path::ROOT.range();
        assert_eq!(low, NodeId::from_bytes([0; ID_LEN]));
        assert_eq!(high, NodeId::from_bytes([0xff; ID_LEN]));
    }
}
