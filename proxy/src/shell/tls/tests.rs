//! Certificates on disk and handshakes over a pipe.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::TlsConnector;

use super::load::BadCertificate;
use super::*;
use crate::engine::certificates::Pair;
use crate::shell::line::FromFile as _;

const TERMS: Terms = Terms {
    within: Duration::from_secs(10),
    most: 2,
    minimum: Version::Tls12,
    http2: true,
};

/// Writes a self-signed certificate for `names` to `dir/stem.crt` and `dir/stem.key`.
fn write(dir: &Path, stem: &str, names: &[&str]) -> Pair {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.self_signed(&key).unwrap();
    let pair = Pair {
        chain: dir.join(format!("{stem}.crt")),
        key: dir.join(format!("{stem}.key")),
    };
    fs::write(&pair.chain, certificate.pem()).unwrap();
    write_key(&pair.key, &key.serialize_pem());
    pair
}

fn write_key(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn held(dir: &Path) -> Result<Held, BadCertificate> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Held::read(vec![Source::Path(dir.to_owned())], provider)
}

fn covers(held: &Held, name: &str) -> bool {
    held.shown(Some(name)).names.cover(name)
}

#[test]
fn a_directory_holds_certificates_in_both_layouts() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &["*.nyud.test"]);
    let live = dir.path().join("status.nyud.test");
    fs::create_dir(&live).unwrap();
    let pair = write(&live, "x", &["status.nyud.test"]);
    fs::rename(pair.chain, live.join("fullchain.pem")).unwrap();
    fs::rename(pair.key, live.join("privkey.pem")).unwrap();
    fs::write(dir.path().join("README"), "words").unwrap();
    let held = held(dir.path()).unwrap();
    assert!(covers(&held, "example-com.nyud.test"));
    let status = held.shown(Some("status.nyud.test")).names;
    assert!(status.cover("status.nyud.test") && !status.cover("www.nyud.test"));
    assert!(held.shown(None).names.cover("www.nyud.test"), "the first");
}

#[test]
fn says_what_is_wrong_with_files() {
    let dir = tempfile::tempdir().unwrap();
    let read = || held(dir.path()).unwrap_err();
    assert!(matches!(read(), BadCertificate::EmptyDirectory(_)));
    let pair = write(dir.path(), "a", &["*.nyud.test"]);
    fs::set_permissions(&pair.key, Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(read(), BadCertificate::Mode(_, 0o640)));
    assert!(read().to_string().contains("chmod 600"));
    write_key(&pair.key, "words");
    assert!(matches!(read(), BadCertificate::NoKey(_)));
    write_key(&pair.key, &KeyPair::generate().unwrap().serialize_pem());
    assert!(matches!(read(), BadCertificate::Unusable { .. }));
    fs::write(&pair.chain, "words").unwrap();
    assert!(matches!(read(), BadCertificate::NoCertificate(_)));
    write(dir.path(), "a", &[]);
    assert!(matches!(read(), BadCertificate::NoNames(_)));
}

#[test]
fn a_bad_certificate_keeps_its_last_good_one_and_holds_up_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let a = write(dir.path(), "a", &["a.nyud.test"]);
    write(dir.path(), "b", &["b.nyud.test"]);
    let held = held(dir.path()).unwrap();
    assert!(held.look(false).is_none(), "nothing is new");
    let before = held.shown(Some("a.nyud.test"));

    fs::write(&a.chain, "words, and other ones").unwrap();
    write(dir.path(), "b", &["b.nyud.test", "more.nyud.test"]);
    let renewed = held.look(false).unwrap();
    assert_eq!((renewed.held, renewed.mistakes.len()), (2, 1));
    assert!(covers(&held, "a.nyud.test") && covers(&held, "more.nyud.test"));
    let after = held.shown(Some("a.nyud.test"));
    assert!(Arc::ptr_eq(&before.names, &after.names));
    assert!(held.look(false).is_none(), "said once");

    write(dir.path(), "a", &["other.nyud.test"]);
    assert!(held.look(false).unwrap().mistakes.is_empty());
    assert!(covers(&held, "other.nyud.test") && !covers(&held, "a.nyud.test"));

    fs::remove_dir_all(dir.path()).unwrap();
    let gone = held.look(false).unwrap();
    assert_eq!((gone.held, gone.mistakes.len()), (2, 1), "all are kept");
    assert!(held.look(false).is_none());
    assert_eq!(held.look(true).unwrap().mistakes.len(), 1, "asked again");
}

/// A server, and a client that trusts it.
fn ends(terms: Terms, protocols: &[&[u8]]) -> (Arc<Secure>, TlsConnector, tempfile::TempDir) {
    ends_with(terms, protocols, aws_lc_rs::default_provider())
}

/// The same with a client that has this `provider`.
fn ends_with(
    terms: Terms,
    protocols: &[&[u8]],
    provider: CryptoProvider,
) -> (Arc<Secure>, TlsConnector, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let pair = write(dir.path(), "a", &["*.nyud.test"]);
    let sources = vec![Source::Path(dir.path().to_owned())];
    let secure = Secure::new(sources, terms).unwrap();
    let mut roots = RootCertStore::empty();
    use rustls::pki_types::pem::PemObject as _;
    let root = rustls::pki_types::CertificateDer::from_pem_file(&pair.chain).unwrap();
    roots.add(root).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    (Arc::new(secure), TlsConnector::from(Arc::new(config)), dir)
}

async fn meet(
    secure: &Secure,
    connector: &TlsConnector,
) -> Result<Accepted<DuplexStream>, HandshakeEnd> {
    let (ours, theirs) = duplex(64 << 10);
    let name = ServerName::try_from("example-com.nyud.test").unwrap();
    let client = async {
        let mut stream = connector.connect(name, theirs).await?;
        // Tickets come behind the handshake.
        let mut byte = [0];
        stream.read_exact(&mut byte).await
    };
    let server = async {
        let mut accepted = secure.accept(ours).await?;
        accepted.stream.write_all(b"x").await.unwrap();
        accepted.stream.flush().await.unwrap();
        Ok(accepted)
    };
    tokio::join!(client, server).1
}

#[tokio::test]
async fn a_client_is_known_again_by_its_ticket_and_chooses_http2() {
    let (secure, connector, _dir) = ends(TERMS, &[HTTP1, HTTP2]);
    let first = meet(&secure, &connector).await.unwrap();
    assert_eq!(first.end, HandshakeEnd::Full);
    assert!(first.is_http2(), "what we prefer");
    assert_eq!(first.shown.asked.as_deref(), Some("example-com.nyud.test"));
    let second = meet(&secure, &connector).await.unwrap();
    assert_eq!(second.end, HandshakeEnd::Resumed);
    assert!(second.shown.admits("other-org.nyud.test"));

    let (secure, connector, _dir) = ends(TERMS, &[]);
    assert!(!meet(&secure, &connector).await.unwrap().is_http2());
    let (secure, connector, _dir) = ends(TERMS, &[b"spdy/1"]);
    let other = meet(&secure, &connector).await.unwrap_err();
    assert_eq!(other, HandshakeEnd::OtherProtocol);
}

#[tokio::test]
async fn the_suite_is_the_cheapest_that_the_client_knows_unless_it_likes_chacha_best() {
    use CipherSuite as C;
    for (spoken, first, taken) in [
        (
            &TLS13,
            C::TLS13_AES_256_GCM_SHA384,
            C::TLS13_AES_128_GCM_SHA256,
        ),
        (
            &TLS13,
            C::TLS13_CHACHA20_POLY1305_SHA256,
            C::TLS13_CHACHA20_POLY1305_SHA256,
        ),
        (
            &TLS12,
            C::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            C::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ),
        (
            &TLS12,
            C::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            C::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ),
    ] {
        let mut provider = aws_lc_rs::default_provider();
        let suites = &mut provider.cipher_suites;
        suites.retain(|suite| suite.version() == spoken);
        suites.sort_by_key(|suite| suite.suite() != first);
        let (secure, connector, _dir) = ends_with(TERMS, &[], provider);
        let met = meet(&secure, &connector).await.unwrap();
        let suite = met.stream.get_ref().1.negotiated_cipher_suite();
        assert_eq!(suite.map(|suite| suite.suite()), Some(taken), "{first:?}");
    }
}

#[tokio::test]
async fn a_body_goes_from_its_file_whole_through_any_pipe() {
    let page: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let file = tempfile::tempfile().unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &page, 0).unwrap();
    for pipe in [1 << 20, 5_000] {
        let (secure, connector, _dir) = ends(TERMS, &[]);
        let (ours, theirs) = duplex(pipe);
        let name = ServerName::try_from("example-com.nyud.test").unwrap();
        let client = async {
            let mut stream = connector.connect(name, theirs).await.unwrap();
            let mut got = vec![0; page.len() - 10];
            stream.read_exact(&mut got).await.unwrap();
            got
        };
        let server = async {
            let mut stream = secure.accept(ours).await.unwrap().stream;
            assert!(!stream.spares_a_copy());
            let mut at = 10;
            while at < page.len() {
                let (from, most) = (at as u64, page.len() - at);
                let sent =
                    std::future::poll_fn(|cx| stream.poll_send_file(cx, &file, from, most)).await;
                at += sent.unwrap();
            }
            let beyond = std::future::poll_fn(|cx| stream.poll_send_file(cx, &file, 300_000, 9));
            assert_eq!(beyond.await.unwrap(), 0, "the file is shorter");
            stream
        };
        let (got, _stream) = tokio::join!(client, server);
        assert!(got == page[10..], "{pipe}");
    }
}

#[tokio::test]
async fn handshakes_are_bounded_in_time_and_number() {
    let terms = Terms {
        within: Duration::from_millis(200),
        ..TERMS
    };
    let (secure, _, _dir) = ends(terms, &[]);
    let silent = async || {
        let (ours, _theirs) = duplex(1_024);
        secure.accept(ours).await.unwrap_err()
    };
    let ends = tokio::join!(silent(), silent(), silent());
    assert_eq!(ends.2, HandshakeEnd::TooMany);
    assert_eq!(
        (ends.0, ends.1),
        (HandshakeEnd::TimedOut, HandshakeEnd::TimedOut)
    );
    assert_eq!(
        silent().await,
        HandshakeEnd::TimedOut,
        "there is room again"
    );
}

#[tokio::test]
async fn what_is_no_tls_is_told_from_who_leaves() {
    let (secure, _, _dir) = ends(TERMS, &[]);
    for (sent, want) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], HandshakeEnd::NotTls),
        (b"", HandshakeEnd::Left),
        // A heartbeat that asks for more than it gives.
        (&[24, 3, 3, 0, 3, 1, 64, 0], HandshakeEnd::NotTls),
        // Data before any keys.
        (&[23, 3, 3, 0, 1, 0], HandshakeEnd::Misbehaved),
        (ALERT, HandshakeEnd::Alert),
    ] {
        let (ours, mut theirs) = duplex(1_024);
        theirs.write_all(sent).await.unwrap();
        theirs.shutdown().await.unwrap();
        assert_eq!(secure.accept(ours).await.unwrap_err(), want, "{sent:?}");
    }
}

#[tokio::test]
async fn the_name_is_read_from_the_first_words() {
    let (_, connector, _dir) = ends(TERMS, &[HTTP2]);
    let (mut ours, theirs) = duplex(64 << 10);
    let name = ServerName::try_from("example-com.nyud.test").unwrap();
    let mut sent = vec![0; 8 << 10];
    let read = tokio::select! {
        read = ours.read(&mut sent) => read.unwrap(),
        _ = connector.connect(name, theirs) => panic!("nobody answered"),
    };
    assert_eq!(
        asked_name(&sent[..read]).as_deref(),
        Some("example-com.nyud.test")
    );
    assert_eq!(asked_name(&sent[..read / 2]), None, "not all there");
    assert_eq!(asked_name(b"GET / HTTP/1.1\r\n\r\n"), None);
    assert_eq!(asked_name(b""), None);
}
