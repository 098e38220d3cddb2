//! A server that does nothing: epoll, one read, one write, no parsing beyond the path, no cache.
//!
//! What it costs is the kernel's part, which nobody who serves over sockets gets below. The same program
//! is the origin of pages that are asked for once, since it is faster than whoever asks it.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::SocketAddr;

use harness::pattern;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

/// Pages by the beginning of their path. What begins with none of them is 4 KiB.
pub(crate) const PAGES: [(&str, u64); 3] =
    [("/1k", 1 << 10), ("/100k", 100 << 10), ("/10m", 10 << 20)];

/// Length of any other page.
pub(crate) const OTHER: u64 = 4 << 10;

const LISTENER: Token = Token(0);

/// Arguments of `bench http-floor`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FloorArgs {
    /// Where to listen
    listen: SocketAddr,
}

struct Page {
    path: &'static str,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Page {
    fn new(path: &'static str, length: u64) -> Self {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: max-age=3600\r\n\
             ETag: \"{length}\"\r\nContent-Length: {length}\r\n\r\n"
        );
        Self {
            path,
            head: head.into(),
            body: pattern::whole(0..length).to_vec(),
        }
    }
}

struct Client {
    stream: TcpStream,
    /// Answers still to be sent: which page, and how many of its bytes have gone.
    owed: Vec<(usize, usize)>,
}

/// Serves until it is killed.
pub(crate) fn run(args: &FloorArgs) {
    let pages: Vec<_> = PAGES
        .into_iter()
        .chain([("/", OTHER)])
        .map(|(path, length)| Page::new(path, length))
        .collect();
    let mut poll = Poll::new().unwrap();
    let mut listener = TcpListener::bind(args.listen).unwrap();
    let read = Interest::READABLE;
    poll.registry()
        .register(&mut listener, LISTENER, read)
        .unwrap();
    let (mut clients, mut next, mut events) = (HashMap::new(), 1, Events::with_capacity(1_024));
    loop {
        poll.poll(&mut events, None).unwrap();
        for event in &events {
            if event.token() != LISTENER {
                let Some(client) = clients.get_mut(&event.token()) else {
                    continue;
                };
                if !turn(client, &pages).unwrap_or(false) {
                    clients.remove(&event.token());
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                next += 1;
                drop(stream.set_nodelay(true));
                let both = Interest::READABLE | Interest::WRITABLE;
                poll.registry()
                    .register(&mut stream, Token(next), both)
                    .unwrap();
                clients.insert(
                    Token(next),
                    Client {
                        stream,
                        owed: Vec::new(),
                    },
                );
            }
        }
    }
}

/// Sends what is owed, and reads until there is nothing left. Whether the connection goes on.
fn turn(client: &mut Client, pages: &[Page]) -> io::Result<bool> {
    let mut buffer = [0; 16 << 10];
    loop {
        while let Some((page, gone)) = client.owed.first_mut() {
            let page = &pages[*page];
            let head = page.head.get(*gone..).unwrap_or_default();
            let body = page.body.get(gone.saturating_sub(page.head.len())..);
            let both = [IoSlice::new(head), IoSlice::new(body.unwrap_or_default())];
            match client.stream.write_vectored(&both) {
                Ok(more) => *gone += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
            if *gone == page.head.len() + page.body.len() {
                client.owed.remove(0);
            }
        }
        let read = match client.stream.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(read) => &buffer[..read],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        // Its clients send whole requests.
        let mut rest = read;
        while let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
            let path = rest.get(4..).unwrap_or_default();
            let page = pages
                .iter()
                .position(|page| path.starts_with(page.path.as_bytes()));
            client.owed.push((page.unwrap_or(pages.len() - 1), 0));
            rest = &rest[end + 4..];
        }
        // As others do: a short read was the last for now.
        if client.owed.is_empty() {
            return Ok(true);
        }
        if read.len() < buffer.len() && sent_all(client, pages)? {
            return Ok(true);
        }
    }
}

/// Sends all that is owed, if it goes out at once.
fn sent_all(client: &mut Client, pages: &[Page]) -> io::Result<bool> {
    while let Some((page, gone)) = client.owed.first().copied() {
        let page = &pages[page];
        if gone > 0 {
            return Ok(false);
        }
        let both = [IoSlice::new(&page.head), IoSlice::new(&page.body)];
        match client.stream.write_vectored(&both) {
            Ok(more) if more == page.head.len() + page.body.len() => drop(client.owed.remove(0)),
            Ok(more) => {
                client.owed[0].1 = more;
                return Ok(false);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
