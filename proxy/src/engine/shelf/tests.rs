//! What the shelf promises, with a disk in memory.

use std::time::Duration;

use common::clock::Moment;
use common::rng::Generator;

use super::entry::{Large, Name, Put, Spot, Variant};
use super::model::{Disk, Step, World, name};
use super::*;
use crate::engine::http::key::{PrimaryKey, Scheme};
use crate::engine::store::VARIANTS_MAX;
use crate::engine::store::admission::{Candidate, NotAdmitted};
use crate::engine::store::object::tests::object;

fn at(seconds: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(seconds)
}

fn candidate(key: &PrimaryKey, bytes: u64) -> Candidate<'_> {
    Candidate {
        key,
        bytes,
        fresh: Duration::from_secs(60),
        asked: 1,
        room: false,
    }
}

fn key() -> PrimaryKey {
    PrimaryKey::new(Scheme::Http, "example.com", 80, "/")
}

fn put(of: u64, variant: u32, offset: u32, large: Option<Large>) -> Put {
    Put {
        name: Name([of, of]),
        variant: Variant(variant),
        offset,
        length: 100,
        large,
        at: 0,
        fresh: 60,
    }
}

fn shelf() -> Shelf {
    let mut shelf = Shelf::new(1 << 30);
    shelf.switch(true);
    shelf.segment_begun(0);
    shelf
}

fn write(shelf: &mut Shelf, put: &Put, segment: u32) -> bool {
    let offered = shelf.offer((put.name, put.variant), &candidate(&key(), 100));
    shelf.written(at(0), offered.unwrap(), put, segment)
}

#[test]
fn what_happened_while_it_was_written_comes_first() {
    let mut shelf = shelf();
    let one = put(1, 0, 64, None);
    let first = shelf.offer((one.name, one.variant), &candidate(&key(), 100));
    shelf.forget(one.name, None);
    assert_eq!(shelf.take_removals(), [], "it is on its way");
    assert!(!shelf.written(at(0), first.unwrap(), &one, 0));
    assert!(!shelf.has(one.name));
    assert_eq!(shelf.take_removals(), [(one.name, Some(one.variant))]);
    let first = shelf.offer((one.name, one.variant), &candidate(&key(), 100));
    let second = shelf.offer((one.name, one.variant), &candidate(&key(), 100));
    assert!(!shelf.written(at(0), first.unwrap(), &one, 0));
    assert!(shelf.written(at(0), second.unwrap(), &put(1, 0, 200, None), 0));
    assert_eq!(shelf.read(one.name)[0].spot.offset, 200);
    shelf.forget(Name([9, 9]), None);
    assert!(!shelf.has_removals(), "the newer record says it");
    let third = shelf.offer((one.name, one.variant), &candidate(&key(), 100));
    shelf.not_written(third.unwrap());
    assert!(!shelf.has(one.name) && shelf.take_removals().len() == 1);
}

#[test]
fn only_so_many_removals_wait_for_the_disk() {
    let mut shelf = shelf();
    let some = (Name([1, 1]), None);
    shelf.untold(vec![some; REMOVALS_MAX + 3]);
    assert_eq!(shelf.removals_lost(), 3);
    assert_eq!(shelf.take_removals().len(), REMOVALS_MAX);
}

#[test]
fn variants_are_kept_beside_each_other_and_go_together_or_alone() {
    let mut shelf = shelf();
    for (variant, offset) in [(1, 64), (2, 200), (3, 300), (2, 400)] {
        assert!(write(&mut shelf, &put(1, variant, offset, None), 0));
    }
    assert_eq!((shelf.len(), shelf.read(Name([1, 1])).len()), (3, 3));
    shelf.forget(Name([1, 1]), Some(Variant(2)));
    shelf.forget(Name([1, 1]), Some(Variant(2)));
    assert_eq!(shelf.take_removals(), [(Name([1, 1]), Some(Variant(2)))]);
    let spot = Spot {
        segment: 0,
        offset: 300,
    };
    assert!(shelf.spoilt(Name([1, 1]), spot) && !shelf.spoilt(Name([1, 1]), spot));
    assert_eq!(shelf.len(), 1);
    shelf.forget(Name([1, 1]), None);
    assert!(shelf.is_empty());
}

#[test]
fn a_large_body_goes_with_the_last_record_of_it() {
    let mut shelf = shelf();
    let before = shelf.used();
    let large = Large {
        id: 7,
        bytes: 10_000,
    };
    write(&mut shelf, &put(1, 0, 64, Some(large)), 0);
    assert_eq!(shelf.used() - before, 12_288 + FILE_COST);
    // Confirmed: another record of the same file.
    write(&mut shelf, &put(1, 0, 200, Some(large)), 0);
    assert_eq!(shelf.used() - before, 12_288 + FILE_COST);
    assert_eq!(shelf.take_loose(), []);
    assert!(shelf.has_file(7));
    shelf.forget(Name([1, 1]), None);
    assert_eq!((shelf.take_loose(), shelf.used()), (vec![large], before));
    write(&mut shelf, &put(2, 0, 300, Some(large)), 0);
    assert!(shelf.spoilt_file(7) && !shelf.spoilt_file(7));
    assert!(shelf.is_empty());
}

#[test]
fn what_is_not_written_has_a_reason() {
    let mut shelf = Shelf::new(800);
    let key = key();
    let offer = |shelf: &mut Shelf, n: u64, bytes| {
        let offered = shelf.offer((Name([n, n]), Variant(0)), &candidate(&key, bytes));
        offered.map(drop)
    };
    assert_eq!(offer(&mut shelf, 0, 1), Err(NotShelved::Off));
    shelf.switch(true);
    assert_eq!(offer(&mut shelf, 0, 401), Err(NotShelved::TooLarge));
    for n in 0..PENDING_MAX as u64 {
        assert_eq!(offer(&mut shelf, n, 100), Ok(()));
    }
    assert_eq!(offer(&mut shelf, 0, 100), Err(NotShelved::Behind));

    #[derive(Debug)]
    struct Nothing;
    impl Admission for Nothing {
        fn to_disk(&mut self, _: &Candidate<'_>) -> Result<(), NotAdmitted> {
            Err(NotAdmitted::Once)
        }
        fn stays_on_disk(&mut self, _: bool) -> bool {
            false
        }
    }
    let mut shelf = Shelf::new(800).with_admission(Box::new(Nothing));
    shelf.switch(true);
    let refused = Err(NotShelved::Admission(NotAdmitted::Once));
    assert_eq!(offer(&mut shelf, 0, 1), refused);
}

#[test]
fn the_oldest_segment_goes_and_what_was_read_moves() {
    let mut shelf = Shelf::new(64 << 10);
    shelf.switch(true);
    for segment in 0..3 {
        shelf.segment_begun(segment);
        shelf.segment_grew(segment, 10_000, false);
    }
    let (read, unread) = (put(1, 0, 64, None), put(2, 0, 200, None));
    write(&mut shelf, &read, 0);
    write(&mut shelf, &unread, 0);
    shelf.read(read.name);
    assert_eq!(shelf.in_the_way(1_000), None);
    assert_eq!(shelf.in_the_way(20_000), Some(0));
    assert_eq!(shelf.reclaim(at(20), &read, 0), Fate::Moves(40));
    assert_eq!(shelf.reclaim(at(20), &unread, 0), Fate::Gone);
    assert_eq!(shelf.reclaim(at(20), &unread, 0), Fate::Dead);
    let spot = shelf.read(read.name)[0].spot;
    assert!(shelf.moved(spot, &put(1, 0, 64, None), 2));
    shelf.segment_gone(0);
    assert_eq!(shelf.read(read.name)[0].spot.segment, 2);
    assert_eq!(shelf.used(), 2 * (12_288 + 2 * FILE_COST));
    // Without a word from its entries, what a segment held goes with it.
    shelf.segment_gone(2);
    assert!(shelf.is_empty());
}

#[test]
fn an_empty_segment_goes_early_unless_it_remembers_what_is_gone() {
    let mut shelf = shelf();
    shelf.segment_begun(1);
    shelf.segment_begun(2);
    shelf.segment_begun(3);
    write(&mut shelf, &put(1, 0, 64, None), 0);
    shelf.segment_grew(1, 64, true);
    assert_eq!(shelf.empty_segment(Some(3)), Some(2));
    shelf.segment_gone(2);
    assert_eq!(shelf.empty_segment(Some(3)), None);
    shelf.forget(Name([1, 1]), None);
    assert_eq!(shelf.empty_segment(Some(3)), Some(0));
    shelf.segment_gone(0);
    assert_eq!(shelf.empty_segment(Some(3)), Some(1));
}

#[test]
fn the_index_takes_less_than_128_bytes_for_each() {
    let mut shelf = shelf();
    for n in 0..100_000_u64 {
        let mut one = put(n, 0, 64, None);
        one.name = Name([n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n]);
        write(&mut shelf, &one, 0);
    }
    assert_eq!(shelf.len(), 100_000);
    // Just after the table has grown it is the emptiest: seven sixteenths.
    let slot = size_of::<(Name, Places)>() as u64 + 1;
    assert!(slot * 16 / 7 <= 128, "{slot} a slot");
    assert!(
        shelf.index_bytes() <= 100_000 * 128,
        "{}",
        shelf.index_bytes()
    );
}

#[test]
fn freshness_is_known_without_a_look_at_the_disk() {
    let mut shelf = shelf();
    write(&mut shelf, &put(1, 0, 64, None), 0);
    let (_, left) = shelf.freshest(Name([1, 1]), at(20)).unwrap();
    assert_eq!(left, Duration::from_secs(40));
    let least = Duration::from_secs(2);
    assert_eq!(shelf.fresh(at(20), least, 9).len(), 1);
    assert_eq!(shelf.fresh(at(59), least, 9), []);
    assert_eq!(shelf.fresh(at(20), least, 0), []);
}

/// Where the machine may stop: after `steps` of them and so many bytes of the next.
fn crashed(steps: &[Step], whole: usize, bytes: usize) -> Disk {
    let mut disk = Disk::default();
    steps[..whole]
        .iter()
        .for_each(|step| disk.apply(step, usize::MAX));
    if let Some(next) = steps.get(whole) {
        disk.apply(next, bytes);
    }
    disk
}

#[test]
fn whatever_the_byte_at_which_it_stops_each_object_is_whole_or_absent() {
    for seed in 0..12 {
        let mut rng = Generator::from_seed(seed);
        let mut world = World::new();
        for version in 0..400 {
            world.act(&mut rng, version);
        }
        world.flush();
        // Stopped between two steps, or anywhere in one.
        for _ in 0..150 {
            let whole = rng.below(world.steps.len());
            let Step::Write(_, _, bytes) = &world.steps[whole] else {
                continue;
            };
            let cut = rng.below(bytes.len() + 1);
            let disk = crashed(&world.steps, whole, cut);
            let mut shelf = disk.recovered(at(1_000));
            for n in 0..40 {
                // Panics if what is read is not what some version of it was.
                disk.version(&mut shelf, n);
            }
        }
        // After the last step: the last version of each, or none if there was no room for it.
        let mut shelf = world.disk.recovered(at(1_000));
        for n in 0..40 {
            let found = world.disk.version(&mut shelf, n);
            let before = world.shelf.has(name(n));
            assert_eq!(found.is_some(), before, "seed {seed} url {n}");
            assert!(found.is_none() || found == world.latest.get(&n).copied());
        }
        assert_eq!(shelf.len(), world.shelf.len());
        assert_eq!(shelf.used(), world.shelf.used());
    }
}

#[test]
fn what_the_disk_lost_or_spoilt_is_never_read_as_whole() {
    let mut rng = Generator::from_seed(9);
    for _ in 0..60 {
        let mut world = World::new();
        for version in 0..100 {
            world.act(&mut rng, version);
        }
        world.flush();
        // Without power, pages arrive in any order: some are zeros, some flip.
        for bytes in world.disk.0.values_mut() {
            for page in bytes.chunks_mut(512) {
                match rng.below(20) {
                    0 => page.fill(0),
                    1 => page[0] ^= 4,
                    _ => {}
                }
            }
        }
        let mut shelf = world.disk.recovered(at(1_000));
        for n in 0..40 {
            for place in shelf.read(name(n)) {
                let data = &world.disk.0[&(place.spot.segment, false)];
                let at = place.spot.offset as usize;
                let bytes = &data[at..at + place.length as usize];
                let Ok(record) = record::Record::read(bytes, place.spot.segment) else {
                    continue;
                };
                let record::Kept::Inline(range) = record.body else {
                    panic!("no large bodies here");
                };
                let version = u64::from_le_bytes(*bytes[range.clone()].first_chunk().unwrap());
                assert_eq!(bytes[range], *model::body(n, version));
            }
        }
    }
}

#[test]
fn restarts_keep_lifetimes_and_drop_what_is_not_there() {
    let mut world = World::new();
    world.put(1, 5);
    world.put(2, 6);
    world.flush();
    let shelf = world.disk.recovered(at(100));
    assert_eq!(
        shelf.freshest(name(1), at(100)).unwrap().1,
        Duration::from_secs(500)
    );
    let shelf = world.disk.recovered(at(700));
    assert_eq!(shelf.freshest(name(1), at(700)).unwrap().1, Duration::ZERO);
    // The last record's bytes are not there.
    let data = world.disk.0.get_mut(&(0, false)).unwrap();
    data.pop();
    let shelf = world.disk.recovered(at(100));
    assert!(shelf.has(name(1)) && !shelf.has(name(2)));
    assert_eq!(object("/1", &[], &[], 0).key.path_and_query(), "/1");
}

#[test]
fn the_file_of_a_body_stays_while_a_newer_head_for_it_is_written() {
    let mut shelf = shelf();
    let large = Large { id: 5, bytes: 10 };
    let (old, new) = (put(1, 0, 64, Some(large)), put(1, 0, 200, Some(large)));
    assert!(write(&mut shelf, &old, 0));
    let offered = shelf.offer((old.name, old.variant), &candidate(&key(), 10));
    assert_eq!(shelf.take_loose(), [], "its new record may speak of it");
    let again = shelf.offer((old.name, old.variant), &candidate(&key(), 10));
    assert!(
        !shelf.written(at(0), offered.unwrap(), &new, 0),
        "a newer one is on its way"
    );
    assert_eq!(shelf.take_loose(), []);
    assert!(shelf.written(at(0), again.unwrap(), &put(1, 0, 400, Some(large)), 0));
    assert_eq!(shelf.take_loose(), []);
    // Another body under the same name, one that is not written, and one that is forgotten meanwhile.
    let offered = shelf.offer((old.name, old.variant), &candidate(&key(), 10));
    assert!(shelf.written(at(0), offered.unwrap(), &put(1, 0, 600, None), 0));
    assert_eq!(shelf.take_loose(), [large]);
    for n in [2, 3] {
        let large = Large {
            id: 10 + n,
            bytes: 10,
        };
        let old = put(n, 0, 64, Some(large));
        assert!(write(&mut shelf, &old, 0));
        let offered = shelf.offer((old.name, old.variant), &candidate(&key(), 10));
        match n {
            2 => shelf.not_written(offered.unwrap()),
            _ => shelf.forget(old.name, None),
        }
        assert_eq!(shelf.take_loose(), [large]);
    }
    assert_eq!(shelf.files(), 0);
}

#[test]
fn of_many_variants_the_last_few_stay() {
    let mut shelf = shelf();
    let all = u32::try_from(VARIANTS_MAX + 3).unwrap();
    for variant in 0..all {
        assert!(write(&mut shelf, &put(1, variant, variant * 100, None), 0));
    }
    let kept = shelf.read(Name([1, 1]));
    let kept: Vec<_> = kept.iter().map(|place| place.variant.0).collect();
    assert_eq!(kept, (3..all).collect::<Vec<_>>());
    let gone: Vec<_> = (0..3).map(|n| (Name([1, 1]), Some(Variant(n)))).collect();
    assert_eq!(
        shelf.take_removals(),
        gone,
        "a restart does not bring them back"
    );
    assert_eq!(shelf.len(), VARIANTS_MAX);
}
