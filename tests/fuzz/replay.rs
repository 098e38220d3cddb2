//! The fuzz targets on stable: the committed corpus, and mutations of it from a fixed seed.
//!
//! `ATOLL_BLESS=1 cargo test -p atoll-tests --test fuzz` writes the seeds of the corpus anew from
//! the golden messages. What a fuzzer finds is added to the corpus under the name of its finding.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as the tests do"
)]

use std::fs;
use std::path::PathBuf;

use common::rng::Generator;
use common::wire::header::{self, Header, LevelInfo};
use harness::fuzz::{TARGETS, Target, network};

/// Mutated inputs per run, over all targets.
const RUNS: usize = if cfg!(debug_assertions) {
    20_000
} else {
    200_000
};

/// Mutants kept in the corpus beside each seed.
const MUTANTS: usize = 2;

/// Largest file of the corpus, in bytes: a datagram with room to spare.
const SIZE_MAX: usize = 4_096;

const MESSAGES: &str = include_str!("../../dht/src/engine/message/golden.hex");

fn corpus(target: &Target) -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.join("fuzz/corpus").join(target.name)
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len() / 2).map(|n| digit(2 * n)).collect()
}

/// Name, kind and body of one message of every kind.
fn messages() -> Vec<(String, u8, Vec<u8>)> {
    let message = |line: &str| {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_owned();
        let kind = unhex(words.next().unwrap())[0];
        (name, kind, unhex(words.next().unwrap_or_default()))
    };
    MESSAGES.lines().map(message).collect()
}

fn datagram(kind: u8, body: &[u8]) -> Vec<u8> {
    let header = Header {
        kind,
        tx: common::ids::TxId(1),
        sender: common::ids::NodeId::of(([192, 0, 2, 1], 7400).into()),
        receiver: None,
        levels: vec![LevelInfo::default(); 3],
    };
    header::seal(&network(), &header, body).unwrap()
}

/// What real senders send to a target.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let named = |texts: &[&str]| {
        let numbered = texts.iter().enumerate();
        numbered
            .map(|(n, text)| (format!("{n:02}"), text.as_bytes().to_vec()))
            .collect()
    };
    match target.name {
        "header" => messages()
            .into_iter()
            .map(|(name, kind, body)| (name, datagram(kind, &body)))
            .collect(),
        "message" => messages()
            .into_iter()
            .map(|(name, kind, body)| (name, [vec![kind], body].concat()))
            .collect(),
        "codec" => messages()
            .into_iter()
            .map(|(name, _, body)| {
                let program: [u8; 16] = Generator::from_seed(body.len() as u64).bytes();
                (name, [program.to_vec(), body].concat())
            })
            .collect(),
        "peers" => named(&[
            r#"{"schema":1,"peers":["192.0.2.1:7400","[2001:db8::1]:7400"]}"#,
            r#"{"schema":2,"peers":[]}"#,
            r#"{"schema":1}"#,
            "",
        ]),
        "api" => named(&[
            "\u{0}{\"text\":\"http://example.com/\",\"want\":2,\"stream\":true}",
            "\u{1}{\"key\":\"00112233445566778899aabbccddeeff00112233\",\"value_base64\":\"/wA=\",\"ttl_ms\":1}",
            "\u{2}{\"text\":\"k\",\"deadline_ms\":18446744073709551615}",
            "\u{3}{\"count\":4,\"level\":2,\"near\":\"2001:db8::7\",\"service\":\"http\"}",
            "\u{4}{\"addr\":\"192.0.2.2:7400\"}",
            "\u{5}{\"name\":\"http\",\"addr\":\"192.0.2.1:80\"}",
            "\u{6}{\"client\":\"198.51.100.7\",\"rtt_us\":8000}",
            "\u{7}192.0.2.1:7400 8000",
        ]),
        "names" => named(&[
            "www.example.com.nyud.test",
            "www.example.com.8080.nyud.test",
            "192.0.2.1.8080.nyud.test",
            "www-example-com.nyud.test",
            "0-a--b-example-com-0.nyud.test",
            "xn--bcher-kva-example.nyud.test",
            "nyud.test",
            "www.nyud.test",
        ]),
        "queries" => questions(),
        "shelf" => harness::fuzz::shelf::seeds(),
        "responses" | "requests" | "fields" | "ranges" | "structured" => {
            named(http_seeds(target.name))
        }
        other => panic!("{other} has no seeds"),
    }
}

/// What resolvers ask, and what only testers do; the first byte says by what transport, and whether
/// anybody is alive.
#[expect(
    clippy::too_many_lines,
    reason = "a table of questions and the pieces it is made of"
)]
fn questions() -> Vec<(String, Vec<u8>)> {
    const SUBNET: &str = "0008000700011800cb0071";
    const COOKIE: &str = "000a00080102030405060708";
    let opt = |options: &str| format!("00002904d000000000{:04x}{options}", options.len() / 2);
    let signed = "00002904d0000080000000";
    let site = "03777777076578616d706c6503636f6d046e797564047465737400";
    let apex = "046e797564047465737400";
    let txt = "03747874046e797564047465737400";
    let alias = "05616c696173046e797564047465737400";
    let looped = "046c6f6f70046e797564047465737400";
    let missing = "0178096c6f63616c686f7374046e797564047465737400";
    let both = [SUBNET, COOKIE, "00030000"].concat();
    let soa = "c00c00060001000000000018c00cc00c0000000000000000000000000000000000000000";
    let rows: [(&str, &str, &str, &str, &str); 16] = [
        ("a", "00", "01000001000000000000", site, "00010001"),
        ("aaaa-tcp", "01", "01000001000000000000", site, "001c0001"),
        (
            "subnet",
            "00",
            "01000001000000000001",
            site,
            &["00010001", &opt(SUBNET)].concat(),
        ),
        (
            "all-options",
            "00",
            "01000001000000000001",
            site,
            &["00010001", &opt(&both)].concat(),
        ),
        (
            "nobody",
            "02",
            "01000001000000000001",
            site,
            &["00010001", &opt(COOKIE)].concat(),
        ),
        (
            "dnssec",
            "00",
            "01100001000000000001",
            site,
            &["00010001", signed].concat(),
        ),
        (
            "https",
            "01",
            "00000001000000000001",
            apex,
            &["00410001", signed].concat(),
        ),
        ("ns", "01", "00000001000000000000", apex, "00020001"),
        ("any", "00", "00000001000000000000", apex, "00ff0001"),
        ("txt", "00", "00000001000000000000", txt, "00100001"),
        ("alias", "01", "00000001000000000000", alias, "00010001"),
        ("other", "01", "00000001000000000000", looped, "00010001"),
        (
            "missing",
            "00",
            "00000001000000000001",
            missing,
            &["00010001", &opt("")].concat(),
        ),
        (
            "ixfr",
            "01",
            "00000001000000010000",
            apex,
            &["00fb0001", soa].concat(),
        ),
        (
            "chaos",
            "00",
            "00000001000000000000",
            "0776657273696f6e0462696e6400",
            "00100003",
        ),
        ("notify", "00", "24000001000000000000", apex, "00060001"),
    ];
    rows.iter()
        .map(|(name, first, header, asked, rest)| {
            let hex = [first, "1234", header, asked, rest].concat();
            ((*name).to_owned(), unhex(&hex))
        })
        .collect()
}

/// What origins and clients send; the first bytes say how it is cut, or how long the whole is.
const fn http_seeds(target: &str) -> &'static [&'static str] {
    match target.as_bytes() {
        b"responses" => &[
            "\u{1}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "\u{3}HTTP/1.1 200\nTransfer-Encoding: chunked\n\n5;a=b\nhello\r\n0\r\nX: y\r\n\r\n",
            "\u{7}HTTP/1.0 404 Not Found\r\nServer : old\r\n folded\r\njunk\r\n\r\nuntil close",
            "\u{2}HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\nrest",
            "\u{5}<html>of old</html>",
            "\u{1}HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "\u{4}HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ],
        b"requests" => &[
            "\u{1}GET / HTTP/1.1\r\nHost: a.com.nyud.test\r\n\r\n",
            "\u{2}\r\nGET http://a.com.nyud.test/p HTTP/1.0\n\n",
            "\u{5}POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            "\u{3}GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            "\u{1}GET / HTTP/1.1\r\nHost : a\r\n b\r\nX\r:\u{0}\r\n\r\n",
        ],
        b"fields" => &[
            "Cache-Control: max-age=60, s-maxage=\"5\", private=\"set-cookie\", stale-if-error\nAge: 7",
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\nExpires: Sunday, 06-Nov-94 08:49:37 GMT\nAge: -1, 2",
            "Date: Sun Nov  6 08:49:37 1994\nLast-Modified: 0\nVary: accept-encoding, *\nAge: 99999999999999",
            "Vary: Accept-Encoding\nAccept-Encoding: br;q=1.0, x-gzip\nAccept: text/html;q=0.5, text/plain",
            "CDN-Cache-Control: max-age=60, no-cache=(\"a\" \"b\");x\nPragma: no-cache\nCache-Control: \"",
            "Cache-Control: no-cache, max-stale, min-fresh=1, only-if-cached, no-store, MAX-AGE=1",
        ],
        b"ranges" => &[
            "\0\0\0\0\0\0\u{1}\0bytes=0-0,-1, 5-",
            "\0\0\0\0\0\0\0\0bytes=0-",
            "\0\0\0\0\0\u{1}\0\0bytes=0-9,200-300,1000-2000,0-9,5-",
            "\0\0\0\0\0\0\u{1}\0bytes 0-9/10",
            "\0\0\0\0\0\0\u{1}\0bytes */18446744073709551616",
            "\0\0\0\0\0\0\u{1}\0bytes=18446744073709551615-18446744073709551615",
        ],
        _ => &[
            "n1.nyud.test; hit; ttl=-5; detail=\"a \\\" b\"",
            "a;b=?1, \"c\";d=:aGk=:, (e f);g=1.5;h=@1659578233",
            "max-age=60, no-cache=(\"a\" \"b\"), x=%\"f%c3%bc\"",
            "HIT from cache, ,",
            "*a/b:c;*=999999999999999",
        ],
    }
}

fn mutate(rng: &mut Generator, bytes: &mut Vec<u8>, others: &[(String, Vec<u8>)]) {
    for _ in 0..=rng.below(6) {
        let at = rng.below(bytes.len().max(1)).min(bytes.len());
        match rng.below(7) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            2 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, rng.bytes::<1>()[0]),
            5 => {
                let (_, other) = &others[rng.below(others.len())];
                let from = rng.below(other.len().max(1)).min(other.len());
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let part = bytes[at..].to_vec();
                bytes.extend_from_slice(&part[..part.len().min(32)]);
            }
        }
        bytes.truncate(SIZE_MAX);
    }
}

/// The seeds and, from a fixed seed of chance, a few mutants of each.
fn files(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = seeds(target);
    let mut rng = Generator::from_seed(4);
    let mut all = seeds.clone();
    for (name, seed) in &seeds {
        for n in 0..MUTANTS {
            let mut bytes = seed.clone();
            mutate(&mut rng, &mut bytes, &seeds);
            all.push((format!("{name}-m{n}"), bytes));
        }
    }
    all
}

#[test]
fn the_corpus_holds_every_message_there_is() {
    for target in &TARGETS {
        let dir = corpus(target);
        if std::env::var_os("ATOLL_BLESS").is_some() {
            fs::create_dir_all(&dir).unwrap();
            for (name, bytes) in files(target) {
                fs::write(dir.join(name), bytes).unwrap();
            }
        }
        for (name, bytes) in seeds(target) {
            let held = fs::read(dir.join(&name)).unwrap_or_default();
            let advice = "run ATOLL_BLESS=1 cargo test -p atoll-tests --test fuzz";
            assert!(
                held == bytes,
                "{}/{name} is out of date: {advice}",
                target.name
            );
        }
    }
}

#[test]
fn every_file_of_the_corpus_is_survived() {
    for target in &TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpus(target)).unwrap().collect();
        assert!(files.len() >= 3, "{} has no corpus", target.name);
        files.sort_by_key(|file| file.as_ref().unwrap().path());
        for file in files {
            (target.run)(&fs::read(file.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn any_number_of_mutations_is_survived() {
    for target in &TARGETS {
        let seeds = seeds(target);
        let mut rng = Generator::from_seed(5);
        for _ in 0..RUNS / TARGETS.len() {
            let mut bytes = seeds[rng.below(seeds.len())].1.clone();
            mutate(&mut rng, &mut bytes, &seeds);
            (target.run)(&bytes);
        }
    }
}
