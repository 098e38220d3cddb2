//! Listening sockets that were open before this process: from systemd's socket units and descriptor
//! store, or from the agent (`sd_listen_fds(3)`).
//!
//! A socket is recognised by what it is bound to, not by its name: so it does not matter who opened it,
//! how many there are of an address, or whether settings have changed since. What no setting asks for is
//! closed, because connections that nobody takes would wait in it.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;

/// Sockets that were handed over, until somebody takes them.
#[derive(Debug, Default)]
pub struct Inherited {
    tcp: Vec<Named<TcpListener>>,
    udp: Vec<Named<UdpSocket>>,
    unix: Vec<Named<UnixListener>>,
}

#[derive(Debug)]
struct Named<S> {
    name: String,
    socket: S,
}

impl Inherited {
    /// What this process was started with. To be called once, before there are other threads: it takes
    /// the words of the environment away.
    #[must_use]
    pub fn from_env() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut given = ListenFd::from_env();
        let mut names = names.split(':').map(str::to_owned);
        let mut all = Self::default();
        for at in 0..given.len() {
            let name = names.next().unwrap_or_default();
            if let Ok(Some(socket)) = given.take_tcp_listener(at) {
                all.tcp.push(Named { name, socket });
            } else if let Ok(Some(socket)) = given.take_udp_socket(at) {
                all.udp.push(Named { name, socket });
            } else if let Ok(Some(socket)) = given.take_unix_listener(at) {
                all.unix.push(Named { name, socket });
            }
        }
        all
    }

    /// Sockets that a test opened.
    #[must_use]
    pub fn of(tcp: Vec<TcpListener>, udp: Vec<UdpSocket>, unix: Vec<UnixListener>) -> Self {
        fn named<S>(sockets: Vec<S>) -> Vec<Named<S>> {
            let name = |(n, socket)| Named {
                name: format!("socket.{n}"),
                socket,
            };
            sockets.into_iter().enumerate().map(name).collect()
        }
        Self {
            tcp: named(tcp),
            udp: named(udp),
            unix: named(unix),
        }
    }

    /// A listener for connections at `addr`, not to be waited on.
    pub fn tcp(&mut self, addr: SocketAddr) -> Option<TcpListener> {
        let bound = |socket: &TcpListener| socket.local_addr().is_ok_and(|at| at == addr);
        let socket = take(&mut self.tcp, bound)?;
        ready(socket.set_nonblocking(true), socket)
    }

    /// A socket for datagrams at `addr`, not to be waited on.
    pub fn udp(&mut self, addr: SocketAddr) -> Option<UdpSocket> {
        let bound = |socket: &UdpSocket| socket.local_addr().is_ok_and(|at| at == addr);
        let socket = take(&mut self.udp, bound)?;
        ready(socket.set_nonblocking(true), socket)
    }

    /// A listener at `path`, or one that was bound at `aside` and renamed, not to be waited on.
    pub fn unix(&mut self, path: &Path, aside: &Path) -> Option<UnixListener> {
        let bound = |socket: &UnixListener| {
            let at = socket.local_addr().ok();
            let at = at.as_ref().and_then(|at| at.as_pathname());
            at.is_some_and(|at| at == path || at == aside)
        };
        let socket = take(&mut self.unix, bound)?;
        ready(socket.set_nonblocking(true), socket)
    }

    /// Closes what nobody took. Gives the names, for whoever keeps copies.
    pub fn close(&mut self) -> Vec<String> {
        let tcp = self.tcp.drain(..).map(|named| named.name);
        let udp = self.udp.drain(..).map(|named| named.name);
        let unix = self.unix.drain(..).map(|named| named.name);
        tcp.chain(udp).chain(unix).collect()
    }
}

fn take<S>(from: &mut Vec<Named<S>>, bound: impl Fn(&S) -> bool) -> Option<S> {
    let at = from.iter().position(|named| bound(&named.socket))?;
    Some(from.remove(at).socket)
}

/// One that cannot be used is as good as none.
fn ready<S>(set: io::Result<()>, socket: S) -> Option<S> {
    set.ok().map(|()| socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_known_by_what_it_is_bound_to() {
        let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, two) = (listen(), listen());
        let addr = two.local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("a"), dir.path().join("a.new"));
        let unix = UnixListener::bind(&aside).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        let mut inherited = Inherited::of(vec![one, two], Vec::new(), vec![unix]);
        assert!(inherited.udp(addr).is_none(), "it is for connections");
        let taken = inherited.tcp(addr).unwrap();
        assert_eq!(taken.local_addr().unwrap(), addr);
        assert!(inherited.tcp(addr).is_none(), "it was taken");
        assert!(inherited.unix(&path, &aside).is_some());
        assert_eq!(inherited.close(), ["socket.0"]);
    }
}
