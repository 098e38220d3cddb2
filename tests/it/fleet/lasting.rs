//! Clients whose connections and downloads last: HTTP/2 over TLS, and a large object in slices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use harness::client::{Ask, Page};
use harness::wait::pause;
use http::Request;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::load::Count;

/// Between two requests on a connection.
const PACE: Duration = Duration::from_millis(20);

/// Bytes of a large object that are read at a time, and the rest between.
const PIECE: u64 = 1 << 20;
const REST: Duration = Duration::from_millis(150);

/// Asks for a page again and again on one connection, and on another one when the server has said that this
/// one ends.
pub(super) async fn over_tls(
    (to, connector): (SocketAddr, TlsConnector),
    (page, body): (Page, String),
    (count, over): (Arc<Count>, Arc<AtomicBool>),
) {
    let (mut connection, mut again) = (None, false);
    while !over.load(Ordering::Relaxed) {
        let kept = match connection.take() {
            Some(kept) => kept,
            None => match connect(to, &page.host, &connector).await {
                Ok(fresh) => fresh,
                Err(error) => {
                    count.note(Err(format!("TLS: {error}")));
                    pause(PACE).await;
                    continue;
                }
            },
        };
        // It ended while nothing was asked on it.
        let Ok(mut kept) = kept.ready().await else {
            continue;
        };
        let came = ask(&mut kept, &page, &body).await;
        if matches!(came, Err(Failed::Unheard)) && !again {
            again = true;
            continue;
        }
        again = false;
        if came.is_ok() {
            connection = Some(kept);
        }
        count.note(came.map_err(|error| format!("HTTP/2: {error:?}")));
        pause(PACE).await;
    }
}

async fn connect(
    to: SocketAddr,
    host: &str,
    connector: &TlsConnector,
) -> Result<SendRequest<Bytes>, String> {
    let stream = TcpStream::connect(to).await.map_err(|e| e.to_string())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
    let stream = connector.connect(name, stream).await;
    let stream = stream.map_err(|e| e.to_string())?;
    let (sender, connection) = handshake(stream).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Why there is no answer.
#[derive(Debug)]
enum Failed {
    /// The server was leaving, and said that it has not looked at this request: it is to be asked again on another
    /// connection (RFC 9113 §6.8), once.
    Unheard,
    /// Anything else, in words.
    #[expect(dead_code, reason = "shown as a whole")]
    Wrong(String),
}

impl From<h2::Error> for Failed {
    fn from(error: h2::Error) -> Self {
        // Requests that were looked at get their answer, or another error.
        let leaving = error.is_go_away() && error.is_remote();
        match error.reason() {
            Some(h2::Reason::NO_ERROR) if leaving => Self::Unheard,
            _ => Self::Wrong(format!("{error:?}")),
        }
    }
}

async fn ask(sender: &mut SendRequest<Bytes>, page: &Page, body: &str) -> Result<(), Failed> {
    let request = Request::get(format!("https://{}{}", page.host, page.path));
    let request = request.body(()).unwrap();
    let (answer, _) = sender.send_request(request, true)?;
    let answer = answer.await?;
    let (status, mut incoming) = (answer.status(), answer.into_body());
    let mut got = Vec::new();
    while let Some(bytes) = incoming.data().await {
        let bytes = bytes.map_err(|e| Failed::Wrong(format!("{e:?}")))?;
        drop(incoming.flow_control().release_capacity(bytes.len()));
        got.extend_from_slice(&bytes);
    }
    if status == 200 && got == body.as_bytes() {
        return Ok(());
    }
    Err(Failed::Wrong(format!("{status}, {} bytes", got.len())))
}

/// Downloads a large object of `size` bytes of the pattern again and again, slower than it could come.
pub(super) async fn in_slices(
    to: SocketAddr,
    (page, size): (Page, u64),
    (count, over): (Arc<Count>, Arc<AtomicBool>),
) {
    while !over.load(Ordering::Relaxed) {
        let came = download(to, &page, size).await;
        count.note(came.map_err(|error| format!("in slices: {error}")));
    }
}

async fn download(to: SocketAddr, page: &Page, size: u64) -> Result<(), String> {
    let mut download = Ask::of(to, page).try_open().await?;
    let mut next = PIECE;
    while download.received < size {
        let at = download.received;
        let Some(bytes) = download.next().await? else {
            return Err(format!("ended after {at}"));
        };
        if !harness::pattern::matches(at, &bytes) {
            return Err(format!("other bytes after {at}"));
        }
        if download.received >= next {
            next += PIECE;
            pause(REST).await;
        }
    }
    match download.next().await? {
        None => Ok(()),
        Some(_) => Err(format!("more than {size} bytes")),
    }
}
