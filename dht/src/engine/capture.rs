//! Capture: the datagrams that an operator wants to see, as lines of readable text, bounded in number, bytes
//! and time. Pure; whoever moves datagrams offers each to it.
//!
//! A reply says nothing of its key: it is captured if its request was, which is known by the transaction.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::clock::Moment;
use common::ids::{Key, TxId};
use common::wire::header::Header;

use super::message::{Ask, Contact, Kind, Message, Reply, Request, Say};
use crate::value::Value;

/// Lines that wait to be fetched; the oldest make room, and are counted.
pub const LINES_MAX: usize = 4_096;

/// Bytes of those lines.
pub const BYTES_MAX: usize = 1 << 20;

/// Longest time of a capture: nobody leaves one running.
pub const FOR_MAX: Duration = Duration::from_secs(3_600);

/// Requests whose replies are awaited; the oldest is forgotten.
const AWAITED_MAX: usize = 1_024;

/// Bytes of a value that are shown.
const VALUE_SHOWN: usize = 160;

/// Contacts and values of a reply that are shown.
const LIST_SHOWN: usize = 4;

/// Which datagrams are wanted: those that fit all that is named.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Filter {
    /// About this key.
    pub key: Option<Key>,
    /// From or to this node: its address, at any port if the port is 0.
    pub peer: Option<SocketAddr>,
    /// Of this kind, or the reply to one of this kind.
    pub kind: Option<Kind>,
}

/// Why a capture is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CaptureEnd {
    /// Its time is over.
    Time,
    /// It was stopped.
    Stopped,
    /// Another one was begun.
    Replaced,
}

impl CaptureEnd {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Stopped => "stopped",
            Self::Replaced => "replaced",
        }
    }
}

/// Which way a datagram went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It was received.
    In,
    /// It was sent.
    Out,
}

/// See the module.
#[derive(Debug)]
pub struct Capture {
    filter: Filter,
    began: Moment,
    until: Moment,
    lines: VecDeque<String>,
    bytes: usize,
    /// The number of the first line that is still here.
    first: u64,
    /// Datagrams offered, and those that fitted.
    seen: u64,
    fitted: u64,
    awaited: VecDeque<TxId>,
}

impl Capture {
    /// A capture from `now` on, for `time`, an hour at most.
    #[must_use]
    pub fn new(filter: Filter, now: Moment, time: Duration) -> Self {
        Self {
            filter,
            began: now,
            until: now + time.min(FOR_MAX),
            lines: VecDeque::new(),
            bytes: 0,
            first: 0,
            seen: 0,
            fitted: 0,
            awaited: VecDeque::new(),
        }
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Moment) -> bool {
        now >= self.until
    }

    /// A datagram went by, to or from `peer`.
    pub fn offer(
        &mut self,
        now: Moment,
        (way, peer): (Way, SocketAddr),
        header: &Header,
        message: &Message,
        len: usize,
    ) {
        if self.is_over(now) {
            return;
        }
        self.seen += 1;
        if !self.is_from(peer) {
            return;
        }
        let fits = match message {
            Message::Request(request) => self.fits(request),
            Message::Reply(_) => match self.awaited.iter().position(|tx| *tx == header.tx) {
                Some(at) => {
                    self.awaited.remove(at);
                    true
                }
                None => self.is_asked_for_by_kind(message),
            },
        };
        if !fits {
            return;
        }
        if let Message::Request(_) = message {
            if self.awaited.len() >= AWAITED_MAX {
                self.awaited.pop_front();
            }
            self.awaited.push_back(header.tx);
        }
        let arrow = match way {
            Way::In => "<-",
            Way::Out => "->",
        };
        let at = now.since(self.began).as_secs_f64();
        let tx = header.tx.0 >> 32;
        self.push(format!(
            "{at:9.3} {arrow} {peer} {len}B tx {tx:08x} {}",
            describe(message)
        ));
    }

    fn is_from(&self, peer: SocketAddr) -> bool {
        self.filter.peer.is_none_or(|wanted| {
            let ip = plain(wanted.ip()) == plain(peer.ip());
            ip && (wanted.port() == 0 || wanted.port() == peer.port())
        })
    }

    fn fits(&self, request: &Request) -> bool {
        let ask = match &request.ask {
            // What is relayed is what it is about.
            Ask::Relay { ask, .. } => ask,
            ask => ask,
        };
        let kinds = [request.ask.kind(), ask.kind()];
        let kind = self
            .filter
            .kind
            .is_none_or(|wanted| kinds.contains(&wanted));
        let key = self
            .filter
            .key
            .is_none_or(|wanted| key_of(ask) == Some(wanted));
        kind && key
    }

    /// Replies by their own kind, whoever asked: there is no key in them.
    fn is_asked_for_by_kind(&self, message: &Message) -> bool {
        let Message::Reply(reply) = message else {
            return false;
        };
        let all = self.filter.kind.is_none();
        self.filter.key.is_none() && (all || self.filter.kind == Some(reply.say.kind()))
    }

    fn push(&mut self, line: String) {
        self.fitted += 1;
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(gone) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= gone.len();
            self.first += 1;
        }
    }

    /// The lines from the one numbered `from` on, at most `most`; the number of the next; and how many
    /// of those asked for had gone already.
    #[must_use]
    pub fn lines(&self, from: u64, most: usize) -> (Vec<&str>, u64, u64) {
        let lost = self.first.saturating_sub(from);
        let start = from.max(self.first);
        let skip = usize::try_from(start - self.first).unwrap_or(usize::MAX);
        let lines: Vec<&str> = self
            .lines
            .iter()
            .skip(skip)
            .take(most)
            .map(|line| &**line)
            .collect();
        let next = start + lines.len() as u64;
        (lines, next, lost)
    }

    /// Datagrams that went by, and those that fitted.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.seen, self.fitted)
    }
}

fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

const fn key_of(ask: &Ask) -> Option<Key> {
    match ask {
        Ask::Find { target: key }
        | Ask::Get { key, .. }
        | Ask::Put { key, .. }
        | Ask::Claim { key, .. }
        | Ask::Withdraw { key }
        | Ask::Offer { key, .. }
        | Ask::Hand { key, .. } => Some(*key),
        Ask::Ping { .. } | Ask::Relay { .. } | Ask::Probe { .. } | Ask::Sync { .. } => None,
    }
}

/// A message as a line.
#[must_use]
pub fn describe(message: &Message) -> String {
    match message {
        Message::Request(request) => {
            let mut text = format!("{} L{}", told(&request.ask), request.level);
            if request.token.is_none() {
                text.push_str(" no token");
            }
            if let Some(addr) = request.behalf {
                text.push_str(&format!(" for {addr}"));
            }
            if let Some(trace) = request.trace {
                text.push_str(&format!(" trace {}", trace.trace));
            }
            text
        }
        Message::Reply(Reply { level, say, .. }) => format!("{} L{level}", said(say)),
    }
}

fn told(ask: &Ask) -> String {
    let kind = ask.kind().as_str();
    match ask {
        Ask::Ping { services } => format!("{kind} {} services", services.len()),
        Ask::Find { target } => format!("{kind} {target}"),
        Ask::Get { key, want } => format!("{kind} {key} want {want}"),
        Ask::Put { key, value, ttl } | Ask::Claim { key, value, ttl } => {
            format!("{kind} {key} ttl {}s \"{}\"", ttl.as_secs(), clipped(value))
        }
        Ask::Withdraw { key } => format!("{kind} {key}"),
        Ask::Offer { key, ttl } => format!("{kind} {key} ttl {}s", ttl.as_secs()),
        Ask::Hand {
            key,
            publisher,
            value,
            ttl,
        } => format!(
            "{kind} {key} of {publisher} ttl {}s \"{}\"",
            ttl.as_secs(),
            clipped(value)
        ),
        Ask::Relay { to, ask } => format!("{kind} to {to}: {}", told(ask)),
        Ask::Probe { rumours } => format!("{kind} {} rumours", rumours.len()),
        Ask::Sync { .. } => kind.to_owned(),
    }
}

fn said(say: &Say) -> String {
    let kind = say.kind().as_str();
    match say {
        Say::Pong { seen, services, .. } => {
            format!("{kind} sees {seen}, {} services", services.len())
        }
        Say::Nodes { contacts } => format!("{kind} {}", contacts_of(contacts)),
        Say::Values {
            values,
            held,
            loaded,
            full,
            contacts,
            ..
        } => {
            let loaded = if *loaded { " loaded" } else { "" };
            let full = if *full { " full" } else { "" };
            let shown: Vec<_> = values.iter().take(LIST_SHOWN).map(value_of).collect();
            let (shown, near) = (shown.join(", "), contacts_of(contacts));
            format!("{kind} of {held}{loaded}{full} [{shown}] near {near}")
        }
        Say::Refused(refusal) => format!("{kind}: {}", refusal.as_str()),
        Say::Relayed(say) => format!("{kind}: {}", said(say)),
        Say::Ack { rumours, .. } => format!("{kind} {} rumours", rumours.len()),
        Say::Stored | Say::Granted | Say::Withdrawn | Say::Differ { .. } => kind.to_owned(),
    }
}

fn value_of(value: &Value) -> String {
    format!("\"{}\" {}s", clipped(&value.bytes), value.ttl.as_secs())
}

fn contacts_of(contacts: &[Contact]) -> String {
    let shown = contacts.iter().take(LIST_SHOWN);
    let mut shown: Vec<_> = shown.map(|contact| contact.addr.to_string()).collect();
    if contacts.len() > LIST_SHOWN {
        shown.push(format!("and {}", contacts.len() - LIST_SHOWN));
    }
    shown.join(" ")
}

fn clipped(value: &[u8]) -> String {
    let cut = value.get(..VALUE_SHOWN).unwrap_or(value);
    cut.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use common::ids::NodeId;

    use super::*;

    fn header(tx: u64) -> Header {
        Header {
            kind: 0,
            tx: TxId(tx),
            sender: NodeId::ZERO,
            receiver: None,
            levels: Vec::new(),
        }
    }

    fn put(text: &str) -> Message {
        Message::Request(Request {
            level: 0,
            token: None,
            behalf: None,
            trace: None,
            ask: Ask::Put {
                key: Key::of(text.as_bytes()),
                value: b"atoll1 fetching 192.0.2.1:81\n".to_vec(),
                ttl: Duration::from_secs(20),
            },
        })
    }

    fn stored() -> Message {
        Message::Reply(Reply {
            level: 0,
            token: None,
            say: Say::Stored,
        })
    }

    fn peer(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 4_000))
    }

    fn offered(filter: Filter, all: &[(u64, SocketAddr, Message)]) -> Vec<String> {
        let mut capture = Capture::new(filter, Moment::ZERO, Duration::from_secs(60));
        for (tx, from, message) in all {
            let tx = header(tx << 32);
            capture.offer(
                Moment::from_millis(1_500),
                (Way::In, *from),
                &tx,
                message,
                99,
            );
        }
        let lines = capture.lines(0, usize::MAX).0;
        lines.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn key_peer_and_kind_choose_and_replies_follow_their_requests() {
        let all = [
            (1, peer(1), put("a")),
            (2, peer(2), put("b")),
            (1, peer(1), stored()),
            (2, peer(2), stored()),
        ];
        let key = Filter {
            key: Some(Key::of(b"a")),
            ..Filter::default()
        };
        let lines = offered(key, &all);
        let key = Key::of(b"a");
        assert_eq!(
            lines,
            [
                format!(
                    "    1.500 <- 192.0.2.1:4000 99B tx 00000001 put {key} ttl 20s \
                     \"atoll1 fetching 192.0.2.1:81\\n\" L0 no token"
                ),
                "    1.500 <- 192.0.2.1:4000 99B tx 00000001 stored L0".to_owned(),
            ]
        );
        let from = Filter {
            peer: Some(SocketAddr::from(([192, 0, 2, 2], 0))),
            ..Filter::default()
        };
        assert_eq!(offered(from, &all).len(), 2);
        let kind = |kind| Filter {
            kind: Some(kind),
            ..Filter::default()
        };
        assert_eq!(offered(kind(Kind::Put), &all).len(), 4);
        assert_eq!(offered(kind(Kind::Stored), &all).len(), 2);
        assert_eq!(offered(kind(Kind::Get), &all).len(), 0);
        assert_eq!(offered(Filter::default(), &all).len(), 4);
    }

    #[test]
    fn lines_beyond_the_bounds_push_out_the_oldest_and_are_counted() {
        let mut capture = Capture::new(Filter::default(), Moment::ZERO, FOR_MAX);
        for tx in 0..=LINES_MAX as u64 {
            capture.offer(Moment::ZERO, (Way::Out, peer(1)), &header(tx), &stored(), 1);
        }
        let (lines, next, lost) = capture.lines(0, 1);
        assert_eq!((lines.len(), next, lost), (1, 2, 1));
        assert_eq!(capture.lines(next, usize::MAX).1, LINES_MAX as u64 + 1);
        let long = "x".repeat(BYTES_MAX / 2);
        for _ in 0..4 {
            capture.push(long.clone());
        }
        assert!(capture.bytes <= BYTES_MAX && !capture.lines.is_empty());
    }

    #[test]
    fn nothing_is_captured_after_its_time_and_no_time_is_longer_than_the_longest() {
        let mut capture = Capture::new(Filter::default(), Moment::ZERO, FOR_MAX * 2);
        let end = Moment::ZERO + FOR_MAX;
        assert!(capture.is_over(end));
        capture.offer(end, (Way::In, peer(1)), &header(1), &stored(), 1);
        assert_eq!(capture.counts(), (0, 0));
    }
}
