//! Sockets of one address, one of each transport for every receiving thread: the system spreads
//! clients over them (`SO_REUSEPORT`), so that threads share nothing.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use common::shell::inherited::Inherited;
use socket2::{Domain, Protocol, Socket, Type};

/// Receive buffer asked for, in bytes: a burst of some 4,000 questions while the thread is not
/// running. The system may give less; then bursts are shorter.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Connections that wait to be taken.
const BACKLOG: i32 = 1_024;

/// Attempts to find one free port for both transports when any port will do.
const ANY_PORT_ATTEMPTS: usize = 16;

/// The sockets of one thread for one address.
#[derive(Debug)]
pub struct Pair {
    /// For datagrams.
    pub udp: UdpSocket,
    /// For connections.
    pub tcp: TcpListener,
}

/// Binds `addr` for `threads` threads. If any port will do, all get the same.
///
/// # Errors
/// The address is taken or not ours.
pub fn bind(addr: SocketAddr, threads: usize) -> io::Result<Vec<Pair>> {
    let mut attempts = if addr.port() == 0 {
        ANY_PORT_ATTEMPTS
    } else {
        1
    };
    let first = loop {
        attempts -= 1;
        match first(addr) {
            Ok(pair) => break pair,
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    };
    let same = first.udp.local_addr()?;
    let mut pairs = vec![first];
    while pairs.len() < threads {
        let shared = |socket: &Socket| socket.set_reuse_port(true);
        pairs.push(Pair {
            udp: udp(same, shared)?,
            tcp: tcp(same, shared)?,
        });
    }
    Ok(pairs)
}

/// The same for an address whose sockets were handed over. All of them are used, since the system spreads
/// clients over them: with fewer threads than before some read several.
///
/// # Errors
/// There are too few, and the address is not ours any more.
pub fn take(addr: SocketAddr, threads: usize, inherited: &mut Inherited) -> io::Result<Vec<Pair>> {
    let (mut udps, mut tcps) = (Vec::new(), Vec::new());
    while let Some(udp) = inherited.udp(addr) {
        udps.push(udp);
    }
    while let Some(tcp) = inherited.tcp(addr) {
        tcps.push(tcp);
    }
    if udps.is_empty() && tcps.is_empty() {
        return bind(addr, threads);
    }
    let shared = |socket: &Socket| socket.set_reuse_port(true);
    let most = threads.max(udps.len()).max(tcps.len());
    while udps.len() < most {
        udps.push(udp(addr, shared)?);
    }
    while tcps.len() < most {
        tcps.push(tcp(addr, shared)?);
    }
    let pairs = udps.into_iter().zip(tcps);
    Ok(pairs.map(|(udp, tcp)| Pair { udp, tcp }).collect())
}

/// The first pair is bound alone, so that an address which another program holds is seen to be
/// taken; only then is it opened to the other threads.
fn first(addr: SocketAddr) -> io::Result<Pair> {
    let alone = |_: &Socket| Ok(());
    let udp = udp(addr, alone)?;
    let tcp = tcp(udp.local_addr()?, alone)?;
    socket2::SockRef::from(&udp).set_reuse_port(true)?;
    socket2::SockRef::from(&tcp).set_reuse_port(true)?;
    Ok(Pair { udp, tcp })
}

fn udp(addr: SocketAddr, set: impl Fn(&Socket) -> io::Result<()>) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    only_v6(&socket, addr)?;
    set(&socket)?;
    drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
    drop(in_one_piece(&socket, addr));
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    #[cfg(target_os = "linux")]
    if addr.ip().is_unspecified() {
        common::shell::datagrams::local::announce(&socket, addr.ip())?;
    }
    Ok(socket.into())
}

fn tcp(addr: SocketAddr, set: impl Fn(&Socket) -> io::Result<()>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    only_v6(&socket, addr)?;
    // A restart need not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    // Connections inherit it: replies leave whole, and nothing is gained by holding back the last
    // segment.
    socket.set_tcp_nodelay(true)?;
    set(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Replies leave in one piece, with DF set where there is such a bit: they are short enough for any
/// path (RFC 9715 §3.1), fragments can be forged, and what is told of paths is not believed. The system
/// is also spared the drawing of numbers for fragments, 4 % of an answer.
#[cfg(target_os = "linux")]
fn in_one_piece(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    use rustix::net::sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    };

    if addr.is_ipv6() {
        set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE)?;
    } else {
        set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn in_one_piece(_: &Socket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

fn only_v6(socket: &Socket, addr: SocketAddr) -> io::Result<()> {
    if addr.is_ipv6() {
        socket.set_only_v6(true)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_a_port_that_nobody_else_can_take() {
        let pairs = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let addr = pairs[0].udp.local_addr().unwrap();
        for pair in &pairs {
            assert_eq!(pair.udp.local_addr().unwrap(), addr);
            assert_eq!(pair.tcp.local_addr().unwrap(), addr);
        }
        let error = bind(addr, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn sockets_that_were_handed_over_are_all_used() {
        let pairs = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let addr = pairs[0].udp.local_addr().unwrap();
        let (udps, tcps) = pairs.into_iter().map(|pair| (pair.udp, pair.tcp)).unzip();
        let mut inherited = Inherited::of(tcps, udps, Vec::new());
        let taken = take(addr, 1, &mut inherited).unwrap();
        assert_eq!(taken.len(), 2, "none is left that nobody reads");
        let (udps, tcps) = taken.into_iter().map(|pair| (pair.udp, pair.tcp)).unzip();
        let mut inherited = Inherited::of(tcps, udps, Vec::new());
        assert_eq!(take(addr, 3, &mut inherited).unwrap().len(), 3);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn rfc9715_3_1_replies_leave_in_one_piece() {
        use rustix::net::sockopt::{
            Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, ip_mtu_discover, ipv6_mtu_discover,
        };

        let pairs = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let v4 = ip_mtu_discover(&pairs[0].udp).unwrap();
        assert_eq!(v4, Ipv4PathMtuDiscovery::PROBE);
        // Not every machine has IPv6.
        if let Ok(pairs) = bind("[::1]:0".parse().unwrap(), 1) {
            let v6 = ipv6_mtu_discover(&pairs[0].udp).unwrap();
            assert_eq!(v6, Ipv6PathMtuDiscovery::PROBE);
        }
    }
}
