//! What a proxy has in memory, by the system's account and by its own, and many small pages to fill it
//! with: of an origin whose heads are those that nginx sends with a static file.

use std::net::SocketAddr;
use std::ops::Range;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::Proxy;
use crate::origin::coralised;
use crate::place::{Place, Port, host};

/// What a proxy has.
#[derive(Clone, Copy, Debug)]
pub struct Has {
    /// URLs that it keeps.
    pub objects: u64,
    /// Bytes resident (`VmRSS`).
    pub resident: u64,
    /// Bytes that it says it uses for what it keeps.
    pub accounted: u64,
}

impl Has {
    /// What `proxy` has now.
    pub async fn now(proxy: &Proxy) -> Self {
        Self {
            objects: proxy.metric("atoll_proxy_objects").await,
            resident: resident(proxy.daemon.pid()),
            accounted: proxy.metric("atoll_proxy_store_memory_bytes").await,
        }
    }
}

/// What a process has resident, in bytes.
///
/// # Panics
/// There is no such process.
#[must_use]
pub fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.unwrap().trim().trim_end_matches(" kB");
    text.parse::<u64>().unwrap() * 1_024
}

/// A web server that answers every request with a page of so many bytes.
pub async fn pages(place: &Place, bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind(place.at(host::ORIGIN, Port::Web));
    let listener = listener.await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, bytes));
        }
    });
    at
}

async fn serve(stream: TcpStream, bytes: usize) {
    let body = vec![b'x'; bytes];
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut n = 0_u64;
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.is_empty() {
            continue;
        }
        n += 1;
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\nDate: Sat, 21 Nov 2026 20:00:00 GMT\r\n\
             Content-Type: text/html\r\nContent-Length: {bytes}\r\n\
             Last-Modified: Sat, 14 Nov 2026 08:12:31 GMT\r\nConnection: keep-alive\r\n\
             ETag: \"6736b0df-{n:x}\"\r\nExpires: Sun, 22 Nov 2026 20:00:00 GMT\r\n\
             Cache-Control: max-age=86400\r\nAccept-Ranges: bytes\r\n\r\n",
        );
        let answer = [head.as_bytes(), &body].concat();
        if write.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Asks `proxy` for the pages of these numbers, one after another on one connection, with these lines
/// besides.
///
/// # Panics
/// It answers with something else than a page.
pub async fn fetch(proxy: &Proxy, origin: SocketAddr, pages: Range<usize>, more: &str) {
    let stream = TcpStream::connect(proxy.http).await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let host = coralised(origin);
    for n in pages {
        let ask = format!(
            "GET /articles/2026/11/page-{n:07}.html HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
        );
        write.write_all(ask.as_bytes()).await.unwrap();
        let (mut length, mut line, mut first) = (0, String::new(), String::new());
        while line != "\r\n" {
            line.clear();
            assert!(read.read_line(&mut line).await.unwrap() > 0, "it was cut");
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        assert!(first.starts_with("HTTP/1.1 200"), "{first}");
        let mut body = vec![0; length];
        read.read_exact(&mut body).await.unwrap();
    }
}
