//! UDP by hickory's server: one socket per address.
//!
//! It reads one datagram at a time and answers each in a task of its own. Those tasks wait for
//! nothing, so no more of them exist than one turn of the scheduler lets its loop read.

use std::net::SocketAddr;

use common::shell::signals::Shutdown;
use hickory_server::Server;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::handler::Handler;

/// Receive buffer, in bytes: a burst of some 4,000 questions while the process is not running.
const RECEIVE_BUFFER: usize = 1 << 20;

/// Binds the socket of `addr`.
///
/// # Errors
/// The address is taken or not ours.
pub fn bind(addr: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // The system may grant less; then bursts are shorter.
    drop(socket.set_recv_buffer_size(RECEIVE_BUFFER));
    socket.bind(&addr.into())?;
    UdpSocket::from_std(socket.into())
}

/// Serves `sockets` until the process drains.
pub async fn serve(sockets: Vec<UdpSocket>, handler: Handler, mut shutdown: Shutdown) {
    let mut server = Server::new(handler);
    for socket in sockets {
        server.register_socket(socket);
    }
    tokio::select! {
        ended = server.block_until_done() => {
            if let Err(error) = ended {
                tracing::error!(%error, "the UDP server ended");
            }
        }
        () = shutdown.draining() => {}
    }
    if let Err(error) = server.shutdown_gracefully().await {
        tracing::debug!(%error, "the UDP server ended with an error");
    }
}
