//! Fuzz targets of what is on a proxy's disk.

use common::clock::{Moment, WallTime};
use http::{HeaderMap, StatusCode};
use proxy::engine::http::fresh::FreshPolicy;
use proxy::engine::http::key::{PrimaryKey, Scheme};
use proxy::engine::shelf::Shelf;
use proxy::engine::shelf::elapsed::{NO_BOOT, Stamp};
use proxy::engine::shelf::entry::{self, ENTRY_LEN, Entry};
use proxy::engine::shelf::record::{self, BodyOf, Kept, PREFACE_LEN, Record};
use proxy::engine::shelf::replay::Found;
use proxy::engine::store::object::{Object, Received};
use std::time::Duration;

const STAMP: Stamp = Stamp {
    boot: NO_BOOT,
    since_boot: Duration::ZERO,
    wall: WallTime::from_unix(1_700_000_000),
};

const SEGMENT: u32 = 7;

/// A file of the disk store, after a byte that says what it is taken for: an index, a record, the
/// entries or the head of a record with right checks around them. What is read means something, points
/// nowhere outside, and is written back the same.
pub fn shelf(bytes: &[u8]) {
    let Some((what, bytes)) = bytes.split_first() else {
        return;
    };
    match what % 4 {
        0 => index(bytes),
        1 => drop(read(bytes)),
        2 => index(&sealed_entries(bytes)),
        _ => sealed_record(bytes),
    }
}

fn index(bytes: &[u8]) {
    if let Ok(stamp) = entry::read_head(bytes, SEGMENT) {
        assert_eq!(entry::head(SEGMENT, &stamp)[..48], bytes[..48]);
    }
    let chunks = bytes.chunks(ENTRY_LEN);
    for (entry, chunk) in entry::entries(bytes, SEGMENT).zip(chunks) {
        if let Some(entry) = entry {
            // Bytes that mean nothing are not carried over.
            let again = entry.encode(SEGMENT);
            assert_eq!(Entry::decode(&again, SEGMENT), Some(entry), "{chunk:?}");
        }
    }
    let mut shelf = Shelf::new(1 << 30);
    let found = Found {
        segment: SEGMENT,
        stamp: STAMP,
        data: 1 << 20,
        index: bytes,
    };
    let tally = shelf.replay((Moment::ZERO, &STAMP), found, |large| large.bytes < 1 << 20);
    let entries = bytes.len().div_ceil(ENTRY_LEN) as u64;
    assert!(tally.taken + tally.damaged + tally.missing <= entries);
    assert!(shelf.len() as u64 <= tally.taken);
}

fn sealed_entries(bytes: &[u8]) -> Vec<u8> {
    let seal = |chunk: &[u8]| {
        let mut entry = [0; ENTRY_LEN];
        entry[..chunk.len()].copy_from_slice(chunk);
        entry::sealed(entry, SEGMENT)
    };
    bytes.chunks(ENTRY_LEN).flat_map(seal).collect()
}

fn read(bytes: &[u8]) -> Option<Record> {
    let read = Record::read(bytes, SEGMENT).ok()?;
    if let Kept::Inline(range) = &read.body {
        assert!(range.end <= bytes.len());
    }
    Some(read)
}

/// The record of a small page, whose head is followed by its body.
pub(super) fn sample() -> Vec<u8> {
    let key = PrimaryKey::new(Scheme::Http, "example.com", 80, "/page?x=1");
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", "max-age=60".parse().unwrap());
    headers.insert("vary", "accept-encoding".parse().unwrap());
    let received = Received {
        status: StatusCode::OK,
        headers: &headers,
        at: Moment::ZERO,
        wall: STAMP.wall,
        delay: Duration::ZERO,
    };
    let (policy, request) = (FreshPolicy::default(), HeaderMap::new());
    let object = Object::new(key, &received, &headers, &request, &policy, ());
    let digest = *blake3::hash(b"hello").as_bytes();
    let place = (SEGMENT, &STAMP, Moment::ZERO);
    let mut bytes = record::encode(&object, place, &digest, BodyOf::Inline(5));
    bytes.extend(b"hello");
    bytes
}

/// A head under a right check: what it says is either nonsense or a response.
fn sealed_record(head: &[u8]) {
    let mut bytes = sample()[..PREFACE_LEN].to_vec();
    bytes[4..8].copy_from_slice(&u32::try_from(head.len()).unwrap().to_le_bytes());
    bytes.extend(head);
    record::seal(&mut bytes, SEGMENT);
    bytes.extend(b"hello");
    if let Some(read) = read(&bytes) {
        let back = Object::restored(read.response, Moment::ZERO, Duration::ZERO, ());
        let place = (SEGMENT, &read.stamp, Moment::ZERO);
        let again = match &read.body {
            Kept::Inline(_) => record::encode(&back, place, &read.digest, BodyOf::Inline(5)),
            Kept::Large(large, checks) => {
                record::encode(&back, place, &read.digest, BodyOf::Large(*large, checks))
            }
        };
        assert!(Record::read_head(&again, SEGMENT).is_ok());
    }
}

/// What real disks hold: an index, a record, and the two under right checks.
#[must_use]
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let record = sample();
    let put = Entry::Put(entry::Put {
        name: entry::Name([1, 2]),
        variant: entry::Variant(3),
        offset: 64,
        length: 300,
        large: Some(entry::Large { id: 1, bytes: 5 }),
        at: 0,
        fresh: 60,
    });
    let gone = Entry::Gone(entry::Name([1, 2]), None);
    let entries = [put.encode(SEGMENT), gone.encode(SEGMENT)].concat();
    let head = entry::head(SEGMENT, &STAMP).to_vec();
    let with = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    vec![
        ("head".to_owned(), with(0, &head)),
        ("index".to_owned(), with(0, &entries)),
        ("record".to_owned(), with(1, &record)),
        ("entries".to_owned(), with(2, &entries)),
        (
            "record-head".to_owned(),
            with(3, &record[PREFACE_LEN..record.len() - 5]),
        ),
    ]
}
