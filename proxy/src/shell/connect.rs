//! A connection to an origin: resolve, check the very address, connect, TLS. Every wait has a
//! deadline.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustls::ClientConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::reload::Blocked;
use super::resolve::Resolver;
use crate::engine::http::key::{PrimaryKey, Scheme};
use crate::engine::policy::Policy;
use crate::engine::reason::FailReason;

/// For a connection to a peer: one that takes longer is of no more use than the origin. One lost
/// SYN is sent again in that time.
const PEER_WITHIN: Duration = Duration::from_millis(1_500);

/// Before the next address of an origin is tried beside the one before (RFC 8305 §8 recommends it).
const NEXT_AFTER: Duration = Duration::from_millis(250);

/// Opens connections to origins.
pub(crate) struct Connector {
    resolver: Resolver,
    policy: Policy,
    blocked: Blocked,
    tls: TlsConnector,
    connect_timeout: Duration,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A plain or TLS connection.
#[derive(Debug)]
pub(crate) enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP; boxed, for its state is large.
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Connector {
    pub(crate) fn new(
        resolver: Resolver,
        (policy, blocked): (Policy, Blocked),
        tls: TlsConnector,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            resolver,
            policy,
            blocked,
            tls,
            connect_timeout,
        }
    }

    /// A new connection to the origin of `key`.
    pub(crate) async fn origin(&self, key: &PrimaryKey) -> Result<Stream, FailReason> {
        let addresses = self.resolver.addresses(key.host()).await?;
        let tcp = self.first_of(&addresses, key.port()).await?;
        match key.scheme() {
            Scheme::Http => Ok(Stream::Plain(tcp)),
            Scheme::Https => self.handshake(tcp, key.host()).await,
        }
    }

    /// A new connection to a peer of the network.
    pub(crate) async fn peer(&self, addr: SocketAddr) -> Result<Stream, FailReason> {
        let within = self.connect_timeout.min(PEER_WITHIN);
        tcp(addr, within).await.map(Stream::Plain)
    }

    /// The first of `addresses` that is allowed and connects.
    async fn first_of(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, FailReason> {
        let mut refused = FailReason::DnsName;
        let mut allowed = Vec::with_capacity(addresses.len());
        for addr in addresses.iter().map(|ip| SocketAddr::new(*ip, port)) {
            if let Err(refusal) = self.policy.check(addr) {
                refused = FailReason::Address(refusal);
            } else if self.blocked.list().has_address(addr.ip()) {
                refused = FailReason::Blocked;
            } else {
                allowed.push(addr);
            }
        }
        let opened = match allowed.as_slice() {
            [] => Err(refused),
            [only] => tcp(*only, self.connect_timeout).await,
            several => first_to_connect(several, self.connect_timeout).await,
        }?;
        let ends = opened
            .local_addr()
            .and_then(|local| Ok((local, opened.peer_addr()?)));
        let (local, peer) = ends.map_err(|_| FailReason::ConnectError)?;
        let led = self.policy.check_opened(local, peer);
        led.map(|()| opened).map_err(FailReason::Address)
    }

    async fn handshake(&self, tcp: TcpStream, host: &str) -> Result<Stream, FailReason> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| FailReason::Certificate)?;
        match timeout(self.connect_timeout, self.tls.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => Err(tls_reason(&error)),
            Err(_) => Err(FailReason::ConnectTimeout),
        }
    }
}

fn tls_reason(error: &io::Error) -> FailReason {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_)) => FailReason::Certificate,
        _ => FailReason::Tls,
    }
}

/// The first of an origin's addresses that connects. Each is given a moment before the next is tried
/// beside it (RFC 8305 §5): half of them may be of a protocol that leads nowhere.
pub(super) async fn first_to_connect(
    addresses: &[SocketAddr],
    within: Duration,
) -> Result<TcpStream, FailReason> {
    let mut failure = FailReason::DnsName;
    let mut tries = JoinSet::new();
    let mut left = addresses.iter();
    loop {
        let more = left.next().map(|addr| tries.spawn(tcp(*addr, within)));
        let moment = if more.is_some() { NEXT_AFTER } else { within };
        match timeout(moment, tries.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            // Another address would need a socket as well.
            Ok(Some(Ok(Err(FailReason::NoSockets)))) => return Err(FailReason::NoSockets),
            Ok(Some(Ok(Err(reason)))) => failure = reason,
            Ok(Some(Err(_))) => failure = FailReason::ConnectError,
            Ok(None) => return Err(failure),
            Err(_) => {}
        }
    }
}

async fn tcp(addr: SocketAddr, within: Duration) -> Result<TcpStream, FailReason> {
    match timeout(within, TcpStream::connect(addr)).await {
        Ok(Ok(stream)) => {
            // Requests and chunks go out at once; failing to say so only costs time.
            drop(stream.set_nodelay(true));
            Ok(stream)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(FailReason::ConnectRefused)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            Err(FailReason::ConnectTimeout)
        }
        Ok(Err(error)) if is_out_of_sockets(&error) => Err(FailReason::NoSockets),
        Ok(Err(_)) => Err(FailReason::ConnectError),
        Err(_) => Err(FailReason::ConnectTimeout),
    }
}

/// Whether this machine lacks what a connection needs: descriptors, memory or ports.
pub(super) fn is_out_of_sockets(error: &io::Error) -> bool {
    let lacks = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::NOMEM,
        Errno::ADDRNOTAVAIL,
    ];
    Errno::from_io_error(error).is_some_and(|errno| lacks.contains(&errno))
}

/// TLS towards origins: the system's roots and those in the PEM text `extra`.
pub(crate) fn tls(extra: Option<&[u8]>) -> Result<TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    for certificate in extra.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate = certificate.map_err(|error| format!("not PEM: {error:?}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("not a usable root: {error}"))?;
    }
    if roots.is_empty() {
        tracing::warn!("no trusted certificates on this system: HTTPS origins cannot be fetched");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
