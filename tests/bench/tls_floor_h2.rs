//! HTTP/2 over TLS with h2, tokio and rustls alone: every request gets the same kibibyte.
//!
//! What came together is answered together, in one record, as the proxy does it: h2 by itself flushes
//! after every frame of data.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use harness::pattern;
use http::Response;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Fields of an answer: as many, and about as long, as the proxy's.
const FIELDS: [(&str, &str); 8] = [
    ("content-type", "text/plain"),
    ("cache-control", "max-age=3600"),
    ("etag", "\"1024\""),
    ("content-length", "1024"),
    ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("age", "7"),
    ("cache-status", "n1.nyud.net; hit; ttl=3593"),
    ("via", "1.1 n1.nyud.net (atoll/0.1.0)"),
];

/// Serves until it is killed.
pub(crate) fn run(listen: SocketAddr, config: Arc<ServerConfig>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let listener = TcpListener::bind(listen).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(stream.set_nodelay(true));
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    // Its clients leave when they have had enough.
                    drop(serve(stream).await);
                }
            });
        }
    });
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Result<(), h2::Error> {
    let held = Arc::new(AtomicBool::new(false));
    let stream = Gathered {
        inner: stream,
        held: Arc::clone(&held),
        out: Vec::new(),
    };
    let mut connection = h2::server::handshake(stream).await?;
    let body = Bytes::from(pattern::whole(0..1_024).to_vec());
    let mut answer = Response::new(());
    for (name, value) in FIELDS {
        let value = http::HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
    }
    poll_fn(|cx| {
        // First what came is taken, then what was answered goes.
        for hold in [true, false].into_iter().cycle() {
            held.store(hold, Ordering::Relaxed);
            let mut came = false;
            loop {
                match pin!(connection.accept()).poll(cx) {
                    Poll::Ready(Some(asked)) => {
                        let (_, mut respond) = asked?;
                        let mut send = respond.send_response(answer.clone(), false)?;
                        send.send_data(body.clone(), true)?;
                        came = true;
                    }
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => break,
                }
            }
            if !hold && !came {
                break;
            }
        }
        Poll::Pending
    })
    .await
}

/// Gathers what is written until it is let go.
struct Gathered<S> {
    inner: S,
    held: Arc<AtomicBool>,
    out: Vec<u8>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        pieces
            .iter()
            .for_each(|piece| self.out.extend_from_slice(piece));
        Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let this = &mut *self;
        while !this.out.is_empty() {
            let written = ready!(Pin::new(&mut this.inner).poll_write(cx, &this.out))?;
            this.out.drain(..written);
        }
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
