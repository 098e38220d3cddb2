//! Many datagrams per system call: `recvmmsg(2)` and `sendmmsg(2)` on Linux, one by one elsewhere.
//!
//! Both wrappers are safe ones of others (`nix` to receive, `rustix` to send); nothing here waits,
//! nothing here decides what becomes of a datagram that was not sent.
//!
//! A socket bound to every address answers from whichever the routes prefer, which need not be the
//! one that was asked, and resolvers drop such a reply. [`local`] is for those sockets: there each
//! datagram says which address it came to, and each reply leaves from it. Others do without, and
//! pay nothing.

#[cfg(target_os = "linux")]
pub mod local;

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// Reads up to one datagram per buffer and hands each to `each`. A datagram longer than its buffer
/// is cut off. Returns how many were read.
///
/// # Errors
/// There was none, or the socket reports an earlier failure.
#[cfg(target_os = "linux")]
pub fn receive<const N: usize>(
    socket: &UdpSocket,
    buffers: &mut [[u8; N]],
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<usize> {
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

    let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers
        .iter_mut()
        .map(|buffer| [IoSliceMut::new(buffer)])
        .collect();
    // Made anew for each call: the system writes the lengths of addresses into it.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), None);
    let fd = socket.as_raw_fd();
    let messages = recvmmsg(
        fd,
        &mut headers,
        slices.iter_mut(),
        MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    let mut count = 0;
    for message in messages {
        count += 1;
        if let Some(from) = message.address.as_ref().and_then(internet) {
            each(from, message.iovs().next().unwrap_or_default());
        }
    }
    Ok(count)
}

#[cfg(target_os = "linux")]
fn internet(addr: &nix::sys::socket::SockaddrStorage) -> Option<SocketAddr> {
    let v4 = addr
        .as_sockaddr_in()
        .map(|addr| SocketAddr::V4((*addr).into()));
    v4.or_else(|| {
        addr.as_sockaddr_in6()
            .map(|addr| SocketAddr::V6((*addr).into()))
    })
}

/// Sends as many of `datagrams` as the system takes at once. Returns how many.
///
/// # Errors
/// The first of them cannot be sent.
#[cfg(target_os = "linux")]
pub fn send(socket: &UdpSocket, datagrams: &[(SocketAddr, Vec<u8>)]) -> io::Result<usize> {
    use std::io::IoSlice;

    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

    let addrs: Vec<SocketAddrAny> = datagrams.iter().map(|(to, _)| (*to).into()).collect();
    let slices: Vec<[IoSlice<'_>; 1]> = datagrams
        .iter()
        .map(|(_, bytes)| [IoSlice::new(bytes)])
        .collect();
    let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
        std::iter::repeat_with(SendAncillaryBuffer::default)
            .take(datagrams.len())
            .collect();
    let parts = addrs.iter().zip(&slices).zip(&mut controls);
    let mut messages: Vec<MMsgHdr<'_>> = parts
        .map(|((addr, slice), control)| MMsgHdr::new_with_addr(addr, slice, control))
        .collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::DONTWAIT)?)
}

/// Reads up to one datagram per buffer, one by one.
///
/// # Errors
/// There was none, or the socket reports an earlier failure.
#[cfg(not(target_os = "linux"))]
pub fn receive<const N: usize>(
    socket: &UdpSocket,
    buffers: &mut [[u8; N]],
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<usize> {
    let mut count = 0;
    for buffer in buffers {
        match socket.try_recv_from(buffer) {
            Ok((len, from)) => each(from, &buffer[..len]),
            Err(error) if count == 0 => return Err(error),
            Err(_) => break,
        }
        count += 1;
    }
    Ok(count)
}

/// Sends the first of `datagrams`.
///
/// # Errors
/// It cannot be sent.
#[cfg(not(target_os = "linux"))]
pub fn send(socket: &UdpSocket, datagrams: &[(SocketAddr, Vec<u8>)]) -> io::Result<usize> {
    let Some((to, bytes)) = datagrams.first() else {
        return Ok(0);
    };
    let sent = socket2::SockRef::from(socket).send_to(bytes, &(*to).into());
    sent.map(|_| 1)
}
