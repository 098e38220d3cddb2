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
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;

#[cfg(target_os = "linux")]
use nix::sys::socket::{MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket that is waited for to be read, and never to be written.
///
/// The runtime's own socket waits for both, and then every datagram that leaves an idle socket wakes it: a
/// wait in epoll that tells nothing, for each batch.
#[derive(Debug)]
pub struct Socket(AsyncFd<UdpSocket>);

impl Socket {
    /// Takes `socket` over, which must not block.
    ///
    /// # Errors
    /// There is no runtime to wait with, or the system refuses.
    #[expect(
        deprecated,
        reason = "unsound only for types that do not keep the descriptor they name; its successor asks for unsafe code"
    )]
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        AsyncFd::with_interest(socket, Interest::READABLE).map(Self)
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    /// The runtime ends.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(drop)
    }

    /// Does `read`, if there is something to read. Where it says [`WouldBlock`](io::ErrorKind::WouldBlock)
    /// the next [`readable`](Self::readable) waits.
    ///
    /// # Errors
    /// Those of `read`, and `WouldBlock`.
    pub fn try_read<R>(&self, read: impl FnOnce(&UdpSocket) -> io::Result<R>) -> io::Result<R> {
        self.0.try_io(Interest::READABLE, read)
    }

    /// The socket itself.
    #[must_use]
    pub fn get(&self) -> &UdpSocket {
        self.0.get_ref()
    }
}

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
    read(socket, buffers, None, |from, message| {
        each(from, message.iovs().next().unwrap_or_default());
    })
}

/// As [`receive`], with room for so much that the system may say of each datagram beside.
#[cfg(target_os = "linux")]
fn read<const N: usize>(
    socket: &UdpSocket,
    buffers: &mut [[u8; N]],
    beside: Option<Vec<u8>>,
    mut each: impl FnMut(SocketAddr, &RecvMsg<'_, '_, SockaddrStorage>),
) -> io::Result<usize> {
    let mut slices: Vec<[IoSliceMut<'_>; 1]> = buffers
        .iter_mut()
        .map(|buffer| [IoSliceMut::new(buffer)])
        .collect();
    // Made anew for each call: the system writes the lengths of addresses into it.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), beside);
    let messages = recvmmsg(
        socket.as_raw_fd(),
        &mut headers,
        slices.iter_mut(),
        MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    let mut count = 0;
    for message in messages {
        count += 1;
        if let Some(from) = message.address.as_ref().and_then(internet) {
            each(from, &message);
        }
    }
    Ok(count)
}

#[cfg(target_os = "linux")]
fn internet(addr: &SockaddrStorage) -> Option<SocketAddr> {
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
        match socket.recv_from(buffer) {
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
