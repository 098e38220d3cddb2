//! The UDP socket: bound with a large receive buffer, read and written without waiting, many
//! datagrams per system call where the system can do that ([`datagrams`]).
//!
//! One socket serves every level and both address families: bound to `[::]` it also hears IPv4,
//! whose addresses it maps on the way out. Decides nothing and keeps nothing but what is to be sent.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket as StdUdpSocket};

use common::limits::DATAGRAM_MAX;
use common::shell::datagrams::{self, Socket};
use socket2::{Domain, Protocol, Type};

/// Receive buffer asked for, in bytes: a second's burst of small datagrams. The system may give
/// less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One byte more than the largest datagram, so that a longer one is seen to be too long.
const READ_LEN: usize = DATAGRAM_MAX + 1;

/// Datagrams per system call. Beyond 32 a call hardly gets cheaper per datagram (measured on
/// loopback), and this many buffers fit the processor's first cache.
const BATCH: usize = 32;

type Buffer = [u8; READ_LEN];

/// The socket between nodes.
#[derive(Debug)]
pub(super) struct Udp {
    socket: Socket,
    buffers: Vec<Buffer>,
    outgoing: Vec<(SocketAddr, Vec<u8>)>,
    maps: bool,
}

impl Udp {
    /// A socket that was handed over, with whatever waits in it.
    pub(super) fn of(socket: StdUdpSocket) -> io::Result<Self> {
        let maps = socket.local_addr()?.is_ipv6();
        Self::with(socket, maps)
    }

    pub(super) fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        // A smaller buffer loses datagrams in a burst, which the protocol survives.
        drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
        socket.set_nonblocking(true)?;
        let maps = addr.is_ipv6();
        if maps {
            // Whatever the machine's default is: `[::]` means every address of both families.
            socket.set_only_v6(false)?;
        }
        socket.bind(&addr.into())?;
        Self::with(socket.into(), maps)
    }

    fn with(socket: StdUdpSocket, maps: bool) -> io::Result<Self> {
        let socket = Socket::new(socket)?;
        Ok(Self {
            socket,
            buffers: vec![[0; READ_LEN]; BATCH],
            outgoing: Vec::with_capacity(BATCH),
            maps,
        })
    }

    /// The socket itself.
    pub(super) fn get(&self) -> &StdUdpSocket {
        self.socket.get()
    }

    pub(super) fn addr(&self) -> io::Result<SocketAddr> {
        self.socket.get().local_addr()
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Hands the next batch of datagrams that are already here to `each`. Whether there may be more.
    pub(super) fn receive(&mut self, each: impl FnMut(SocketAddr, &[u8])) -> bool {
        let (socket, buffers) = (&self.socket, &mut self.buffers[..]);
        let received = socket.try_read(|socket| datagrams::receive(socket, buffers, each));
        match received {
            Ok(count) => count == BATCH,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            // An earlier datagram met a closed port: that peer's silence will tell.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => true,
            Err(error) => {
                tracing::debug!(%error, "reading datagrams failed");
                false
            }
        }
    }

    /// Sends `bytes` with the next batch; [`flush`](Self::flush) sends what is left of it.
    pub(super) fn send(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let to = match to.ip() {
            IpAddr::V4(ip) if self.maps => {
                let mapped: Ipv6Addr = ip.to_ipv6_mapped();
                SocketAddr::new(mapped.into(), to.port())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => to,
        };
        self.outgoing.push((to, bytes));
        if self.outgoing.len() >= BATCH {
            self.flush();
        }
    }

    /// Sends what is to be sent. What the system does not take is dropped: the engine sends again.
    pub(super) fn flush(&mut self) {
        let mut rest = &self.outgoing[..];
        while let Some((to, _)) = rest.first() {
            let done = match datagrams::send(self.socket.get(), rest) {
                Ok(count) => count.max(1),
                Err(error) => {
                    tracing::debug!(%to, %error, "a datagram was not sent");
                    // A full buffer is full for all of them; any other error is about the first.
                    let full = error.kind() == io::ErrorKind::WouldBlock;
                    if full { rest.len() } else { 1 }
                }
            };
            rest = rest.get(done..).unwrap_or_default();
        }
        self.outgoing.clear();
    }
}

/// The address of this machine that datagrams to `to` come from, without sending any.
///
/// # Errors
/// There is no way there, or no socket.
pub(super) fn source_towards(to: SocketAddr) -> io::Result<IpAddr> {
    let any: SocketAddr = if to.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = StdUdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    async fn read(udp: &mut Udp, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut got = Vec::new();
        while got.len() < count {
            timeout(SOON, udp.readable()).await.unwrap().unwrap();
            udp.receive(|from, bytes| got.push((from, bytes.to_vec())));
        }
        got
    }

    #[tokio::test]
    async fn more_than_a_batch_arrives_whole_and_in_order() {
        let mut one = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut two = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (from, to) = (one.addr().unwrap(), two.addr().unwrap());
        let count = 2 * BATCH + 3;
        for n in 0..count {
            one.send(to, vec![u8::try_from(n).unwrap(); n]);
        }
        one.flush();
        let got = read(&mut two, count).await;
        for (n, (source, bytes)) in got.iter().enumerate() {
            assert_eq!((*source, bytes.len()), (from, n));
            assert!(bytes.iter().all(|byte| usize::from(*byte) == n));
        }
    }

    #[tokio::test]
    async fn a_datagram_over_the_bound_is_seen_to_be_too_long() {
        let mut one = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut two = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = two.addr().unwrap();
        for len in [DATAGRAM_MAX, DATAGRAM_MAX + 1, 4_000] {
            one.send(to, vec![7; len]);
        }
        one.flush();
        let got = read(&mut two, 3).await;
        let lens: Vec<_> = got.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(lens, [DATAGRAM_MAX, READ_LEN, READ_LEN]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
        let mut one = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut two = Udp::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let to = two.addr().unwrap();
        one.send(to, vec![1]);
        // An IPv4 socket has no way to an IPv6 address.
        one.send("[::1]:9".parse().unwrap(), vec![2]);
        one.send(to, vec![3]);
        one.flush();
        let got = read(&mut two, 2).await;
        assert_eq!((&got[0].1[..], &got[1].1[..]), (&[1][..], &[3][..]));
    }

    #[tokio::test]
    async fn every_address_of_both_families_is_heard_and_answered() {
        let mut both = Udp::bind("[::]:0".parse().unwrap()).unwrap();
        let port = both.addr().unwrap().port();
        for loopback in ["127.0.0.1", "::1"] {
            let ip: IpAddr = loopback.parse().unwrap();
            let mut one = Udp::bind(SocketAddr::new(ip, 0)).unwrap();
            one.send(SocketAddr::new(ip, port), vec![1]);
            one.flush();
            let (from, _) = read(&mut both, 1).await.remove(0);
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            assert_eq!(from, one.addr().unwrap());
            both.send(from, vec![2]);
            both.flush();
            let (from, bytes) = read(&mut one, 1).await.remove(0);
            assert_eq!((from.port(), bytes), (port, vec![2]));
        }
    }
}
