//! The guard over a pipe: what the parser behind it gets to read.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::link::{HINTS_MAX, Word};
use super::*;
use crate::engine::head::fault::HeadFault;

/// Longer than any test.
const DEADLINES: Deadlines = Deadlines {
    idle: Duration::from_secs(60),
    head: Duration::from_secs(60),
};

/// Those that a test waits for.
const SHORT: Deadlines = Deadlines {
    idle: Duration::from_millis(300),
    head: Duration::from_millis(100),
};

fn guarded() -> (DuplexStream, Guard<DuplexStream>, Arc<Link>) {
    guarded_within(DEADLINES)
}

fn guarded_within(deadlines: Deadlines) -> (DuplexStream, Guard<DuplexStream>, Arc<Link>) {
    let (client, server) = duplex(1 << 20);
    let link = Arc::new(Link::default());
    let guard = Guard::new(
        server,
        Vec::new(),
        Arc::clone(&link),
        SystemClock::new(),
        deadlines,
    );
    (client, guard, link)
}

/// One read, with a buffer as large as hyper's.
async fn read(guard: &mut Guard<DuplexStream>) -> Vec<u8> {
    let mut buffer = vec![0; 8 << 10];
    let read = guard.read(&mut buffer).await.unwrap();
    buffer.truncate(read);
    buffer
}

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn whole_heads_go_through_one_at_a_time() {
    let (mut client, mut guard, link) = guarded();
    client.write_all(PLAIN).await.unwrap();
    assert_eq!(read(&mut guard).await, PLAIN);
    // Pipelined, and in pieces.
    client
        .write_all(&[PLAIN, PLAIN, &PLAIN[..9]].concat())
        .await
        .unwrap();
    assert_eq!(read(&mut guard).await, PLAIN);
    assert_eq!(read(&mut guard).await, PLAIN);
    client.write_all(&PLAIN[9..]).await.unwrap();
    assert_eq!(read(&mut guard).await, PLAIN);
    let plain = Word {
        last: false,
        refused: None,
    };
    for _ in 0..4 {
        assert_eq!(link.next(), plain);
    }
    drop(client);
    assert!(read(&mut guard).await.is_empty());
}

#[tokio::test]
async fn nothing_behind_a_body_is_a_request() {
    let (mut client, mut guard, link) = guarded();
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    client
        .write_all(&[PLAIN, post, b"body", PLAIN].concat())
        .await
        .unwrap();
    assert_eq!(read(&mut guard).await, PLAIN);
    assert_eq!(read(&mut guard).await, post);
    drop(client);
    assert!(read(&mut guard).await.is_empty());
    assert!(!link.next().last);
    assert_eq!(
        link.next(),
        Word {
            last: true,
            refused: None
        }
    );
}

#[tokio::test]
async fn a_refused_head_never_reaches_the_parser() {
    let (mut client, mut guard, link) = guarded();
    let both =
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    client
        .write_all(&[&both[..], PLAIN].concat())
        .await
        .unwrap();
    assert_eq!(read(&mut guard).await, HARMLESS);
    drop(client);
    assert!(read(&mut guard).await.is_empty());
    let reason = RefuseReason::Head(HeadFault::LengthAndCoding);
    assert_eq!(
        link.next(),
        Word {
            last: true,
            refused: Some(reason)
        }
    );
}

#[tokio::test]
async fn a_head_that_does_not_end_is_refused_and_an_idle_connection_ends() {
    let (mut client, mut guard, link) = guarded_within(SHORT);
    client.write_all(&PLAIN[..20]).await.unwrap();
    assert_eq!(read(&mut guard).await, HARMLESS);
    assert_eq!(link.next().refused, Some(RefuseReason::HeadTimeout));
    let (_client, mut guard, link) = guarded_within(SHORT);
    assert!(read(&mut guard).await.is_empty());
    assert!(!link.is_over());
}

#[tokio::test]
async fn a_connection_that_is_being_answered_is_not_idle() {
    let (mut client, mut guard, link) = guarded_within(SHORT);
    client.write_all(PLAIN).await.unwrap();
    assert_eq!(read(&mut guard).await, PLAIN);
    let _ = link.next();
    let waited = tokio::time::timeout(SHORT.idle * 3, read(&mut guard)).await;
    assert!(waited.is_err());
    link.served();
    assert!(read(&mut guard).await.is_empty());
}

#[tokio::test]
async fn what_comes_after_the_last_answer_is_dropped_within_a_bound() {
    let (mut client, mut guard, _link) = guarded();
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    client.write_all(post).await.unwrap();
    assert_eq!(read(&mut guard).await, post);
    client.write_all(&vec![b'x'; 200_000]).await.unwrap();
    guard.shutdown().await.unwrap();
    assert!(guard.dropped >= BODY_MAX && guard.dropped < BODY_MAX + PIECE as u64 * 2);
}

#[tokio::test]
async fn a_hint_goes_out_at_the_next_flush_and_before_the_answer() {
    let (mut client, mut guard, link) = guarded();
    link.hint(b"hint ");
    guard.flush().await.unwrap();
    link.answered();
    guard.write_all(b"answer").await.unwrap();
    let mut got = [0; 11];
    client.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hint answer");
}

#[tokio::test]
async fn a_hint_that_comes_with_the_answer_is_dropped() {
    let (mut client, mut guard, link) = guarded();
    link.hint(b"hint ");
    link.answered();
    guard.write_all(b"answer").await.unwrap();
    guard.flush().await.unwrap();
    drop(guard);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"answer");
}

#[tokio::test]
async fn hints_beyond_their_bound_are_dropped_whole() {
    let (mut client, mut guard, link) = guarded();
    link.hint(&vec![b'a'; HINTS_MAX]);
    link.hint(b"b");
    guard.flush().await.unwrap();
    drop(guard);
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, vec![b'a'; HINTS_MAX]);
}

#[tokio::test]
async fn an_answer_waits_for_a_hint_that_has_begun_to_go_out() {
    let (mut client, server) = duplex(4);
    let link = Arc::new(Link::default());
    let mut guard = Guard::new(
        server,
        Vec::new(),
        Arc::clone(&link),
        SystemClock::new(),
        DEADLINES,
    );
    link.hint(b"a long hint ");
    let writes = async {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut guard).poll_flush(&mut cx).is_pending());
        link.answered();
        guard.write_all(b"answer").await.unwrap();
        drop(guard);
    };
    let mut got = Vec::new();
    let reads = client.read_to_end(&mut got);
    let ((), read) = tokio::join!(writes, reads);
    read.unwrap();
    assert_eq!(got, b"a long hint answer");
}
