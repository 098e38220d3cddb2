//! Cheap proxies that serve nothing but the name server's check page, as many as wanted: real
//! sockets and real deaths without a process each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The answer of a proxy that is well.
const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\natoll-spare: 90\r\n\
    cache-control: no-store\r\ncontent-length: 8\r\nconnection: close\r\n\r\nok node\n";

/// How it dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Death {
    /// Its process is gone: connections are refused.
    Gone,
    /// It accepts connections and says nothing more.
    Hung,
    /// It answers every request with an error.
    Failing,
}

impl Death {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Gone, Self::Hung, Self::Failing];
}

/// See the module.
#[derive(Debug)]
pub struct CheckPage {
    /// Where it serves, or would.
    pub addr: SocketAddr,
    task: Option<JoinHandle<()>>,
    served: Arc<AtomicU64>,
}

impl CheckPage {
    /// One that is well.
    pub async fn start(addr: SocketAddr) -> Self {
        let mut page = Self {
            addr,
            task: None,
            served: Arc::default(),
        };
        page.revive().await;
        page
    }

    /// It dies at once: whoever is connected is cut off.
    pub async fn die(&mut self, death: Death) {
        self.end().await;
        let listener = match death {
            Death::Gone => return,
            Death::Hung | Death::Failing => TcpListener::bind(self.addr).await.unwrap(),
        };
        self.task = Some(tokio::spawn(async move {
            let mut hung = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if death == Death::Hung {
                    hung.push(stream);
                } else {
                    let error = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
                    drop(stream.write_all(error).await);
                }
            }
        }));
    }

    /// It is well again.
    pub async fn revive(&mut self) {
        self.end().await;
        let listener = TcpListener::bind(self.addr).await.unwrap();
        let served = Arc::clone(&self.served);
        self.task = Some(tokio::spawn(serve(listener, served)));
    }

    /// Pages served so far.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    async fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // The listener is gone when the task is.
            drop(task.await);
        }
    }
}

impl Drop for CheckPage {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Serves the page on `listener` until it is aborted.
async fn serve(listener: TcpListener, served: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        answer(stream).await;
        served.fetch_add(1, Ordering::Relaxed);
    }
}

/// Plays as many proxies as have their connections led to `listener`, each connection for itself.
pub async fn serve_all(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) {
    let mut request = [0; 1_024];
    // The request comes in one piece on loopback; a checker that sends nothing is cut off.
    let read = tokio::time::timeout(
        std::time::Duration::from_millis(200),
        stream.read(&mut request),
    );
    if matches!(read.await, Ok(Ok(1..))) {
        drop(stream.write_all(PAGE).await);
    }
}
