//! One HTTP request for a proxy's check page, through its real data path.
//!
//! On a fresh connection each time, since that is what a client that was given the address does:
//! a proxy whose kept connections live but that accepts no more is of no use.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, SystemClock};
use common::name::Zone;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::engine::output::HttpOutcome;
use crate::engine::reason::Fault;

/// The page that a proxy serves at `check.<zone>` through its data path.
pub const PATH: &str = "/atoll/check";

/// What the page starts with.
const BODY: &[u8] = b"ok";

/// A proxy that says `atoll-draining: 1`, with whatever status, asks to be left alone.
const DRAINING: &str = "atoll-draining";

/// How much more a proxy could do, in percent; 0 is full. One that does not say has all to spare.
const SPARE: &str = "atoll-spare";

/// What a prober says of itself.
const AGENT: &str = concat!("atoll-dns/", env!("CARGO_PKG_VERSION"));

/// Fetches the page from `proxy` within `allowed`.
pub async fn check(
    proxy: SocketAddr,
    zone: &Zone,
    allowed: Duration,
    clock: SystemClock,
) -> HttpOutcome {
    let began = clock.moment();
    match timeout(allowed, exchange(proxy, zone)).await {
        Err(_) => HttpOutcome::Failed(Fault::Timeout),
        Ok(Err(outcome)) => outcome,
        Ok(Ok(said)) => HttpOutcome::Served {
            took: clock.moment().since(began),
            draining: said.draining,
            spare: said.spare,
        },
    }
}

/// What a proxy says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    draining: bool,
    spare: u8,
}

/// What the proxy says of itself, or what went wrong.
async fn exchange(proxy: SocketAddr, zone: &Zone) -> Result<Said, HttpOutcome> {
    let broken = HttpOutcome::Failed(Fault::Broken);
    let stream = TcpStream::connect(proxy)
        .await
        .map_err(|error| blame(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| broken)?;
    let request = Request::get(PATH)
        .header(header::HOST, format!("check.{zone}"))
        .header(header::USER_AGENT, AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .expect("made of constants and a zone, which has the bytes of a host name only");
    let page = async {
        let response = sender.send_request(request).await.map_err(|_| broken)?;
        let said = said(response.headers());
        if said.draining {
            return Ok(said);
        }
        if response.status() != StatusCode::OK {
            return Err(HttpOutcome::Failed(Fault::Status));
        }
        let mut body = response.into_body();
        let mut start = Vec::new();
        while start.len() < BODY.len() {
            let frame = body.frame().await.ok_or(HttpOutcome::Failed(Fault::Body))?;
            let data = frame.map_err(|_| broken)?.into_data().unwrap_or_default();
            // The rest of a long page is not kept.
            start.extend(data.into_iter().take(BODY.len()));
        }
        if start.starts_with(BODY) {
            Ok(said)
        } else {
            Err(HttpOutcome::Failed(Fault::Body))
        }
    };
    // The connection is driven here and dropped with this future: no task outlives its check.
    let mut connection = std::pin::pin!(connection);
    let mut page = std::pin::pin!(page);
    tokio::select! {
        biased;
        done = &mut page => done,
        // It may end in the same turn in which the page became whole.
        _ = &mut connection => page.await,
    }
}

fn said(headers: &HeaderMap) -> Said {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let spare: Option<u8> = text(SPARE).and_then(|percent| percent.parse().ok());
    Said {
        draining: headers.get(DRAINING).is_some_and(|value| value != "0"),
        spare: spare.unwrap_or(100).min(100),
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
    fn a_proxy_says_how_much_more_it_could_do_and_that_it_drains() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            said(&pairs.collect())
        };
        let rows = [
            (&[][..], (false, 100)),
            (&[("atoll-spare", "37")], (false, 37)),
            (&[("atoll-spare", "0")], (false, 0)),
            (&[("atoll-spare", "250")], (false, 100)),
            (&[("atoll-spare", "much")], (false, 100)),
            (&[("atoll-draining", "1")], (true, 100)),
            (&[("atoll-draining", "0")], (false, 100)),
        ];
        for (pairs, (draining, spare)) in rows {
            assert_eq!(headers(pairs), Said { draining, spare }, "{pairs:?}");
        }
    }

    #[test]
    fn our_own_shortage_is_nobody_elses_fault() {
        let error = |errno: Errno| std::io::Error::from_raw_os_error(errno.raw_os_error());
        assert_eq!(blame(&error(Errno::MFILE)), HttpOutcome::Ourselves);
        let refused = HttpOutcome::Failed(Fault::Connect);
        assert_eq!(blame(&error(Errno::CONNREFUSED)), refused);
        assert_eq!(blame(&error(Errno::HOSTUNREACH)), refused);
    }
}
