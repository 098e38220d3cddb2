//! One HTTP request for a proxy's check page, through its real data path.
//!
//! On a fresh connection each time, since that is what a client that was given the address does:
//! a proxy whose kept connections live but that accepts no more is of no use.

use std::net::SocketAddr;
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::name::Zone;
use rustix::io::Errno;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::page::{HEAD_MAX, Judged, judge};
use crate::engine::output::HttpOutcome;
use crate::engine::reason::Fault;

/// The page that a proxy serves at `check.<zone>` through its data path.
pub const PATH: &str = "/atoll/check";

/// What a prober says of itself.
const AGENT: &str = concat!("atoll-dns/", env!("CARGO_PKG_VERSION"));

/// Bytes read at once: the whole answer, as a rule.
const PIECE: usize = 1_024;

/// The request, the same for every proxy of a zone.
#[must_use]
pub fn request(zone: &Zone) -> Vec<u8> {
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nhost: check.{zone}\r\nuser-agent: {AGENT}\r\nconnection: close\r\n\r\n"
    );
    request.into_bytes()
}

/// Fetches the page from `proxy` by `request` within `allowed`.
pub async fn check(
    proxy: SocketAddr,
    request: &[u8],
    allowed: Duration,
    clock: SystemClock,
) -> HttpOutcome {
    let began = clock.moment();
    match timeout(allowed, exchange(proxy, request)).await {
        Err(_) => HttpOutcome::Failed(Fault::Timeout),
        Ok(Err(outcome)) => outcome,
        Ok(Ok(spare)) => HttpOutcome::Served {
            took: clock.moment().since(began),
            draining: false,
            spare,
        },
    }
}

/// How much the proxy has to spare, or what went wrong.
async fn exchange(proxy: SocketAddr, request: &[u8]) -> Result<u8, HttpOutcome> {
    let broken = |_| HttpOutcome::Failed(Fault::Broken);
    let mut stream = TcpStream::connect(proxy)
        .await
        .map_err(|error| blame(&error))?;
    stream.write_all(request).await.map_err(broken)?;
    let mut answer = Vec::with_capacity(PIECE);
    loop {
        let length = stream.read_buf(&mut answer).await.map_err(broken)?;
        match judge(&answer) {
            Judged::Good(spare) => return Ok(spare),
            Judged::Bad(fault) => return Err(HttpOutcome::Failed(fault)),
            Judged::Unfinished if length == 0 || answer.len() > 2 * HEAD_MAX => {
                // It ended, or the line before the first chunk does not.
                let fault = if answer.len() > HEAD_MAX || answer.is_empty() {
                    Fault::Broken
                } else {
                    cut_off(&answer)
                };
                return Err(HttpOutcome::Failed(fault));
            }
            Judged::Unfinished => {}
        }
    }
}

/// What an answer lacks that ended too early: the end of its head, or the page.
fn cut_off(answer: &[u8]) -> Fault {
    if answer.windows(4).any(|four| four == b"\r\n\r\n") {
        Fault::Body
    } else {
        Fault::Broken
    }
}

/// Whose fault a failed connect is. Out of descriptors, ports, memory or network, this machine
/// learns nothing about others.
fn blame(error: &std::io::Error) -> HttpOutcome {
    const OURS: [Errno; 6] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
        Errno::NETUNREACH,
    ];
    let ours = OURS
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if ours {
        HttpOutcome::Ourselves
    } else {
        HttpOutcome::Failed(Fault::Connect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_shortage_is_nobody_elses_fault() {
        let error = |errno: Errno| std::io::Error::from_raw_os_error(errno.raw_os_error());
        assert_eq!(blame(&error(Errno::MFILE)), HttpOutcome::Ourselves);
        let refused = HttpOutcome::Failed(Fault::Connect);
        assert_eq!(blame(&error(Errno::CONNREFUSED)), refused);
        assert_eq!(blame(&error(Errno::HOSTUNREACH)), refused);
    }
}
