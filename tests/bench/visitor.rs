//! Clients as cheap as they can be, so that one core of them can want more than one core of a proxy
//! gives: bytes out, bytes in, the status read from the first line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::clock::Moment;
use harness::wait::now;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// How a visit ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// 200, whole, after this time.
    Served(Duration),
    /// Another status: sent away in good order.
    Refused(u16),
    /// No connection, or one that broke.
    Broken,
    /// The visitor had no more patience.
    Late,
}

/// Where visitor `n` comes from: neighbours are in different /24s.
pub(crate) fn from(n: usize) -> IpAddr {
    let n = u32::try_from(n % 60_000).unwrap();
    let [_, _, high, low] = n.to_be_bytes();
    // 127.0 and odd second parts belong to others.
    Ipv4Addr::new(127, 2 + (high & 0x3f) * 2, low, 1).into()
}

/// A connection from `ip` to `to`.
pub(crate) async fn connect(ip: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(ip, 0))?;
    socket.connect(to).await
}

/// One request on a connection of its own, that has to be answered within `patience`.
pub(crate) async fn visit(
    ip: IpAddr,
    to: SocketAddr,
    host: &str,
    path: &str,
    patience: Duration,
) -> End {
    let began = now();
    let exchange = async {
        let mut stream = connect(ip, to).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(2_048);
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match tokio::time::timeout(patience, exchange).await {
        Err(_) => End::Late,
        Ok(Err(_)) => End::Broken,
        Ok(Ok(answer)) => judge(&answer, began),
    }
}

fn judge(answer: &[u8], began: Moment) -> End {
    let status = answer.get(9..12).and_then(|digits| {
        let digits = std::str::from_utf8(digits).ok()?;
        digits.parse().ok()
    });
    match status {
        Some(200) => End::Served(now().since(began)),
        Some(status) => End::Refused(status),
        None => End::Broken,
    }
}
