//! The query log: one line of JSON for each reply, written by a thread of its own.
//!
//! Whoever answers copies a question and hands it over; a queue that is full drops it, counted, and
//! nobody waits. Of the client only its network is kept (IPv4 /24, IPv6 /56), before it is queued.
//! A file that was renamed, as log rotation does, is begun anew within a second.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock, WallTime};
use common::netaddr::Prefix;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, RecordType};
use serde_json::json;
use tokio::sync::oneshot;

use crate::engine::inquiry::Transport;
use crate::engine::named::behind_name;

/// Replies that wait to be written; further ones are dropped. About two megabytes.
const QUEUE: usize = 16_384;

/// Bytes of a name as it comes (RFC 1035 §3.1).
const NAME_MAX: usize = 255;

/// Between two looks whether the file was renamed, and the longest that a line waits in memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A reply that is to be noted.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    at: WallTime,
    network: Prefix,
    transport: Transport,
    /// Name, type and class as they came.
    question: Box<[u8]>,
    code: u8,
    truncated: bool,
    answers: u16,
    bytes: usize,
}

/// The way to the log. Clones lead to the same one; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct QueryLog {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl QueryLog {
    /// Starts the thread that writes to `file`. Lines that are lost are added to `dropped`. The thread
    /// ends when all ways to the log are gone, and what is returned with it.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no thread to be had.
    pub fn start(
        file: PathBuf,
        dropped: Arc<AtomicU64>,
    ) -> io::Result<(Self, oneshot::Receiver<()>)> {
        let sink = Sink::open(file)?;
        let (queue, entries) = sync_channel(QUEUE);
        let (ended, end) = oneshot::channel::<()>();
        let lost = Arc::clone(&dropped);
        let write = move || {
            write_all(&entries, sink, &lost);
            drop(ended);
        };
        drop(
            thread::Builder::new()
                .name("query-log".to_owned())
                .spawn(write)?,
        );
        Ok((Self { queue, dropped }, end))
    }

    /// Notes that `reply` was made for `message`.
    pub fn note(
        &self,
        (at, from): (WallTime, IpAddr),
        transport: Transport,
        message: &[u8],
        reply: &[u8],
    ) {
        // Without a question there is nothing to say.
        let Some(entry) = entry((at, from), transport, message, reply) else {
            return;
        };
        if self.queue.try_send(entry).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn entry(
    (at, from): (WallTime, IpAddr),
    transport: Transport,
    message: &[u8],
    reply: &[u8],
) -> Option<Entry> {
    const HEADER: usize = 12;
    let end = behind_name(message, HEADER)? + 4;
    // Over TCP labels may go on for 64 KiB: that is no name, and so many would be a gigabyte of queue.
    if end > HEADER + NAME_MAX + 4 {
        return None;
    }
    let [_, _, high, low, _, _, most, least, ..] = *reply else {
        return None;
    };
    Some(Entry {
        at,
        network: Prefix::of(from),
        transport,
        question: message.get(HEADER..end)?.into(),
        code: low & 15,
        truncated: high & 2 != 0,
        answers: u16::from_be_bytes([most, least]),
        bytes: reply.len(),
    })
}

/// Writes entries until nobody can send any more.
fn write_all(entries: &Receiver<Entry>, mut sink: Sink, dropped: &AtomicU64) {
    let mut line = Vec::new();
    loop {
        match entries.recv_timeout(LOOK_EVERY) {
            Ok(entry) => {
                render(&entry, &mut line);
                if let Err(error) = sink.file.write_all(&line) {
                    dropped.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "the query log cannot be written");
                }
            }
            Err(RecvTimeoutError::Timeout) => sink.look(),
            Err(RecvTimeoutError::Disconnected) => return sink.look(),
        }
        sink.look_if_due();
    }
}

fn render(entry: &Entry, line: &mut Vec<u8>) {
    line.clear();
    let (name, rest) = presentation(&entry.question);
    let number = |at: usize| match rest.get(at..at + 2) {
        Some([high, low]) => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    let network = entry.network.network();
    let document = json!({
        "at": entry.at.unix(),
        "client": format!("{network}/{}", if network.is_ipv4() { 24 } else { 56 }),
        "transport": match entry.transport { Transport::Udp => "udp", Transport::Tcp => "tcp" },
        "name": name,
        "type": RecordType::from(number(0)).to_string(),
        "class": DNSClass::from(number(2)).to_string(),
        "code": ResponseCode::from(0, entry.code).to_string(),
        "truncated": entry.truncated,
        "answers": entry.answers,
        "bytes": entry.bytes,
    });
    line.extend_from_slice(document.to_string().as_bytes());
    line.push(b'\n');
}

/// The name at the beginning of `question` as RFC 1035 §5.1 writes it, and what follows it.
fn presentation(question: &[u8]) -> (String, &[u8]) {
    let (mut name, mut rest) = (String::new(), question);
    while let Some((length, behind)) = rest.split_first() {
        rest = behind;
        // What was taken for a name has no pointer in it, or the reply says that it was malformed.
        let Some((label, behind)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        if label.is_empty() {
            break;
        }
        for byte in label {
            match *byte {
                b'.' | b'\\' => name.extend(['\\', char::from(*byte)]),
                b'!'..=b'~' => name.push(char::from(*byte)),
                other => name.push_str(&format!("\\{other:03}")),
            }
        }
        name.push('.');
        rest = behind;
    }
    if name.is_empty() {
        name.push('.');
    }
    (name, rest)
}

/// The file.
#[derive(Debug)]
struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    clock: SystemClock,
    looked: Moment,
}

impl Sink {
    fn open(path: PathBuf) -> io::Result<Self> {
        let clock = SystemClock::new();
        Ok(Self {
            file: BufWriter::new(append(&path)?),
            path,
            looked: clock.moment(),
            clock,
        })
    }

    fn look_if_due(&mut self) {
        if self.clock.moment().since(self.looked) >= LOOK_EVERY {
            self.look();
        }
    }

    /// Hands lines over to the system, and begins the file anew if it was renamed.
    fn look(&mut self) {
        self.looked = self.clock.moment();
        if let Err(error) = self.file.flush() {
            tracing::warn!(%error, "the query log cannot be written");
        }
        let inode = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| found.ino());
        if inode(std::fs::metadata(&self.path)) != inode(self.file.get_ref().metadata()) {
            match append(&self.path) {
                Ok(file) => self.file = BufWriter::new(file),
                Err(error) => {
                    tracing::warn!(%error, "the query log cannot be begun anew: the old file goes on");
                }
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::Name;
    use serde_json::Value;

    use super::*;

    const AT: WallTime = WallTime::from_unix(1_000);

    fn message(kind: MessageType) -> Vec<u8> {
        let mut message = Message::new(1, kind, OpCode::Query);
        let name = Name::from_ascii("www.Example.com.nyud.test.").unwrap();
        message.add_query(Query::query(name, RecordType::AAAA));
        message.to_vec().unwrap()
    }

    fn note(log: &QueryLog) {
        let from = "192.0.2.77".parse().unwrap();
        let reply = message(MessageType::Response);
        let asked = message(MessageType::Query);
        log.note((AT, from), Transport::Udp, &asked, &reply);
    }

    #[test]
    fn more_labels_than_a_name_has_are_not_noted() {
        let from = "192.0.2.77".parse().unwrap();
        let reply = message(MessageType::Response);
        let asked = |labels: usize| {
            let head = &message(MessageType::Query)[..12];
            [head, &b"\x03abc".repeat(labels), &[0, 0, 1, 0, 1]].concat()
        };
        let noted = |labels| entry((AT, from), Transport::Tcp, &asked(labels), &reply).is_some();
        assert!(noted(63) && !noted(64) && !noted(10_000));
    }

    #[test]
    fn a_line_says_what_was_asked_and_of_the_client_its_network_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("queries");
        let dropped = Arc::new(AtomicU64::new(0));
        let (log, end) = QueryLog::start(path.clone(), Arc::clone(&dropped)).unwrap();
        note(&log);
        drop(log);
        drop(end.blocking_recv());
        let text = std::fs::read_to_string(&path).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["client"], "192.0.2.0/24");
        assert_eq!(line["name"], "www.Example.com.nyud.test.");
        assert_eq!(
            (&line["type"], &line["class"]),
            (&json!("AAAA"), &json!("IN"))
        );
        assert_eq!(line["at"], 1_000);
        assert!(!text.contains("192.0.2.77"));
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_queue_that_is_full_drops_and_counts() {
        let (queue, entries) = sync_channel(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let log = QueryLog {
            queue,
            dropped: Arc::clone(&dropped),
        };
        for _ in 0..5 {
            note(&log);
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        assert_eq!(entries.try_iter().count(), 2);
    }

    #[test]
    fn bytes_that_no_host_has_are_escaped() {
        assert_eq!(
            presentation(b"\x03a.\\\x02\x00~\x00rest"),
            ("a\\.\\\\.\\000~.".to_owned(), &b"rest"[..])
        );
        assert_eq!(presentation(b"\x00"), (".".to_owned(), &b""[..]));
        assert_eq!(presentation(b"\x05ab").0, ".");
    }
}
