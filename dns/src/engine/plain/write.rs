//! Writes a plain reply: header, question, address records or one SOA, OPT.
//!
//! Names are compressed as the careful writer does it: the longest end of a name that already
//! stands in the message, byte for byte, is replaced by a pointer to where it stood first.

use std::net::IpAddr;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::engine::answer::select::Pick;
use crate::engine::message::HEADER;
use crate::engine::message::header::Header;
use crate::engine::message::opt::Opt;
use crate::engine::message::read::{Asked, Stub};

/// Ends of names remembered as targets of pointers: as many as the careful writer remembers.
const TARGETS_MAX: usize = 64;

/// The two upper bits of a pointer (RFC 1035 §4.1.4).
const POINTER: u16 = 0xc000;

/// Class IN.
const INTERNET: u16 = 1;

/// A reply being written.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    room: usize,
    truncated: bool,
    counts: [u16; 4],
}

impl<'o> Writer<'o> {
    /// Begins a reply of at most `limit` bytes with the question as it was asked.
    pub(super) fn new(
        out: &'o mut Vec<u8>,
        asked: Option<&Asked<'_>>,
        opt: Option<&Opt<'_>>,
        limit: usize,
    ) -> Self {
        out.clear();
        out.extend_from_slice(&[0; HEADER]);
        let mut counts = [0; 4];
        if let Some(asked) = asked {
            out.extend_from_slice(asked.bytes);
            counts[0] = 1;
        }
        Self {
            out,
            room: limit.saturating_sub(opt.map_or(0, Opt::len)),
            truncated: false,
            counts,
        }
    }

    /// Address records of the name asked for.
    pub(super) fn addresses(&mut self, pick: &Pick) {
        for address in pick.addresses.iter() {
            let fits = match address {
                IpAddr::V4(ip) => self.address(RecordType::A, pick.ttl, ip.octets()),
                IpAddr::V6(ip) => self.address(RecordType::AAAA, pick.ttl, ip.octets()),
            };
            if !fits {
                return;
            }
            self.counts[1] += 1;
        }
    }

    fn address<const N: usize>(&mut self, rtype: RecordType, ttl: u32, octets: [u8; N]) -> bool {
        self.record(|out| {
            // Where the name asked for stands.
            number(out, POINTER | 12);
            fixed(out, rtype, ttl);
            number(out, u16::try_from(N).unwrap_or(0));
            out.extend_from_slice(&octets);
        })
    }

    /// The SOA of a negative answer to `asked`.
    pub(super) fn negative(&mut self, asked: Option<&Asked<'_>>, record: &Record) {
        let RData::SOA(soa) = &record.data else {
            return;
        };
        let mut names = Names::of(asked);
        let fits = self.record(|out| {
            names.write(out, &record.name);
            fixed(out, RecordType::SOA, record.ttl);
            let start = out.len();
            number(out, 0);
            names.write(out, &soa.mname);
            names.write(out, &soa.rname);
            for number in [
                soa.serial.to_be_bytes(),
                soa.refresh.to_be_bytes(),
                soa.retry.to_be_bytes(),
                soa.expire.to_be_bytes(),
                soa.minimum.to_be_bytes(),
            ] {
                out.extend_from_slice(&number);
            }
            let length = u16::try_from(out.len() - start - 2).unwrap_or(u16::MAX);
            if let Some(place) = out.get_mut(start..start + 2) {
                place.copy_from_slice(&length.to_be_bytes());
            }
        });
        if fits {
            self.counts[2] += 1;
        }
    }

    /// Says TC.
    pub(super) fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Ends the reply.
    pub(super) fn finish(
        mut self,
        stub: Stub,
        code: ResponseCode,
        authoritative: bool,
        opt: Option<&Opt<'_>>,
    ) {
        if let Some(opt) = opt {
            opt.write(self.out);
            self.counts[3] += 1;
        }
        let header = Header {
            code,
            authoritative,
            truncated: self.truncated,
            counts: self.counts,
        };
        if let Some(place) = self.out.get_mut(..HEADER) {
            place.copy_from_slice(&header.bytes(stub));
        }
    }

    /// Writes a record, or takes it back and says TC if it does not fit.
    fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let start = self.out.len();
        write(self.out);
        let fits = self.out.len() <= self.room;
        if !fits {
            self.out.truncate(start);
            self.truncated = true;
        }
        fits
    }
}

fn number(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn fixed(out: &mut Vec<u8>, rtype: RecordType, ttl: u32) {
    number(out, rtype.into());
    number(out, INTERNET);
    out.extend_from_slice(&ttl.to_be_bytes());
}

/// The ends of names that stand in a message, in the order in which they came.
struct Names {
    targets: [u16; TARGETS_MAX],
    known: usize,
}

impl Names {
    /// Those of the question.
    fn of(asked: Option<&Asked<'_>>) -> Self {
        let mut names = Self {
            targets: [0; TARGETS_MAX],
            known: 0,
        };
        let mut at = HEADER;
        for label in asked.iter().flat_map(|asked| asked.labels()) {
            names.remember(at);
            at += 1 + label.len();
        }
        names
    }

    fn remember(&mut self, at: usize) {
        let at = u16::try_from(at).ok();
        if let Some((place, at)) = self.targets.get_mut(self.known).zip(at) {
            *place = at;
            self.known += 1;
        }
    }

    fn write(&mut self, out: &mut Vec<u8>, name: &Name) {
        for (skipped, label) in name.iter().enumerate() {
            let known = self.targets.get(..self.known).unwrap_or_default();
            let target = known.iter().find(|at| stands(out, **at, name, skipped));
            if let Some(at) = target.copied() {
                number(out, POINTER | at);
                return;
            }
            self.remember(out.len());
            // A label has 63 bytes at most.
            out.push(u8::try_from(label.len()).unwrap_or(0));
            out.extend_from_slice(label);
        }
        out.push(0);
    }
}

/// Whether `name` without its first `skipped` labels stands at `at` in `out`.
fn stands(out: &[u8], at: u16, name: &Name, skipped: usize) -> bool {
    let mut rest = out.get(usize::from(at)..).unwrap_or_default();
    for wanted in name.iter().skip(skipped) {
        rest = followed(out, rest);
        let Some((label, after)) = next_label(rest).filter(|(label, _)| *label == wanted) else {
            return false;
        };
        debug_assert!(!label.is_empty());
        rest = after;
    }
    // What is being written has no root yet, and never the length of what is looked for.
    followed(out, rest).first() == Some(&0)
}

/// Where the pointers at the beginning of `rest` lead, if there are some. Each leads to what stood
/// before it, so none leads in a circle.
fn followed<'a>(out: &'a [u8], mut rest: &'a [u8]) -> &'a [u8] {
    while let [high @ 0xc0..=0xff, low, ..] = rest {
        let target = u16::from_be_bytes([*high, *low]) & !POINTER;
        rest = out.get(usize::from(target)..).unwrap_or_default();
    }
    rest
}

fn next_label(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
