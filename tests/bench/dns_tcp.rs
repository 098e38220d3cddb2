//! Questions over TCP: many in flight on a few connections, or a connection for each.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::rng::Generator;

use super::dns_load::{Mix, question};

/// Connections at once.
const CONNECTIONS: u64 = 8;

/// Questions in flight on one connection.
const IN_FLIGHT: usize = 32;

/// Patience with an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `to` for `time` on a few connections, many questions in flight; how many answers came.
pub(crate) fn pipelined(to: SocketAddr, time: Duration) -> u64 {
    everywhere(time, |rng, goes_on| {
        let mut answered = 0;
        while goes_on() {
            let Some(mut stream) = connect(to) else {
                continue;
            };
            while goes_on() && exchange(&mut stream, rng, IN_FLIGHT).is_some() {
                answered += u64::try_from(IN_FLIGHT).unwrap();
            }
        }
        answered
    })
}

/// Asks `to` for `time`, with a connection for each question; how many answers came.
pub(crate) fn one_each(to: SocketAddr, time: Duration) -> u64 {
    everywhere(time, |rng, goes_on| {
        let mut answered = 0;
        while goes_on() {
            let asked = connect(to).and_then(|mut stream| exchange(&mut stream, rng, 1));
            answered += u64::from(asked.is_some());
        }
        answered
    })
}

fn everywhere(
    time: Duration,
    work: impl Fn(&mut Generator, &dyn Fn() -> bool) -> u64 + Sync,
) -> u64 {
    let clock = SystemClock::new();
    let began = clock.moment();
    let work = &work;
    thread::scope(|scope| {
        let one = |seed| {
            scope.spawn(move || {
                let goes_on = || clock.moment().since(began) < time;
                work(&mut Generator::from_seed(seed), &goes_on)
            })
        };
        let all: Vec<_> = (0..CONNECTIONS).map(one).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn connect(to: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

/// Sends `count` questions at once and reads as many answers.
fn exchange(stream: &mut TcpStream, rng: &mut Generator, count: usize) -> Option<()> {
    let mut sent = Vec::new();
    for _ in 0..count {
        let question = question(Mix::Sites, rng);
        let length = u16::try_from(question.len()).unwrap();
        sent.extend_from_slice(&length.to_be_bytes());
        sent.extend_from_slice(&question);
    }
    stream.write_all(&sent).ok()?;
    let (mut received, mut whole) = (Vec::new(), 0);
    let mut buffer = [0; 16_384];
    while whole < count {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        received.extend_from_slice(&buffer[..length]);
        let mut done = 0;
        while let Some((length, rest)) = received[done..].split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            if rest.len() < length {
                break;
            }
            done += 2 + length;
            whole += 1;
        }
        received.drain(..done);
    }
    Some(())
}
