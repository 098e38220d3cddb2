//! Members that ask one index as fast as it answers: sealed requests with tokens over UDP.
//!
//! Each member keeps a window of requests under way. A reply counts when its transaction is one of
//! those sent; its tag is not verified here, because that would measure the load and not the index.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use common::ids::{Key, NodeId, TxId};
use common::rng::Generator;
use common::wire::header::{self, Header, LevelInfo};
use common::wire::secret::Network;
use dht::engine::message::{Ask, Message, Request, Token, decode, encode_request};

/// Requests under way per member.
const WINDOW: usize = 32;

/// Where the transaction id stands in a datagram (`docs/design/wire.md`).
const TX_AT: std::ops::Range<usize> = 12..20;

/// A member with a socket of its own.
pub(crate) struct Member<'a> {
    network: &'a Network,
    socket: UdpSocket,
    own: NodeId,
    to: NodeId,
    token: Option<Token>,
    outstanding: BTreeSet<u64>,
    rng: Generator,
}

impl<'a> Member<'a> {
    /// A member at `at` that has proven its address to the index at `to`.
    pub(crate) fn proven(
        network: &'a Network,
        at: SocketAddr,
        to: SocketAddr,
        rng: Generator,
    ) -> Self {
        let socket = UdpSocket::bind(at).unwrap();
        socket.connect(to).unwrap();
        let wait = Some(Duration::from_millis(200));
        socket.set_read_timeout(wait).unwrap();
        let mut member = Self {
            network,
            own: NodeId::of(socket.local_addr().unwrap()),
            socket,
            to: NodeId::of(to),
            token: None,
            outstanding: BTreeSet::new(),
            rng,
        };
        member.prove();
        member
    }

    /// A padded ping, whose pong brings the token.
    fn prove(&mut self) {
        let ping = Ask::Ping {
            services: Vec::new(),
        };
        self.send(ping, 200);
        let mut buffer = [0; 1_500];
        for _ in 0..20 {
            let Ok(len) = self.socket.recv(&mut buffer) else {
                continue;
            };
            let (header, body) = header::open(self.network, &buffer[..len]).unwrap();
            if let Ok(Message::Reply(reply)) = decode(header.kind, body) {
                self.token = reply.token;
                break;
            }
        }
        assert!(self.token.is_some(), "the index gives no token");
        self.outstanding.clear();
    }

    fn send(&mut self, ask: Ask, pad: usize) {
        let kind = ask.kind().code();
        let request = Request {
            level: 0,
            token: self.token,
            behalf: None,
            trace: None,
            ask,
        };
        let body = encode_request(&request, 1_000, pad).unwrap();
        let tx = self.rng.u64();
        let header = Header {
            kind,
            tx: TxId(tx),
            sender: self.own,
            receiver: Some(self.to),
            levels: vec![LevelInfo::default(); 3],
        };
        let bytes = header::seal(self.network, &header, &body).unwrap();
        self.outstanding.insert(tx);
        drop(self.socket.send(&bytes));
    }

    /// Fills the window with what `ask` makes, then reads what has come. Returns how many were
    /// answered.
    pub(crate) fn turn(&mut self, ask: impl Fn(Key) -> Ask) -> u64 {
        while self.outstanding.len() < WINDOW {
            let key = Key::from_bytes(self.rng.bytes());
            self.send(ask(key), 0);
        }
        let (mut answered, mut buffer) = (0, [0; 1_500]);
        // Half a window at a time, so that the index always has something to read.
        while self.outstanding.len() > WINDOW / 2 {
            let Ok(len) = self.socket.recv(&mut buffer) else {
                // Lost, or dropped: not waited for.
                self.outstanding.clear();
                break;
            };
            let tx = buffer[..len].get(TX_AT).map(|bytes| bytes.try_into());
            if let Some(Ok(tx)) = tx {
                answered += u64::from(self.outstanding.remove(&u64::from_be_bytes(tx)));
            }
        }
        answered
    }

    /// Sends bytes that are no datagram of any network.
    pub(crate) fn garbage(&self, bytes: &[u8]) {
        drop(self.socket.send(bytes));
    }
}
