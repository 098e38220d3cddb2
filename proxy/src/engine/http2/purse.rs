//! What a connection may cost beyond what it asks for.
//!
//! Pings, settings, window updates and the like are cheap to send and cost an answer, or at least a
//! look. So they are paid for: each request and each kibibyte that the client takes of its answers
//! brings some credit, each such frame takes one, and whoever has none left is told to calm down
//! (ENHANCE_YOUR_CALM) and cut off. Requests that are taken back at once (the rapid reset) are
//! counted beside. Only frame headers are looked at; what is in them is for others to judge.

use common::clock::Moment;

use super::Limits;

/// What a client sends first (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Credit for a request: a reset, a window update or two, a priority.
const PER_REQUEST: u32 = 8;

/// Bytes taken by the client for one credit: there are clients that open the window again after every
/// four of them.
const BYTES_PER_FRAME: u64 = 1 << 10;

/// CONTINUATION frames of one header block: the 64 KiB of fields that are read at most are five frames
/// of the usual size, and h2 takes no more.
const CONTINUATIONS_MAX: u32 = 5;

const HEADER: usize = 9;

/// Why a connection is told to calm down.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flood {
    /// Requests were taken back.
    Resets,
    /// Pings.
    Pings,
    /// Settings.
    Settings,
    /// A header block in too many pieces.
    Continuations,
    /// Window updates.
    Windows,
    /// Priorities, empty data, and frames that nobody knows.
    Others,
}

impl Flood {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::Pings => "pings",
            Self::Settings => "settings",
            Self::Continuations => "continuations",
            Self::Windows => "windows",
            Self::Others => "others",
        }
    }
}

/// Where in the stream of bytes the reader is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// In the preface; bytes left of it.
    Preface(usize),
    /// In a frame's header; bytes of it that are here.
    Header(usize),
    /// In its content; bytes left.
    Content(u32),
}

/// See the module.
#[derive(Debug)]
pub struct Purse {
    limits: Limits,
    at: At,
    header: [u8; HEADER],
    credit: u32,
    requests: u32,
    resets: u32,
    continuations: u32,
    /// Bytes taken and not yet counted.
    taken: u64,
    /// A header block has begun, then.
    block: Option<Moment>,
    flood: Option<Flood>,
}

impl Purse {
    /// That of a new connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            at: At::Preface(PREFACE.len()),
            header: [0; HEADER],
            credit: limits.frames,
            requests: 0,
            resets: 0,
            continuations: 0,
            taken: 0,
            block: None,
            flood: None,
        }
    }

    /// The client sent `bytes`.
    pub fn sent(&mut self, now: Moment, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.flood.is_none() {
            let read = match self.at {
                At::Preface(left) => {
                    let read = left.min(bytes.len());
                    self.at = if read == left {
                        At::Header(0)
                    } else {
                        At::Preface(left - read)
                    };
                    read
                }
                At::Header(have) => {
                    let read = (HEADER - have).min(bytes.len());
                    self.header[have..have + read].copy_from_slice(&bytes[..read]);
                    self.at = At::Header(have + read);
                    if have + read == HEADER {
                        self.frame(now);
                    }
                    read
                }
                At::Content(left) => {
                    let here = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    let read = left.min(here);
                    self.at = if read == left {
                        At::Header(0)
                    } else {
                        At::Content(left - read)
                    };
                    read as usize
                }
            };
            bytes = &bytes[read..];
        }
    }

    /// The client, or the kernel for it, took `bytes`.
    pub fn took(&mut self, bytes: u64) {
        self.taken = self.taken.saturating_add(bytes);
        let frames = u32::try_from(self.taken / BYTES_PER_FRAME).unwrap_or(u32::MAX);
        self.taken %= BYTES_PER_FRAME;
        self.earn(frames);
    }

    /// Whether it is too much.
    #[must_use]
    pub const fn flood(&self) -> Option<Flood> {
        self.flood
    }

    /// Since when a header block is not whole.
    #[must_use]
    pub const fn block_since(&self) -> Option<Moment> {
        self.block
    }

    /// A frame's header is here.
    fn frame(&mut self, now: Moment) {
        const END_HEADERS: u8 = 4;
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]);
        self.at = if length == 0 {
            At::Header(0)
        } else {
            At::Content(length)
        };
        let whole = flags & END_HEADERS != 0;
        // RFC 9113 §6.
        match kind {
            0 if length > 0 => {}
            1 => {
                self.requests = self.requests.saturating_add(1);
                self.continuations = 0;
                self.block = (!whole).then_some(now);
                self.earn(PER_REQUEST);
            }
            3 => {
                self.resets = self.resets.saturating_add(1);
                let fine = self.limits.resets.saturating_add(self.requests / 2);
                if self.resets > fine {
                    self.flood = Some(Flood::Resets);
                }
                self.pay(Flood::Resets);
            }
            4 => self.pay(Flood::Settings),
            6 => self.pay(Flood::Pings),
            8 => self.pay(Flood::Windows),
            9 => {
                if whole {
                    self.block = None;
                }
                self.continuations += 1;
                if self.continuations > CONTINUATIONS_MAX {
                    self.flood = Some(Flood::Continuations);
                }
                self.pay(Flood::Continuations);
            }
            _ => self.pay(Flood::Others),
        }
    }

    fn earn(&mut self, frames: u32) {
        self.credit = self.credit.saturating_add(frames).min(self.limits.frames);
    }

    fn pay(&mut self, what: Flood) {
        match self.credit.checked_sub(1) {
            Some(left) => self.credit = left,
            None => self.flood = self.flood.or(Some(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: Limits = Limits {
        streams: 100,
        resets: 10,
        frames: 20,
    };

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend_from_slice(content);
        frame
    }

    fn purse() -> Purse {
        let mut purse = Purse::new(LIMITS);
        purse.sent(Moment::ZERO, PREFACE);
        purse
    }

    /// How many times `frames` may be sent on a connection, up to a thousand.
    fn borne(purse: &mut Purse, frames: &[u8]) -> usize {
        let times = (0..1_000).take_while(|_| {
            purse.sent(Moment::ZERO, frames);
            purse.flood().is_none()
        });
        times.count()
    }

    #[test]
    fn what_asks_for_nothing_is_paid_for_and_the_flood_has_a_name() {
        for (kind, content, flood) in [
            (6, &[0; 8][..], Flood::Pings),
            (4, &[], Flood::Settings),
            (8, &[0, 0, 0, 1], Flood::Windows),
            (2, &[0; 5], Flood::Others),
            (0, &[], Flood::Others),
            (77, &[1], Flood::Others),
        ] {
            let mut purse = purse();
            assert_eq!(borne(&mut purse, &frame(kind, 0, content)), 20, "{flood:?}");
            assert_eq!(purse.flood(), Some(flood));
        }
    }

    #[test]
    fn who_asks_and_takes_may_go_on_for_ever() {
        let mut purse = purse();
        let mut polite = frame(1, 4, b"request");
        for _ in 0..8 {
            polite.extend(frame(8, 0, &[0, 0, 0, 1]));
        }
        assert_eq!(borne(&mut purse, &polite), 1_000);
        for _ in 0..1_000 {
            purse.took(4 << 10);
            purse.sent(Moment::ZERO, &frame(8, 0, &[0, 0, 16, 0]));
        }
        assert_eq!(purse.flood(), None);
        assert_eq!(borne(&mut purse, &frame(0, 0, b"body")), 1_000);
    }

    #[test]
    fn requests_taken_back_are_a_flood_though_each_is_a_request() {
        let mut purse = purse();
        let mut rapid = frame(1, 4, b"request");
        rapid.extend(frame(3, 0, &[0, 0, 0, 8]));
        assert_eq!(borne(&mut purse, &rapid), 20, "ten, and half of all");
        assert_eq!(purse.flood(), Some(Flood::Resets));
        let mut purse = self::purse();
        let mut now_and_then = frame(1, 4, b"request").repeat(3);
        now_and_then.extend(frame(3, 0, &[0, 0, 0, 8]));
        assert_eq!(borne(&mut purse, &now_and_then), 1_000);
    }

    #[test]
    fn a_header_block_is_timed_and_has_few_pieces() {
        let mut purse = purse();
        let later = Moment::ZERO + Duration::from_secs(1);
        purse.sent(later, &frame(1, 0, b"begin"));
        assert_eq!(purse.block_since(), Some(later));
        purse.sent(Moment::ZERO, &frame(9, 0, b"more"));
        assert_eq!(purse.block_since(), Some(later));
        purse.sent(Moment::ZERO, &frame(9, 4, b"end"));
        assert_eq!((purse.block_since(), purse.flood()), (None, None));
        purse.sent(Moment::ZERO, &frame(1, 0, b"begin"));
        let pieces = borne(&mut purse, &frame(9, 0, b"more"));
        assert_eq!((pieces, purse.flood()), (5, Some(Flood::Continuations)));
    }

    #[test]
    fn it_is_all_the_same_in_what_pieces_it_comes() {
        let mut all = PREFACE.to_vec();
        for kind in [4, 8, 1, 6, 0, 3] {
            all.extend(frame(kind, 0, &vec![kind; usize::from(kind) * 3]));
        }
        let mut whole = Purse::new(LIMITS);
        whole.sent(Moment::ZERO, &all);
        for size in 1..all.len() {
            let mut pieces = Purse::new(LIMITS);
            for piece in all.chunks(size) {
                pieces.sent(Moment::ZERO, piece);
            }
            assert_eq!(pieces.credit, whole.credit, "{size}");
            assert_eq!(pieces.block, whole.block);
        }
    }
}
