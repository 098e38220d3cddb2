//! Questions over UDP in batches, a bounded number unanswered at a time, so that the server always
//! has one waiting and loses none.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::rng::Generator;
use common::shell::datagrams;

/// Sockets, so that the server's are busy whichever of them the system picks.
const SOCKETS: usize = 8;

/// Questions unanswered on one socket.
const WINDOW: usize = 64;

/// After this long without an answer, what is unanswered is lost.
const LOST_AFTER: Duration = Duration::from_millis(20);

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mix {
    /// Names of sites.
    Sites,
    /// Names that do not exist.
    Missing,
    /// Names of sites, with a cookie.
    Cookies,
    /// Names of sites, with DO.
    Signed,
    /// A few names of sites again and again, with DO.
    SignedAgain,
    /// Names that do not exist, with DO.
    SignedMissing,
}

/// Names that are asked for again and again.
const KNOWN: usize = 100;

/// The load on one server.
pub(crate) struct Load {
    sockets: Vec<(UdpSocket, usize)>,
    to: SocketAddr,
    mix: Mix,
    rng: Generator,
    buffers: Vec<[u8; 1_500]>,
}

impl Load {
    pub(crate) fn new(to: SocketAddr, mix: Mix) -> Self {
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            (socket, 0)
        };
        Self {
            sockets: (0..SOCKETS).map(socket).collect(),
            to,
            mix,
            rng: Generator::from_seed(9),
            buffers: vec![[0; 1_500]; WINDOW],
        }
    }

    /// Asks for `time`; how many answers came.
    pub(crate) fn run(&mut self, time: Duration) -> u64 {
        let clock = SystemClock::new();
        let (began, mut last) = (clock.moment(), clock.moment());
        let mut answered = 0_u64;
        loop {
            let now = clock.moment();
            if now.since(began) >= time {
                return answered;
            }
            let mut came = 0;
            for n in 0..self.sockets.len() {
                let (socket, waiting) = &mut self.sockets[n];
                let got = datagrams::receive(socket, &mut self.buffers, |_, _| {}).unwrap_or(0);
                *waiting = waiting.saturating_sub(got);
                came += got;
                let room = WINDOW - *waiting;
                // Half a window at once, or a system call would move but a few.
                if room >= WINDOW / 2 {
                    self.ask(n, room);
                }
            }
            answered += u64::try_from(came).unwrap();
            if came > 0 {
                last = now;
            } else if now.since(last) > LOST_AFTER {
                last = now;
                self.sockets
                    .iter_mut()
                    .for_each(|(_, waiting)| *waiting = 0);
            }
        }
    }

    fn ask(&mut self, n: usize, count: usize) {
        let batch: Vec<_> = (0..count)
            .map(|_| (self.to, question(self.mix, &mut self.rng)))
            .collect();
        let (socket, waiting) = &mut self.sockets[n];
        *waiting += datagrams::send(socket, &batch).unwrap_or(0);
    }
}

/// A question for A with a fresh name, for a fresh network.
pub(crate) fn question(mix: Mix, rng: &mut Generator) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let id: [u8; 2] = rng.bytes();
    bytes.extend_from_slice(&id);
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    let random: [u8; 10] = match mix {
        Mix::SignedAgain => [u8::try_from(rng.below(KNOWN)).unwrap(); 10],
        Mix::Sites | Mix::Missing | Mix::Cookies | Mix::Signed | Mix::SignedMissing => rng.bytes(),
    };
    // Each number below a hundred is another name.
    let fresh: [u8; 10] = std::array::from_fn(|n| b'a' + (random[n] >> (n % 2 * 4)) % 16);
    let end: &[&[u8]] = match mix {
        Mix::Missing | Mix::SignedMissing => &[b"invalid", b"nyud", b"test"],
        Mix::Sites | Mix::Cookies | Mix::Signed | Mix::SignedAgain => {
            &[b"example", b"com", b"nyud", b"test"]
        }
    };
    for label in [&fresh[..]].iter().chain(end) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label);
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    let [a, b, c, ..] = rng.bytes::<4>();
    let mut options = vec![0, 8, 0, 7, 0, 1, 24, 0, 1 + a % 200, b, c];
    if mix == Mix::Cookies {
        options.extend_from_slice(&[0, 10, 0, 8]);
        options.extend_from_slice(&rng.bytes::<8>());
    }
    let dnssec_ok = matches!(mix, Mix::Signed | Mix::SignedAgain | Mix::SignedMissing);
    let flags = if dnssec_ok { 0x80 } else { 0 };
    bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, flags, 0, 0]);
    bytes.push(u8::try_from(options.len()).unwrap());
    bytes.extend_from_slice(&options);
    bytes
}
