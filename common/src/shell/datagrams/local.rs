//! The same for a socket bound to every address: with each datagram the address that it came to, and
//! each reply from that one (`IP_PKTINFO`, `IPV6_RECVPKTINFO`; ip(7), RFC 3542 §6.1).

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _};

use nix::cmsg_space;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg,
    setsockopt,
};

use super::read;

/// Makes the system say of each datagram of `socket`, bound to an address like `bound`, which address
/// it came to.
///
/// # Errors
/// The system does not know how.
pub fn announce(socket: &impl AsFd, bound: IpAddr) -> io::Result<()> {
    let told = match bound {
        IpAddr::V4(_) => setsockopt(socket, Ipv4PacketInfo, &true),
        IpAddr::V6(_) => setsockopt(socket, Ipv6RecvPacketInfo, &true),
    };
    Ok(told?)
}

/// Where a datagram came to: the address, and the interface if the address alone does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    address: IpAddr,
    interface: u32,
}

impl Local {
    /// The address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    fn v4(info: &in_pktinfo) -> Self {
        Self {
            // The address to answer from: for a broadcast it is not the one in the datagram.
            address: Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()).into(),
            interface: 0,
        }
    }

    fn v6(info: &in6_pktinfo) -> Self {
        let address = Ipv6Addr::from(info.ipi6_addr.s6_addr);
        // Each interface has its own link.
        let interface = if address.is_unicast_link_local() {
            info.ipi6_ifindex
        } else {
            0
        };
        Self {
            address: address.into(),
            interface,
        }
    }
}

fn room() -> Vec<u8> {
    cmsg_space!(in6_pktinfo)
}

/// As [`receive`](super::receive); `each` is told where the datagram came to as well, unless the system
/// does not say.
///
/// # Errors
/// There was none, or the socket reports an earlier failure.
pub fn receive<const N: usize>(
    socket: &UdpSocket,
    buffers: &mut [[u8; N]],
    mut each: impl FnMut(SocketAddr, Option<Local>, &[u8]),
) -> io::Result<usize> {
    read(socket, buffers, Some(room()), |from, message| {
        let local = message.cmsgs().ok().and_then(|mut said| {
            said.find_map(|said| match said {
                ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::v4(&info)),
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local::v6(&info)),
                _ => None,
            })
        });
        each(from, local, message.iovs().next().unwrap_or_default());
    })
}

/// Sends as many of `datagrams` as the system takes at once, from `local`. Returns how many.
///
/// # Errors
/// The first of them cannot be sent.
pub fn send(
    socket: &UdpSocket,
    local: Local,
    datagrams: &[(SocketAddr, Vec<u8>)],
) -> io::Result<usize> {
    let (v4, v6);
    let from = match local.address {
        IpAddr::V4(address) => {
            v4 = in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: in_addr {
                    s_addr: u32::from_ne_bytes(address.octets()),
                },
                ipi_addr: in_addr { s_addr: 0 },
            };
            ControlMessage::Ipv4PacketInfo(&v4)
        }
        IpAddr::V6(address) => {
            v6 = in6_pktinfo {
                ipi6_addr: in6_addr {
                    s6_addr: address.octets(),
                },
                ipi6_ifindex: local.interface,
            };
            ControlMessage::Ipv6PacketInfo(&v6)
        }
    };
    let addrs: Vec<Option<SockaddrStorage>> =
        datagrams.iter().map(|(to, _)| Some((*to).into())).collect();
    let slices: Vec<[IoSlice<'_>; 1]> = datagrams
        .iter()
        .map(|(_, bytes)| [IoSlice::new(bytes)])
        .collect();
    // As long as this very message: the system refuses what is left over.
    let room = match local.address {
        IpAddr::V4(_) => cmsg_space!(in_pktinfo),
        IpAddr::V6(_) => room(),
    };
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), Some(room));
    let sent = sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        &slices,
        addrs,
        [from],
        MsgFlags::MSG_DONTWAIT,
    )?;
    Ok(sent.count())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shell::datagrams::Socket;

    const SOON: Duration = Duration::from_secs(5);

    async fn replies_leave_from_the_address_asked(any: &str, asked: &[&str]) {
        let Ok(server) = UdpSocket::bind((any, 0)) else {
            return;
        };
        announce(&server, any.parse().unwrap()).unwrap();
        server.set_nonblocking(true).unwrap();
        let server = Socket::new(server).unwrap();
        let port = server.get().local_addr().unwrap().port();
        let mut clients = Vec::new();
        for asked in asked {
            let own = asked.parse::<IpAddr>().unwrap();
            let to = SocketAddr::new(own, port);
            let client = UdpSocket::bind((if own.is_ipv4() { "127.0.0.1" } else { "::1" }, 0));
            let client = client.unwrap();
            client.set_read_timeout(Some(SOON)).unwrap();
            client.send_to(b"ask", to).unwrap();
            clients.push((client, to));
        }
        let mut replies = Vec::new();
        while replies.len() < clients.len() {
            server.readable().await.unwrap();
            let mut buffers = [[0; 64]; 8];
            let read = server.try_read(|server| {
                receive(server, &mut buffers, |from, local, bytes| {
                    replies.push((local.unwrap(), (from, bytes.to_vec())));
                })
            });
            assert!(read.is_ok_and(|read| read > 0));
        }
        for ((local, reply), (_, to)) in replies.iter().zip(&clients) {
            assert_eq!(local.address(), to.ip());
            // Two at once have one sender.
            let twice = [reply.clone(), reply.clone()];
            assert_eq!(send(server.get(), *local, &twice).unwrap(), 2);
        }
        for (client, to) in &clients {
            for _ in 0..2 {
                let mut buffer = [0; 64];
                assert_eq!(client.recv_from(&mut buffer).unwrap(), (3, *to));
            }
        }
    }

    #[tokio::test]
    async fn replies_of_a_socket_of_all_ipv4_addresses_leave_from_the_one_asked() {
        replies_leave_from_the_address_asked("0.0.0.0", &["127.0.0.1", "127.3.2.1", "127.9.9.9"])
            .await;
    }

    #[tokio::test]
    async fn replies_of_a_socket_of_all_ipv6_addresses_leave_from_the_one_asked() {
        replies_leave_from_the_address_asked("::", &["::1"]).await;
    }
}
