//! A client reads a range of a large object slice by slice while its origin fails, lies about ranges and
//! changes, and peers hold slices of old and new versions: never a mixture, never a hole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use common::rng::Generator;
use http::{HeaderMap, StatusCode};

use super::manifest::{Manifest, is_sliced, mark};
use super::quest::{Act, News, Quest};
use super::window::Window;
use super::{SLICE, answer, bytes_of, cut::Cut, slices_of};
use crate::engine::reason::FailReason;
use crate::engine::splice::{Described, Promise, Splice};
use crate::engine::store::object::Object;
use crate::engine::store::object::tests::{headers, object};

/// Bytes of the object: four slices and a bit.
const TOTAL: u64 = 4 * SLICE + 5_000;

/// Versions whose bytes are at hand.
const VERSIONS: u64 = 16;

/// Bytes of a version: each is another one everywhere.
fn content(version: u64, range: Range<u64>) -> Bytes {
    static ALL: OnceLock<Vec<Bytes>> = OnceLock::new();
    let make = |version| {
        let byte = |at: u64| (at.wrapping_mul(31).wrapping_add(version * 7) % 251) as u8;
        (0..TOTAL).map(byte).collect()
    };
    let all = ALL.get_or_init(|| (0..VERSIONS).map(make).collect());
    let at = |n: u64| usize::try_from(n).unwrap();
    all[at(version % VERSIONS)].slice(at(range.start)..at(range.end))
}

/// The world: an origin, and slices that peers have of any version.
struct World {
    rng: Generator,
    version: u64,
    /// By the text of their keys, which is how peers are asked.
    peers: Vec<BTreeMap<String, Bytes>>,
    /// A connection that cannot be trusted with anything.
    troubled: bool,
}

/// An answer of the origin.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// A number below `bound`.
fn below(rng: &mut Generator, bound: u64) -> u64 {
    rng.below(usize::try_from(bound).unwrap()) as u64
}

impl World {
    fn below(&mut self, bound: u64) -> u64 {
        below(&mut self.rng, bound)
    }

    fn fields(&self, range: Option<&Range<u64>>) -> HeaderMap {
        let tag = format!("\"v{}\"", self.version);
        let mut fields = headers(&[("etag", &tag), ("accept-ranges", "bytes")]);
        if let Some(range) = range {
            let part = super::super::http::range::part(range, TOTAL);
            fields.insert(http::header::CONTENT_RANGE, part);
        }
        fields
    }

    /// What the origin says to a request for `range` of the version `tied`.
    fn origin(&mut self, range: &Range<u64>, tied: u64) -> Result<Reply, FailReason> {
        let fate = if self.troubled { self.below(12) } else { 99 };
        if fate == 0 {
            self.version += 1;
        }
        let sent = match fate {
            1 => return Err(FailReason::ConnectRefused),
            2 => {
                return Ok(Reply {
                    status: StatusCode::BAD_GATEWAY,
                    headers: HeaderMap::new(),
                    body: Bytes::new(),
                });
            }
            // Another part than was asked for, rightly labelled.
            3 if range.start > 0 => range.start - 1..range.end,
            4 => range.start..(range.start + 1 + self.below(range.end - range.start)),
            _ => range.clone(),
        };
        // Some send the part of what is there now whatever If-Range says.
        let ignores_condition = fate == 5;
        let (status, label, body) = if fate == 6 || (self.version != tied && !ignores_condition) {
            (StatusCode::OK, None, content(self.version, 0..1_000))
        } else {
            (
                StatusCode::PARTIAL_CONTENT,
                Some(sent.clone()),
                content(self.version, sent),
            )
        };
        let headers = self.fields(label.as_ref());
        // Cut off somewhere.
        let kept = match fate {
            7 | 8 => self.below(body.len() as u64),
            _ => body.len() as u64,
        };
        let body = body.slice(..usize::try_from(kept).unwrap());
        Ok(Reply {
            status,
            headers,
            body,
        })
    }
}

fn manifest_of(version: u64) -> Arc<Object<u32>> {
    let tag = format!("\"v{version}\"");
    let mut fields = headers(&[("etag", &tag), ("accept-ranges", "bytes")]);
    let total = is_sliced(StatusCode::OK, &fields, Some(TOTAL), SLICE).unwrap();
    mark(&mut fields, total);
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    object("/film", &fields, &[], 0)
}

/// Fetches a slice as the shell does: sources one after another into one body.
fn fetch(
    world: &mut World,
    known: &Object<u32>,
    tied: u64,
    n: u64,
) -> Result<Bytes, (Bytes, FailReason)> {
    let manifest = Manifest::of(known).unwrap();
    let of = bytes_of(n, TOTAL);
    let mut splice = Splice::new(Some(of.end - of.start), true);
    let mut shown = Vec::new();
    let (mut quest, mut act) = Quest::begin(true);
    loop {
        let body = match act {
            Act::AskIndex => {
                let named = 0..u16::try_from(world.peers.len()).unwrap();
                let named = named.map(|n| SocketAddr::from(([127, 0, 0, 1], n)));
                act = quest.next(News::Located(named.collect()));
                continue;
            }
            Act::Peer(addr) => {
                let key = manifest.slice(n);
                Ok(ask_peer(
                    world,
                    addr.port(),
                    key.as_str(),
                    splice.received(),
                ))
            }
            Act::Origin => {
                let wanted = of.start + splice.received()..of.end;
                ask_origin(world, &manifest, known, &wanted, tied)
            }
            Act::Fail(reason) => return Err((shown.into(), reason)),
        };
        let taken = body.and_then(|body| take(&mut splice, known, body, &mut shown));
        act = match (taken, act) {
            (Ok(()), _) => return Ok(shown.into()),
            (Err(reason), Act::Origin) => quest.next(News::OriginFailed(reason)),
            (Err(_), _) => quest.next(News::PeerFailed),
        };
    }
}

/// What a source sends is added to what is shown. Whether it is whole with it.
fn take(
    splice: &mut Splice,
    known: &Object<u32>,
    body: Bytes,
    shown: &mut Vec<u8>,
) -> Result<(), FailReason> {
    let same = Described {
        status: StatusCode::PARTIAL_CONTENT,
        headers: &known.headers(),
    };
    let mut intake = splice.join(same, same, splice.received(), None, Promise::None)?;
    shown.extend_from_slice(&splice.take(&mut intake, body)?);
    shown.extend_from_slice(&splice.end(intake, None)?);
    Ok(())
}

/// What a peer has of a slice from `offset` on; its line may break at any byte.
fn ask_peer(world: &mut World, peer: u16, key: &str, offset: u64) -> Bytes {
    let held = world.peers[usize::from(peer)].get(key);
    let held = held.cloned().unwrap_or_default();
    let skip = usize::try_from(offset).unwrap().min(held.len());
    let mut body = held.slice(skip..);
    if world.troubled && world.below(4) == 0 {
        let kept = world.below(body.len() as u64 + 1);
        body.truncate(usize::try_from(kept).unwrap());
    }
    body
}

fn ask_origin(
    world: &mut World,
    manifest: &Manifest,
    known: &Object<u32>,
    wanted: &Range<u64>,
    tied: u64,
) -> Result<Bytes, FailReason> {
    let reply = world.origin(wanted, tied)?;
    let judged = answer::judge(
        manifest,
        &known.headers(),
        wanted,
        reply.status,
        &reply.headers,
    );
    judged.map(|_| reply.body)
}

/// Reads `range`; gives what the client got, and whether it ended cleanly.
fn read(world: &mut World, range: &Range<u64>) -> (u64, Vec<u8>, Result<(), FailReason>) {
    let tied = world.version;
    let known = manifest_of(tied);
    let mut window = Window::new(slices_of(range), 3);
    let mut got = Vec::new();
    let mut pending = std::collections::VecDeque::new();
    loop {
        while let Some(n) = window.begin(world.below(3) == 0) {
            pending.push_back(n);
        }
        let Some(n) = pending.pop_front() else {
            return (tied, got, Ok(()));
        };
        window.reading();
        let of = bytes_of(n, TOTAL);
        let skip = usize::try_from(range.start.saturating_sub(of.start)).unwrap();
        let upto = usize::try_from(range.end.min(of.end) - of.start).unwrap();
        let take = |bytes: &Bytes| bytes.slice(skip.min(bytes.len())..upto.min(bytes.len()));
        match fetch(world, &known, tied, n) {
            Ok(bytes) => got.extend_from_slice(&take(&bytes)),
            Err((bytes, reason)) => {
                got.extend_from_slice(&take(&bytes));
                // The rest of the last slice is nothing to whoever does not want it.
                let all = got.len() as u64 == range.end - range.start;
                return (tied, got, if all { Ok(()) } else { Err(reason) });
            }
        }
        window.read();
    }
}

fn world(seed: u64, troubled: bool) -> World {
    let mut rng = Generator::from_seed(seed);
    let version = 1 + below(&mut rng, 3);
    let mut peers = vec![BTreeMap::new(); rng.below(4)];
    for held in &mut peers {
        // Of this version, of older ones and of one that is yet to come.
        for _ in 0..rng.below(6) {
            let (version, n) = (below(&mut rng, 5), below(&mut rng, 5));
            let manifest = Manifest::of(&*manifest_of(version)).unwrap();
            let key = manifest.slice(n).as_str().to_owned();
            held.insert(key, content(version, bytes_of(n, TOTAL)));
        }
    }
    World {
        rng,
        version,
        peers,
        troubled,
    }
}

#[test]
fn never_a_mixture_and_never_a_hole() {
    let (mut whole, mut broken, mut changed) = (0, 0, 0);
    for seed in 0..120 {
        let mut world = world(seed, true);
        let start = world.below(TOTAL);
        let range = start..start + 1 + world.below(TOTAL - start);
        let (version, got, end) = read(&mut world, &range);
        let wanted = content(version, range);
        assert!(
            wanted.starts_with(&got),
            "seed {seed}: bytes of something else"
        );
        match end {
            Ok(()) => assert_eq!(got.len(), wanted.len(), "seed {seed}: a hole at the end"),
            Err(_) => assert!(
                got.len() < wanted.len(),
                "seed {seed}: all of it, and yet an error"
            ),
        }
        whole += u32::from(end.is_ok());
        broken += u32::from(end.is_err());
        changed += u32::from(end == Err(FailReason::Changed));
    }
    assert!(
        whole > 20 && broken > 20 && changed > 8,
        "{whole} {broken} {changed}"
    );
}

#[test]
fn without_trouble_every_range_is_whole() {
    for seed in 0..30 {
        let mut world = world(seed, false);
        let start = world.below(TOTAL);
        let range = start..start + 1 + world.below(TOTAL - start);
        let (version, got, end) = read(&mut world, &range);
        assert_eq!(end, Ok(()), "seed {seed}");
        assert!(got == content(version, range), "seed {seed}");
    }
}

#[test]
fn the_slices_of_a_stream_are_those_that_ranges_give() {
    let mut cut = Cut::new(&(0..TOTAL), TOTAL);
    let mut body = content(1, 0..TOTAL);
    let mut slices: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    while !body.is_empty() {
        let mut read = body.split_to(body.len().min(77_777));
        while let Some(piece) = cut.take(&mut read) {
            slices
                .entry(piece.slice)
                .or_default()
                .extend_from_slice(&piece.bytes);
        }
    }
    let mut world = world(7, false);
    world.version = 1;
    for (n, bytes) in slices {
        assert!(
            fetch(&mut world, &manifest_of(1), 1, n).unwrap() == bytes,
            "{n}"
        );
    }
}
