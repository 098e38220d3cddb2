//! Servers over TLS with nothing of ours in them: epoll and rustls for HTTP/1.1, h2 on top of that for
//! HTTP/2; no parsing beyond the path, no cache, no limits.
//!
//! What they cost nobody gets below who uses the same libraries. They are set up as the proxy is: the same
//! suites in the same order, the same tickets.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use harness::pattern;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{CipherSuite, ServerConfig, ServerConnection};

use super::http_floor::PAGES;
use super::tls_floor_h2;

const LISTENER: Token = Token(0);

/// What rustls reads at a time at least: less than that was all there was.
const READ: usize = 4 << 10;

/// Arguments of `bench tls-floor`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FloorArgs {
    /// Where to listen
    listen: SocketAddr,
    /// The file of its certificate
    chain: PathBuf,
    /// The file of its key
    key: PathBuf,
    /// Speak HTTP/2
    #[arg(long)]
    http2: bool,
}

/// Serves until it is killed.
pub(crate) fn run(args: &FloorArgs) {
    let config = config(args);
    if args.http2 {
        return tls_floor_h2::run(args.listen, config);
    }
    let pages = PAGES.map(|(path, length)| (path, page(length)));
    let mut poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(args.listen).unwrap();
    let (read, both) = (Interest::READABLE, Interest::READABLE | Interest::WRITABLE);
    let registry = poll.registry().try_clone().unwrap();
    registry.register(&mut listener, LISTENER, read).unwrap();
    let (mut clients, mut next, mut events) = (HashMap::new(), 0, Events::with_capacity(1_024));
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            if let Some(client) = clients.get_mut(&event.token()) {
                if !turn(client, &pages).unwrap_or(false) {
                    clients.remove(&event.token());
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                next += 1;
                drop(stream.set_nodelay(true));
                registry.register(&mut stream, Token(next), both).unwrap();
                let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
                let owed = None;
                clients.insert(Token(next), Client { stream, tls, owed });
            }
        }
    }
}

/// As the proxy has it.
fn config(args: &FloorArgs) -> Arc<ServerConfig> {
    let mut provider = aws_lc_rs::default_provider();
    let dear = |suite: CipherSuite| !format!("{suite:?}").contains("AES_128");
    provider
        .cipher_suites
        .sort_by_key(|suite| dear(suite.suite()));
    let chain = CertificateDer::from_pem_file(&args.chain).unwrap();
    let key = PrivateKeyDer::from_pem_file(&args.key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    config.ignore_client_order = true;
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    let spoken: &[u8] = if args.http2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![spoken.to_vec()];
    Arc::new(config)
}

/// Head and body in one piece.
fn page(length: u64) -> Vec<u8> {
    let mut page = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: max-age=3600\r\n\
         ETag: \"{length}\"\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    page.extend_from_slice(&pattern::whole(0..length));
    page
}

struct Client {
    stream: TcpStream,
    tls: ServerConnection,
    owed: Option<Owed>,
}

/// An answer on its way.
struct Owed {
    page: usize,
    gone: usize,
    last: bool,
}

/// Sends what is owed, and reads until there is nothing left. Whether the connection goes on.
fn turn(client: &mut Client, pages: &[(&str, Vec<u8>)]) -> io::Result<bool> {
    let mut short = false;
    loop {
        while client.tls.wants_write() {
            match client.tls.write_tls(&mut client.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                written => written?,
            };
        }
        if let Some(owed) = &mut client.owed {
            let rest = &pages[owed.page].1[owed.gone..];
            if !rest.is_empty() {
                owed.gone += client.tls.writer().write(rest)?;
                continue;
            }
            if owed.last {
                client.tls.send_close_notify();
                drop(client.tls.write_tls(&mut client.stream));
                return Ok(false);
            }
            client.owed = None;
        }
        if short {
            return Ok(true);
        }
        match client.tls.read_tls(&mut client.stream) {
            Ok(0) => return Ok(false),
            Ok(read) => short = read < READ,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
        let state = client.tls.process_new_packets();
        let come = state.map_err(io::Error::other)?.plaintext_bytes_to_read();
        if come > 0 {
            let mut request = [0; READ];
            let read = client.tls.reader().read(&mut request)?;
            client.owed = Some(asked(&request[..read], pages));
        }
    }
}

/// What a whole request asks for; its clients send one at a time.
fn asked(request: &[u8], pages: &[(&str, Vec<u8>)]) -> Owed {
    let path = request.get(4..).unwrap_or_default();
    let page = pages
        .iter()
        .position(|(page, _)| path.starts_with(page.as_bytes()));
    let close = b"Connection: close";
    Owed {
        page: page.unwrap_or(0),
        gone: 0,
        last: request.windows(close.len()).any(|field| field == close),
    }
}
