//! TLS towards clients: the handshake with its deadline and its bound, and what came of it.
//!
//! rustls speaks TLS 1.3 and 1.2 with suites that keep past traffic secret, and nothing older; it
//! knows no renegotiation and no compression. Tickets are sealed with a key of this process that
//! changes every six hours and opens for twelve; what they say is only that somebody was here
//! before. Early data is not taken: it could be sent again by others.

mod ahead;
mod from_file;
mod held;
mod load;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ContentType, HandshakeKind, ServerConfig, SupportedCipherSuite};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) use self::ahead::Ahead;
pub(crate) use self::held::Held;
use crate::engine::certificates::{Shown, Source};
use crate::engine::handshake::{HandshakeEnd, Order, Terms, Version};

/// A fatal `internal_error` (RFC 8446 §6), as it stands on the wire before there are any keys: for
/// one who has to be sent away without a handshake.
pub(crate) const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 80];

/// The protocols offered (RFC 7301), the preferred one first.
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
const HTTP10: &[u8] = b"http/1.0";

/// See the module.
pub(crate) struct Secure {
    /// For those who get what is cheapest.
    ours: Arc<ServerConfig>,
    /// For those who get what they like best.
    clients: Arc<ServerConfig>,
    held: Arc<Held>,
    terms: Terms,
    under_way: Semaphore,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure")
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct Accepted<S> {
    pub(crate) stream: TlsStream<S>,
    pub(crate) shown: Shown,
    pub(crate) end: HandshakeEnd,
}

impl Secure {
    /// Reads the certificates of `sources`.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) fn new(sources: Vec<Source>, terms: Terms) -> Result<Self, String> {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(cost);
        let provider = Arc::new(provider);
        let held = Held::read(sources, Arc::clone(&provider)).map_err(|error| error.to_string())?;
        let held = Arc::new(held);
        let versions = match terms.minimum {
            Version::Tls12 => &[&TLS13, &TLS12][..],
            Version::Tls13 => &[&TLS13],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&held) as _);
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| error.to_string())?;
        // Who comes back brings a ticket; nothing is kept here for it.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let offered = [HTTP2]
            .into_iter()
            .filter(|_| terms.http2)
            .chain([HTTP1, HTTP10]);
        config.alpn_protocols = offered.map(<[u8]>::to_vec).collect();
        let clients = Arc::new(config.clone());
        config.ignore_client_order = true;
        Ok(Self {
            ours: Arc::new(config),
            clients,
            held,
            under_way: Semaphore::new(terms.most),
            terms,
        })
    }

    /// The certificates in force.
    pub(crate) const fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Shakes hands over `stream`.
    ///
    /// # Errors
    /// Why that came to nothing.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> Result<Accepted<S>, HandshakeEnd> {
        let Ok(_place) = self.under_way.try_acquire() else {
            return Err(HandshakeEnd::TooMany);
        };
        let shaken = timeout(self.terms.within, self.shake(stream));
        let stream = match shaken.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake failed");
                return Err(failed(&error));
            }
            Err(_) => return Err(HandshakeEnd::TimedOut),
        };
        let (_, session) = stream.get_ref();
        let end = match session.handshake_kind() {
            Some(HandshakeKind::Resumed) => HandshakeEnd::Resumed,
            _ => HandshakeEnd::Full,
        };
        let shown = self.held.shown(session.server_name());
        Ok(Accepted { stream, shown, end })
    }

    async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let offered = hello.cipher_suites().iter();
        let config = match Order::of(offered.map(|suite| u16::from(*suite))) {
            Order::Ours => &self.ours,
            Order::Clients => &self.clients,
        };
        start.into_stream(Arc::clone(config)).await
    }
}

/// What a suite costs beside the others, by rank. AES with 128 bits takes ten rounds where 256 take
/// fourteen, and its handshake hashes with SHA-256, for which processors have instructions.
fn cost(suite: &SupportedCipherSuite) -> u8 {
    use CipherSuite as C;
    match suite.suite() {
        C::TLS13_AES_128_GCM_SHA256
        | C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | C::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 0,
        C::TLS13_AES_256_GCM_SHA384
        | C::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | C::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => 1,
        _ => 2,
    }
}

impl<S> Accepted<S> {
    /// Whether the client chose HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.stream.get_ref().1.alpn_protocol() == Some(HTTP2)
    }
}

/// The name that a client asks for in what it sent first, if that is all there and says so.
pub(crate) fn asked_name(sent: &[u8]) -> Option<String> {
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut &*sent).ok()?;
    let accepted = acceptor.accept().ok()??;
    accepted.client_hello().server_name().map(str::to_owned)
}

/// What an error during a handshake was.
fn failed(error: &io::Error) -> HandshakeEnd {
    use rustls::Error as Tls;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        None if error.kind() == io::ErrorKind::TimedOut => HandshakeEnd::TimedOut,
        None => HandshakeEnd::Left,
        Some(Tls::InvalidMessage(_)) => HandshakeEnd::NotTls,
        Some(Tls::PeerIncompatible(_)) => HandshakeEnd::NothingInCommon,
        Some(Tls::NoApplicationProtocol) => HandshakeEnd::OtherProtocol,
        Some(Tls::AlertReceived(_)) => HandshakeEnd::Alert,
        // As its first word.
        Some(Tls::InappropriateMessage { got_type, .. }) if *got_type == ContentType::Alert => {
            HandshakeEnd::Alert
        }
        Some(_) => HandshakeEnd::Misbehaved,
    }
}
