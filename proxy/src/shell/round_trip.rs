//! The round trip that the kernel measured on a connection.
//!
//! Where the system does not say, there is none.

use std::time::Duration;

use tokio::net::TcpStream;

/// The smoothed round trip of `stream`.
#[cfg(target_os = "linux")]
pub(super) fn of(stream: &TcpStream) -> Option<Duration> {
    use nix::sys::socket::getsockopt;

    let words = getsockopt(stream, linux::TcpInfo).ok()?;
    let micros = words.get(linux::RTT_WORD).copied()?;
    Some(Duration::from_micros(u64::from(micros)))
}

/// See above: no other system is asked.
#[cfg(not(target_os = "linux"))]
pub(super) const fn of(_: &TcpStream) -> Option<Duration> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::libc::{self, IPPROTO_TCP, TCP_INFO};
    use nix::{getsockopt_impl, sockopt_impl};

    /// 32-bit words of `struct tcp_info` that every kernel since 2.6.24 fills (104 bytes); newer
    /// ones cut what they have down to what is asked for.
    const WORDS: usize = 26;

    /// Which of them is `tcpi_rtt`: two of flags, then rto, ato, two segment sizes, five counts, four
    /// ages, path MTU and threshold come first (linux/tcp.h).
    pub(super) const RTT_WORD: usize = 17;

    sockopt_impl!(
        /// TCP_INFO.
        TcpInfo,
        GetOnly,
        IPPROTO_TCP,
        TCP_INFO,
        [u32; WORDS]
    );
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_that_carried_something_has_a_round_trip() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let (here, there) = tokio::join!(TcpStream::connect(to), listener.accept());
        let (mut here, (mut there, _)) = (here.unwrap(), there.unwrap());
        let mut buffer = [0; 4];
        for _ in 0..3 {
            there.write_all(b"ping").await.unwrap();
            here.read_exact(&mut buffer).await.unwrap();
            here.write_all(b"pong").await.unwrap();
            there.read_exact(&mut buffer).await.unwrap();
        }
        let rtt = of(&there).unwrap();
        assert!(!rtt.is_zero() && rtt < Duration::from_secs(1), "{rtt:?}");
    }
}
