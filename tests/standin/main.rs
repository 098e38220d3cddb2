//! A daemon that stands in for a proxy where a test needs a bad one: it takes a proxy's settings, answers
//! its pages as a proxy does, and fails as often as it is told to.
//!
//! Not a proxy: every page is the same. A thread for each connection, one request each. It takes its
//! predecessor's place as every daemon does: with the sockets that are handed to it, and saying that it serves.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use common::shell::inherited::Inherited;
use common::shell::supervisor::Supervisor;
use rustix::event::{PollFd, PollFlags, poll};

/// Longest wait for a request.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, Parser)]
struct Args {
    /// Answers 500 to so many of a hundred requests
    #[arg(long, default_value_t = 0)]
    fail_percent: u64,
    /// What every page is
    #[arg(long, default_value = "hello")]
    body: String,
    /// Never says that it is ready
    #[arg(long)]
    never_ready: bool,
    /// A proxy's setting; what is not known here is passed over
    #[arg(long)]
    set: Vec<String>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
}

fn main() {
    let args = Args::parse();
    let setting = |name: &str| {
        let mut values = args.set.iter().filter_map(|set| set.split_once('='));
        values
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let (mut inherited, supervisor) = (Inherited::from_env(), Supervisor::from_env());
    let counts = Arc::new(Counts::default());
    if let Some(addr) = setting("admin.listen") {
        let (counts, ready) = (Arc::clone(&counts), !args.never_ready);
        serve(&mut inherited, &addr, move |target| {
            page(target, ready, &counts)
        });
    }
    let fail_percent = args.fail_percent;
    if let Some(addr) = setting("http.listen") {
        serve(&mut inherited, &addr, move |_| {
            answer(fail_percent, &args.body, &counts)
        });
    }
    supervisor.ready();
    loop {
        thread::park();
    }
}

/// Every twentieth of a hundred, not five in a row.
fn answer(fail_percent: u64, body: &str, counts: &Counts) -> (u16, String) {
    let nth = counts.requests.fetch_add(1, Ordering::Relaxed);
    let (before, after) = (nth * fail_percent / 100, (nth + 1) * fail_percent / 100);
    if after > before {
        counts.failed.fetch_add(1, Ordering::Relaxed);
        return (500, "this release is broken\n".to_owned());
    }
    (200, body.to_owned())
}

fn page(target: &str, ready: bool, counts: &Counts) -> (u16, String) {
    match target {
        "/readyz" if ready => (200, "ready\n".to_owned()),
        "/readyz" => (503, "never\n".to_owned()),
        "/metrics" => {
            let failed = counts.failed.load(Ordering::Relaxed);
            let well = counts.requests.load(Ordering::Relaxed) - failed;
            let name = "atoll_proxy_requests_total";
            let text = format!(
                "{name}{{outcome=\"hit\"}} {well}\n{name}{{outcome=\"failed\"}} {failed}\n"
            );
            (200, text)
        }
        _ => (404, "nothing here\n".to_owned()),
    }
}

/// Serves at `addr`, on every socket that was handed over for it or on one of its own.
fn serve(
    inherited: &mut Inherited,
    addr: &str,
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) {
    let addr: SocketAddr = addr.parse().expect("an address and a port");
    let mut listeners: Vec<_> = std::iter::from_fn(|| inherited.tcp(addr)).collect();
    if listeners.is_empty() {
        listeners.push(TcpListener::bind(addr).expect("the address is free"));
    }
    let answer = Arc::new(answer);
    for listener in listeners {
        let answer = Arc::clone(&answer);
        thread::spawn(move || accept(&listener, &answer));
    }
}

fn accept<A>(listener: &TcpListener, answer: &Arc<A>)
where
    A: Fn(&str) -> (u16, String) + Send + Sync + 'static,
{
    loop {
        // The predecessor, which has it too, never waits in it: so it cannot be waited in here either.
        let mut readable = [PollFd::new(listener, PollFlags::IN)];
        let _ = poll(&mut readable, None);
        if let Ok((stream, _)) = listener.accept() {
            let answer = Arc::clone(answer);
            thread::spawn(move || drop(exchange(stream, &*answer)));
        }
    }
}

fn exchange(mut stream: TcpStream, answer: &dyn Fn(&str) -> (u16, String)) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut some = [0; 2_048];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut some)?;
        if read == 0 {
            return Ok(());
        }
        head.extend(some.iter().take(read));
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (status, body) = answer(target);
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} So\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
