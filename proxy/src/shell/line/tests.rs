//! What clients get to have waiting, on real sockets.

use std::time::Duration;

use socket2::SockRef;

use super::reading::{QUICK_MOST, UNSENT_MOST, UNSENT_QUICK};
use super::*;
use crate::engine::uptake::QUICK_BYTES;

async fn line(terms: &Arc<Terms>) -> (Line, TcpStream) {
    let listener = crate::shell::listen::bind("127.0.0.1:0".parse().unwrap(), terms).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    let stream = accepted.unwrap().0;
    let parting = Parting::default();
    let line = Line::new(stream, Arc::clone(terms), parting);
    (line, client.unwrap())
}

/// Of a client that took half a mebibyte in ten milliseconds, or in a second.
fn reading(quick: bool) -> Reading {
    let mut reading = Reading::new(Duration::from_secs(30), 0);
    reading.uptake.blocked(Moment::ZERO);
    let at = Moment::from_millis(if quick { 10 } else { 1_000 });
    reading.uptake.took(at, QUICK_BYTES).unwrap();
    reading
}

fn unsent_most(line: &Line) -> u32 {
    SockRef::from(&line.stream).tcp_notsent_lowat().unwrap()
}

#[tokio::test]
async fn a_connection_has_what_its_listener_was_given() {
    let terms = Arc::new(Terms::new(Duration::from_secs(7)));
    let (line, _client) = line(&terms).await;
    let socket = SockRef::from(&line.stream);
    assert!(socket.tcp_nodelay().unwrap());
    assert_eq!(unsent_most(&line), UNSENT_MOST);
    let patience = socket.tcp_user_timeout().unwrap();
    assert_eq!(patience, Some(terms.patience()));
}

#[tokio::test]
async fn only_the_quick_get_more_room_and_only_so_many() {
    let terms = Arc::new(Terms::new(Duration::from_secs(30)));
    let (line, _client) = line(&terms).await;
    reading(false).suit(&line.stream, &terms);
    assert_eq!(unsent_most(&line), UNSENT_MOST);
    let mut first = reading(true);
    first.suit(&line.stream, &terms);
    assert_eq!(unsent_most(&line), UNSENT_QUICK);
    let mut others: Vec<_> = (1..QUICK_MOST).map(|_| reading(true)).collect();
    for other in &mut others {
        other.suit(&line.stream, &terms);
        assert!(other.room.is_some());
    }
    let mut late = reading(true);
    late.suit(&line.stream, &terms);
    assert!(late.room.is_none());
    // It becomes slow: what may wait is bounded at once, the room is free once it has taken it.
    first.uptake = reading(false).uptake;
    first.suit(&line.stream, &terms);
    assert!(first.room.is_some());
    assert_eq!(unsent_most(&line), UNSENT_MOST);
    first.suit(&line.stream, &terms);
    late.suit(&line.stream, &terms);
    assert!(first.room.is_none() && late.room.is_some());
}

#[tokio::test]
async fn who_asks_for_nothing_more_gives_its_room_back() {
    let terms = Arc::new(Terms::new(Duration::from_secs(30)));
    let (mut line, _client) = line(&terms).await;
    let mut reader = Box::new(reading(true));
    reader.suit(&line.stream, &terms);
    line.reader = Some(reader);
    let mut piece = [0; 16];
    let mut piece = ReadBuf::new(&mut piece);
    let read = std::future::poll_fn(|cx| {
        Poll::Ready(Pin::new(&mut line).poll_read(cx, &mut piece).is_pending())
    });
    assert!(read.await);
    assert_eq!(terms.quick.available_permits(), QUICK_MOST);
    assert_eq!(unsent_most(&line), UNSENT_MOST);
}
