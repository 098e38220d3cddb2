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
    targets: [u16; TARGETS_MAX],
    known: usize,
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
        out.resize(HEADER, 0);
        let mut writer = Self {
            out,
            room: limit.saturating_sub(opt.map_or(0, Opt::len)),
            targets: [0; TARGETS_MAX],
            known: 0,
            truncated: false,
            counts: [0; 4],
        };
        if let Some(asked) = asked {
            for label in asked.labels() {
                writer.remember();
                writer.label(label);
            }
            let rest = asked.bytes.len() - asked.name.len();
            writer.out.push(0);
            let from = asked.name.len();
            let type_and_class = asked.bytes.get(from..from + rest).unwrap_or_default();
            writer.out.extend_from_slice(type_and_class);
            writer.counts[0] = 1;
        }
        writer
    }

    /// Address records of the name asked for.
    pub(super) fn addresses(&mut self, pick: &Pick) {
        for address in pick.addresses.iter() {
            let fits = self.record(|writer| {
                writer.number(POINTER | 12);
                match address {
                    IpAddr::V4(ip) => writer.data(RecordType::A, pick.ttl, &ip.octets()),
                    IpAddr::V6(ip) => writer.data(RecordType::AAAA, pick.ttl, &ip.octets()),
                }
            });
            if !fits {
                return;
            }
            self.counts[1] += 1;
        }
    }

    /// The SOA of a negative answer.
    pub(super) fn negative(&mut self, record: &Record) {
        let RData::SOA(soa) = &record.data else {
            return;
        };
        let fits = self.record(|writer| {
            writer.name(&record.name);
            writer.fixed(RecordType::SOA, record.ttl);
            let start = writer.out.len();
            writer.number(0);
            writer.name(&soa.mname);
            writer.name(&soa.rname);
            for number in [
                soa.serial.to_be_bytes(),
                soa.refresh.to_be_bytes(),
                soa.retry.to_be_bytes(),
                soa.expire.to_be_bytes(),
                soa.minimum.to_be_bytes(),
            ] {
                writer.out.extend_from_slice(&number);
            }
            let length = u16::try_from(writer.out.len() - start - 2).unwrap_or(u16::MAX);
            if let Some(place) = writer.out.get_mut(start..start + 2) {
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
    fn record(&mut self, write: impl FnOnce(&mut Self)) -> bool {
        let start = self.out.len();
        write(self);
        let fits = self.out.len() <= self.room;
        if !fits {
            self.out.truncate(start);
            self.truncated = true;
        }
        fits
    }

    fn number(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn label(&mut self, label: &[u8]) {
        // A label has 63 bytes at most.
        self.out.push(u8::try_from(label.len()).unwrap_or(0));
        self.out.extend_from_slice(label);
    }

    fn fixed(&mut self, rtype: RecordType, ttl: u32) {
        self.number(rtype.into());
        self.number(INTERNET);
        self.out.extend_from_slice(&ttl.to_be_bytes());
    }

    fn data(&mut self, rtype: RecordType, ttl: u32, data: &[u8]) {
        self.fixed(rtype, ttl);
        self.number(u16::try_from(data.len()).unwrap_or(0));
        self.out.extend_from_slice(data);
    }

    fn remember(&mut self) {
        let here = u16::try_from(self.out.len()).ok();
        if let Some((place, here)) = self.targets.get_mut(self.known).zip(here) {
            *place = here;
            self.known += 1;
        }
    }

    fn name(&mut self, name: &Name) {
        for (skipped, label) in name.iter().enumerate() {
            let known = self.targets.get(..self.known).unwrap_or_default();
            let target = known.iter().find(|at| self.stands(**at, name, skipped));
            if let Some(at) = target.copied() {
                self.number(POINTER | at);
                return;
            }
            self.remember();
            self.label(label);
        }
        self.out.push(0);
    }

    /// Whether `name` without its first `skipped` labels stands at `at`.
    fn stands(&self, at: u16, name: &Name, skipped: usize) -> bool {
        let mut rest = self.out.get(usize::from(at)..).unwrap_or_default();
        for wanted in name.iter().skip(skipped) {
            while let [high @ 0xc0..=0xff, low, ..] = rest {
                let target = u16::from_be_bytes([*high, *low]) & !POINTER;
                rest = self.out.get(usize::from(target)..).unwrap_or_default();
            }
            let Some((label, after)) = next_label(rest).filter(|(label, _)| *label == wanted)
            else {
                return false;
            };
            debug_assert!(!label.is_empty());
            rest = after;
        }
        while let [high @ 0xc0..=0xff, low, ..] = rest {
            let target = u16::from_be_bytes([*high, *low]) & !POINTER;
            rest = self.out.get(usize::from(target)..).unwrap_or_default();
        }
        // What is being written has no root yet, and never the length of what is looked for.
        rest.first() == Some(&0)
    }
}

fn next_label(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}
