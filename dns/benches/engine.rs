//! What a question costs the answering engine, from datagram to datagram without the sockets. Prints
//! microseconds of one core.
//!
//! Every question has a fresh name and comes for a fresh client subnet, unless it says that it is
//! asked again. Run with `cargo bench -p atoll-dns --bench engine`.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::clock::{Moment, WallTime};
use common::name::Zone;
use common::rng::Generator;
use dns::engine::config::{AnswerConfig, MannersConfig, NameServer, ZoneConfig};
use dns::engine::exchange::Arrival;
use dns::engine::inquiry::Transport;
use dns::engine::live::LiveSet;
use dns::engine::server::Server;
use dns::engine::sign::cache::CacheConfig;
use dns::engine::sign::ring::{ParentSignal, Role, SigningConfig};
use dns::engine::snapshot::Snapshot;
use dns::engine::zone::{ZoneData, Zones};
use dns::shell::keyfile;

/// Questions of each kind in the plain zone, and in the signed one.
const PLAIN: usize = 1_000_000;
const SIGNED: usize = 20_000;

/// Different questions that are asked again.
const KNOWN: usize = 200;

/// Proxies: all of one site, each of its own, and many.
const SITES: [(&str, u32, u32); 3] = [
    ("10 of one site", 10, 1),
    ("10 of ten sites", 10, 256),
    ("10,000", 10_000, 256),
];

fn server(proxies: u32, apart: u32, signing: Option<SigningConfig>) -> Server {
    let config = ZoneConfig {
        zone: Zone::parse("nyud.test").expect("a zone"),
        servers: vec![NameServer {
            name: "ns1.nyud.test".to_owned(),
            addresses: vec![IpAddr::from([192, 0, 2, 53])],
        }],
        hostmaster: "hostmaster@nyud.test".to_owned(),
        serial: 1,
        services: Vec::new(),
        records: Vec::new(),
        negative_ttl: 30,
        signing,
    };
    let zones = Zones::new(vec![ZoneData::new(&config).expect("good")]).expect("one");
    let address = |n: u32| IpAddr::from((0x0b00_0001 + n * apart).to_be_bytes());
    let live = LiveSet::new((0..proxies).map(address), None);
    let config = AnswerConfig {
        count: 3,
        ..AnswerConfig::default()
    };
    let snapshot = Snapshot::new(zones, config).with_live(live);
    let manners = MannersConfig {
        replies_per_second: 100_000_000,
        amplification: 0,
        ..MannersConfig::default()
    };
    let rng = Generator::from_seed(1);
    Server::new(Arc::new(snapshot), Arc::new(manners), rng)
}

/// A question for A: a fresh label before `end`, for a fresh network; with a cookie or DO.
fn question(rng: &mut Generator, end: &str, cookie: bool, dnssec_ok: bool) -> Vec<u8> {
    let mut bytes = rng.bytes::<2>().to_vec();
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    let fresh = rng.bytes::<10>().map(|byte| char::from(b'a' + byte % 26));
    let name = fresh.iter().collect::<String>() + end + ".nyud.test";
    for label in name.split('.') {
        bytes.extend(u8::try_from(label.len()));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    let [a, b, c, ..] = rng.bytes::<4>();
    let mut options = vec![0, 8, 0, 7, 0, 1, 24, 0, 1 + a % 200, b, c];
    if cookie {
        options.extend_from_slice(&[0, 10, 0, 8]);
        options.extend_from_slice(&rng.bytes::<8>());
    }
    let flags = if dnssec_ok { 0x80 } else { 0 };
    bytes.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, flags, 0, 0]);
    bytes.extend(u8::try_from(options.len()));
    bytes.extend_from_slice(&options);
    bytes
}

/// Asks a server, in virtual time.
struct Asker {
    now: Moment,
}

impl Asker {
    /// Asks each of `questions` and prints what one of them cost.
    fn ask(&mut self, server: &mut Server, name: &str, questions: &[Vec<u8>], times: usize) {
        let (mut bytes, mut out) = (0, Vec::new());
        let count = questions.len() * times;
        let before = used();
        for question in std::iter::repeat_n(questions, times).flatten() {
            self.now = self.now + Duration::from_micros(100);
            let arrival = Arrival {
                now: self.now,
                wall: WallTime::from_unix(1_795_262_400),
                from: IpAddr::from([198, 51, 100, 7]),
                transport: Transport::Udp,
            };
            server.handle_message(&arrival, question, &mut out);
            bytes += out.len();
        }
        let each = (used() - before) * 1e6 / count as f64;
        println!("{name:<44} {each:>6.3} us, {:>4} bytes", bytes / count);
    }
}

/// Seconds of CPU that this thread has used.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a number")).as_secs_f64()
}

fn main() {
    let mut rng = Generator::from_seed(2);
    let now = Moment::from_millis(10_000);
    let mut asker = Asker { now };
    let mut fresh = |end: &str, cookie, dnssec_ok, count| -> Vec<Vec<u8>> {
        let question = |_| question(&mut rng, end, cookie, dnssec_ok);
        (0..count).map(question).collect()
    };
    for (name, proxies, apart) in SITES {
        let mut server = server(proxies, apart, None);
        for (kind, end, cookie) in [
            ("site", ".example.com", false),
            ("site and a cookie", ".example.com", true),
            ("site as a label", "-example-com", false),
            ("no such name", ".invalid", false),
        ] {
            let questions = fresh(end, cookie, false, KNOWN);
            let name = format!("{kind}, {name}");
            asker.ask(&mut server, &name, &questions, PLAIN / KNOWN);
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let key = keyfile::create(&dir.path().join("key")).expect("a key");
    let mut server = server(
        10,
        256,
        Some(SigningConfig {
            keys: vec![(Role::Active, Arc::new(key))],
            life: Duration::from_secs(2 * 86_400),
            parent: ParentSignal::None,
        }),
    );
    for (kind, end) in [("site", ".example.com"), ("no such name", ".invalid")] {
        let cold = fresh(end, false, true, SIGNED);
        asker.ask(&mut server, &format!("signed: {kind}"), &cold, 1);
        let known = fresh(end, false, true, KNOWN);
        asker.ask(&mut server, "  until its draws are known", &known, 100);
        asker.ask(&mut server, "  asked again", &known, 100);
    }
    let no_more = CacheConfig {
        fresh_per_second: 0,
        ..CacheConfig::default()
    };
    let mut server = server.with_signatures(no_more);
    for (kind, end) in [("site", ".example.com"), ("no such name", ".invalid")] {
        let questions = fresh(end, false, true, KNOWN);
        let name = format!("beyond the bound on signatures: {kind}");
        asker.ask(&mut server, &name, &questions, 100);
    }
}
