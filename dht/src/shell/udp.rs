//! The UDP socket: bound with a large receive buffer, read without waiting, sent without waiting.

use std::io;
use std::net::SocketAddr;

use common::limits::DATAGRAM_MAX;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Receive buffer asked for, in bytes: a second's burst of small datagrams. The system may give
/// less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One byte more than the largest datagram, so that a longer one is seen to be too long.
const READ_LEN: usize = DATAGRAM_MAX + 1;

/// The socket between nodes.
#[derive(Debug)]
pub(super) struct Udp {
    socket: UdpSocket,
    buffer: Box<[u8; READ_LEN]>,
}

impl Udp {
    pub(super) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        // A smaller buffer loses datagrams in a burst, which the protocol survives.
        drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self {
            socket,
            buffer: Box::new([0; READ_LEN]),
        })
    }

    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// The next datagram that is already here.
    pub(super) fn receive(&mut self) -> Option<(SocketAddr, &[u8])> {
        loop {
            match self.socket.try_recv_from(&mut self.buffer[..]) {
                Ok((len, from)) => return Some((from, &self.buffer[..len])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // An earlier datagram met a closed port: that peer's silence will tell.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) => {
                    tracing::debug!(%error, "reading datagrams failed");
                    return None;
                }
            }
        }
    }

    /// Sends, or drops when the system's buffer is full: the engine sends again.
    pub(super) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.socket.try_send_to(bytes, to) {
            tracing::debug!(%to, %error, "a datagram was not sent");
        }
    }
}
