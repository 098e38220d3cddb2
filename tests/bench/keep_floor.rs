//! A cache that does no more than it must: reads a head, looks its path up, fetches what is not there over a
//! kept connection, hashes it, keeps it in memory and on disk, and answers.
//!
//! On the runtime and with the hash that the proxy has, so it is what nobody gets below who is made from
//! these. No freshness, no limits, no sharing of a fetch, no validation; its clients and its origin are well
//! behaved, and whatever else they send ends the connection.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Bytes of bodies that are kept in memory, as many as the proxy does by itself.
const MEMORY: usize = 256 << 20;

/// How long what is to be written waits for more, as at the proxy.
const GATHERED: Duration = Duration::from_millis(5);

/// Pages of 4 KiB that are written together: as many bytes as at the proxy.
const BATCH: usize = 256;

/// Bytes read at a time.
const READ: usize = 8 << 10;

/// Arguments of `bench keep-floor`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FloorArgs {
    /// Where to listen
    listen: SocketAddr,
    /// Whom to ask for what is not here
    origin: SocketAddr,
    /// What is kept is written there
    file: PathBuf,
}

/// A page: its head with the empty line, its body, and the body's hash.
struct Page {
    head: Bytes,
    body: Bytes,
    digest: [u8; 32],
}

#[derive(Default)]
struct Kept {
    pages: HashMap<String, Arc<Page>>,
    order: VecDeque<String>,
    bytes: usize,
}

struct Floor {
    origin: SocketAddr,
    kept: Mutex<Kept>,
    idle: Mutex<Vec<TcpStream>>,
    disk: Sender<Arc<Page>>,
}

/// Serves until it is killed.
pub(crate) fn run(args: &FloorArgs) {
    let (disk, pages) = channel();
    let file = File::create(&args.file).unwrap();
    thread::spawn(move || write(file, &pages));
    let floor = Arc::new(Floor {
        origin: args.origin,
        kept: Mutex::default(),
        idle: Mutex::default(),
        disk,
    });
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let listen = args.listen;
    runtime
        .block_on(runtime.spawn(async move {
            let listener = TcpListener::bind(listen).await.unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                let floor = Arc::clone(&floor);
                tokio::spawn(async move {
                    // Whatever ends a connection ends it.
                    drop(serve(&floor, stream).await);
                });
            }
        }))
        .unwrap();
}

/// Writes what comes together together.
fn write(mut file: File, pages: &Receiver<Arc<Page>>) {
    while let Ok(first) = pages.recv() {
        let mut together = vec![first];
        while together.len() < BATCH
            && let Ok(page) = pages.recv_timeout(GATHERED)
        {
            together.push(page);
        }
        for page in together {
            let pieces = [&page.digest[..], &page.head, &page.body].map(IoSlice::new);
            drop(file.write_vectored(&pieces));
        }
    }
}

async fn serve(floor: &Floor, mut stream: TcpStream) -> io::Result<()> {
    let mut held = Vec::with_capacity(READ);
    loop {
        let Some(end) = end_of_head(&held) else {
            if stream.read_buf(&mut held).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = str::from_utf8(&held[..end]).map_err(io::Error::other)?;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let found = floor.kept.lock().unwrap().pages.get(path).cloned();
        let page = match found {
            Some(page) => page,
            None => floor.fetch(path).await?,
        };
        let last = head.contains("Connection: close");
        send(&mut stream, &page).await?;
        if last {
            return Ok(());
        }
        held.drain(..end);
    }
}

async fn send(stream: &mut TcpStream, page: &Page) -> io::Result<()> {
    let both = [IoSlice::new(&page.head), IoSlice::new(&page.body)];
    let sent = stream.write_vectored(&both).await?;
    if sent < page.head.len() {
        stream.write_all(&page.head[sent..]).await?;
    }
    let gone = sent.saturating_sub(page.head.len());
    stream.write_all(&page.body[gone..]).await
}

impl Floor {
    async fn fetch(&self, path: &str) -> io::Result<Arc<Page>> {
        let idle = self.idle.lock().unwrap().pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => TcpStream::connect(self.origin).await?,
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.origin);
        stream.write_all(request.as_bytes()).await?;
        let mut read = Vec::with_capacity(READ);
        let head = loop {
            if let Some(end) = end_of_head(&read) {
                break end;
            }
            more(&mut stream, &mut read).await?;
        };
        let whole = head + length(&read[..head])?;
        while read.len() < whole {
            more(&mut stream, &mut read).await?;
        }
        self.idle.lock().unwrap().push(stream);
        let body = Bytes::copy_from_slice(&read[head..whole]);
        let page = Arc::new(Page {
            head: Bytes::copy_from_slice(&read[..head]),
            digest: *blake3::hash(&body).as_bytes(),
            body,
        });
        self.kept.lock().unwrap().keep(path, &page);
        drop(self.disk.send(Arc::clone(&page)));
        Ok(page)
    }
}

impl Kept {
    fn keep(&mut self, path: &str, page: &Arc<Page>) {
        self.bytes += page.body.len();
        self.order.push_back(path.to_owned());
        self.pages.insert(path.to_owned(), Arc::clone(page));
        while self.bytes > MEMORY {
            let oldest = self.order.pop_front();
            let Some(gone) = oldest.and_then(|path| self.pages.remove(&path)) else {
                return;
            };
            self.bytes -= gone.body.len();
        }
    }
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(read).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    at.map(|at| at + 4)
}

fn length(head: &[u8]) -> io::Result<usize> {
    let head = str::from_utf8(head).map_err(io::Error::other)?;
    let field = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let length = field.and_then(|length| length.trim().parse().ok());
    length.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
