//! The store on a real file system, and on one that fails. The writer's turns are taken by hand.

mod rig;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use common::clock::{Clock as _, SystemClock, WallTime};
use common::config::{Settings, Sources};
use common::rng::Generator;
use http::{HeaderMap, StatusCode};
use prometheus_client::registry::Registry;

use self::rig::{
    FULL, GOOD, LYING, NO_FILES, NO_READS, READ_ONLY, Rig, SHORT, body, directory, files, key,
};
use super::counters::ReadOutcome;
use super::disk::{Machine, Medium};
use super::recover::OpenError;
use super::writer::{DiskFault, Writer};
use super::{DiskStore, HasShelf, Job, Write, ask, reader};
use crate::engine::config::{Config, KEYS};
use crate::engine::http::fresh::{FreshPolicy, Heat};
use crate::engine::http::key::{PrimaryKey, Scheme};
use crate::engine::shelf::record::{name_of, variant_of};
use crate::engine::shelf::{NotShelved, Shelf};
use crate::engine::store::admission::Candidate;
use crate::engine::store::object::{Object, Received};
use crate::shell::body::SharedBody;
use crate::shell::fill::Response;
use crate::shell::room::Room;
use crate::shell::run;
use crate::shell::spill::{Spill, SpillSpace};

#[test]
fn what_was_kept_is_there_after_a_restart() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    for n in 0..50 {
        rig.put(n, &body(n));
    }
    let big = vec![9; 2_000_000];
    let large = rig.large(77, &big);
    rig.keep(&large, 0).unwrap();
    rig.turn();
    assert_eq!(rig.space.used(), 0, "its bytes are the store's now");
    drop((large, rig));
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.ask(|shelf| (shelf.len(), shelf.files())), (51, 1));
    for n in 0..50 {
        assert_eq!(rig.read(n), Some(body(n)), "{n}");
    }
    assert!(rig.read(77) == Some(big));
    rig.ask(|shelf| shelf.forget(name_of(&key(7)), None));
    rig.ask(|shelf| shelf.forget(name_of(&key(77)), None));
    rig.put(8, b"newer");
    rig.turn();
    drop(rig);
    let rig = Rig::new(dir.path());
    assert_eq!((rig.read(7), rig.read(8)), (None, Some(b"newer".to_vec())));
    assert_eq!(rig.read(77), None);
    let left = fs::read_dir(dir.path().join("v1/large")).unwrap().count();
    assert_eq!(left, 0, "a large body goes with its record");
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let dir = directory();
    let rig = Rig::new(dir.path());
    let error = rig.store.open().unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&format!("({})", std::process::id())),
        "{text}"
    );
    drop(rig);
    assert!(Rig::new(dir.path()).ask(|shelf| shelf.is_empty()));
}

#[test]
fn forty_flipped_bytes_are_forty_misses_and_no_wrong_byte() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    for n in 0..200 {
        rig.put(n, &body(n));
    }
    let data = &files(dir.path())[1];
    let file = fs::OpenOptions::new().write(true).open(data).unwrap();
    for n in 0..40 {
        let place = rig.ask(|shelf| shelf.read(name_of(&key(n * 5))))[0];
        let at = u64::from(place.spot.offset) + n as u64 * u64::from(place.length) / 40;
        let old = rig
            .store
            .disk
            .read(&File::open(data).unwrap(), 1, at)
            .unwrap();
        file.write_all_at(&[old[0] ^ 1], at).unwrap();
    }
    for n in 0..200 {
        let want = (n % 5 != 0).then(|| body(n));
        assert!(rig.read(n) == want, "{n}");
    }
    let len = fs::metadata(data).unwrap().len();
    file.set_len(len / 2).unwrap();
    assert!(rig.read(199).is_none(), "it is cut off");
    assert!(rig.read(1) == Some(body(1)));
}

#[test]
fn damage_in_a_large_body_is_never_read() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let large = rig.large(1, &big);
    rig.keep(&large, 0).unwrap();
    rig.turn();
    drop(large);
    let path = dir.path().join("v1/large/00000000");
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"!", 2_500_000).unwrap();
    assert!(rig.read(1).is_none());
    fs::remove_file(&path).unwrap();
    assert!(rig.read(1).is_none());
    rig.turn();
    assert!(rig.ask(|shelf| shelf.is_empty()), "the writer was told");
}

#[test]
fn a_large_body_is_written_again_under_a_newer_head_without_losing_its_file() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    let large = rig.large(1, &vec![7; 1_500_000]);
    let path = dir.path().join("v1/large/00000000");
    for _ in 0..3 {
        // As after a 304: the same body, and a segment has to go before it is written.
        rig.keep(&large, 0).unwrap();
        rig.writer.make_room(&*Arc::clone(&rig.shelves), 0).unwrap();
        rig.writer.remove_loose(&*Arc::clone(&rig.shelves)).unwrap();
        rig.turn();
        assert!(path.exists());
        assert!(rig.read(1) == Some(vec![7; 1_500_000]));
    }
    assert_eq!(rig.ask(|shelf| shelf.files()), 1);
}

#[test]
fn the_number_of_a_large_body_that_went_is_not_given_again() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    let (one, two) = (vec![1; 1_500_000], vec![2; 1_500_000]);
    let large = rig.large(1, &one);
    rig.keep(&large, 0).unwrap();
    rig.turn();
    drop((large, rig));
    // As after a power cut: the file is gone, the entry that speaks of it is not.
    fs::remove_file(dir.path().join("v1/large/00000000")).unwrap();
    let mut rig = Rig::new(dir.path());
    let large = rig.large(2, &two);
    rig.keep(&large, 0).unwrap();
    rig.turn();
    drop((large, rig));
    let rig = Rig::new(dir.path());
    assert!(rig.read(1).is_none());
    assert!(rig.read(2) == Some(two));
}

#[test]
fn a_segment_that_could_not_be_begun_leaves_nothing() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    rig.mood.set(FULL);
    for n in 0..5 {
        let object = rig.object(n, &body(n));
        let _ = rig.keep(&object, 100);
        rig.turn();
        rig.ask(|shelf| shelf.switch(true));
    }
    let left = files(dir.path());
    let of_segment = |path: &&PathBuf| {
        path.extension()
            .is_some_and(|of| of == "seg" || of == "idx")
    };
    assert_eq!(left.iter().filter(of_segment).count(), 0, "{left:?}");
}

#[test]
fn the_budget_holds_and_what_is_read_stays_longest() {
    let dir = directory();
    let mut rig = Rig::with(dir.path(), 4 << 20);
    for n in 0..3_000 {
        rig.put(n, &body(n));
        if n > 5 {
            assert!(rig.read(5) == Some(body(5)), "{n}: it is read all the time");
        }
    }
    let used = rig.ask(|shelf| shelf.used());
    assert!(used <= 4 << 20, "{used}");
    let on_disk: u64 = files(dir.path())
        .iter()
        .map(|path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap()) * 512)
        .sum();
    assert!(on_disk <= used, "{on_disk} on disk, {used} counted");
    assert!(rig.read(100).is_none(), "written long ago and not read");
    assert!(rig.read(2_999) == Some(body(2_999)));
}

#[test]
fn large_bodies_make_room_for_each_other() {
    let dir = directory();
    let mut rig = Rig::with(dir.path(), 16 << 20);
    for n in 0..40 {
        let large = rig.large(n, &vec![1; 1_500_000]);
        rig.keep(&large, 0).unwrap();
        rig.turn();
    }
    let (used, files) = rig.ask(|shelf| (shelf.used(), shelf.files()));
    assert!(
        used <= 16 << 20 && files >= 7,
        "{used} bytes, {files} files"
    );
    let there = fs::read_dir(dir.path().join("v1/large")).unwrap().count();
    assert_eq!(there, files);
    assert_eq!(rig.space.used(), 0);
    let too_large = rig.large(99, &vec![1; 8_500_000]);
    assert_eq!(rig.keep(&too_large, 0), Err(NotShelved::TooLarge));
}

#[test]
fn one_that_is_still_read_holds_its_bytes_when_it_had_to_go() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    let large = rig.large(1, &vec![1; 1_500_000]);
    rig.keep(&large, 0).unwrap();
    rig.turn();
    rig.ask(|shelf| shelf.forget(name_of(&key(1)), None));
    rig.turn();
    rig.turn();
    assert_eq!(rig.space.used(), 1_500_000);
    assert!(
        large
            .body
            .content()
            .unwrap()
            .file
            .unwrap()
            .read(0, 10)
            .is_ok()
    );
    drop(large);
    assert_eq!(rig.space.used(), 0);
}

/// Takes turns until the store writes again.
fn until_back(rig: &mut Rig) {
    let began = rig.store.clock.moment();
    while rig.store.failing().is_some() {
        let waited = rig.store.clock.moment().since(began);
        assert!(waited < Duration::from_secs(10), "it does not come back");
        rig.turn();
        std::thread::yield_now();
    }
}

#[test]
fn a_disk_that_is_full_or_read_only_is_left_alone_and_comes_back() {
    for (mood, word) in [
        (FULL, DiskFault::Full),
        (READ_ONLY, DiskFault::ReadOnly),
        (LYING, DiskFault::Lying),
        (NO_FILES, DiskFault::Files),
    ] {
        let dir = directory();
        let mut rig = Rig::new(dir.path());
        rig.put(1, &body(1));
        // The next one begins a segment, for which files are made.
        drop(rig);
        let mut rig = Rig::new(dir.path());
        rig.mood.set(mood);
        rig.put(2, &body(2));
        if mood == LYING {
            assert!(rig.read(2).is_none(), "what it says it wrote is not there");
            rig.mood.set(FULL);
            rig.put(3, &body(3));
            rig.mood.set(LYING);
            std::thread::yield_now();
            rig.turn();
        }
        let failing = rig.store.failing().unwrap();
        assert!(failing.what == word || mood == LYING, "{failing:?}");
        let object = rig.object(4, &body(4));
        assert_eq!(rig.keep(&object, 0), Err(NotShelved::Off));
        assert!(rig.read(1) == Some(body(1)), "what is there is read");
        rig.mood.set(GOOD);
        until_back(&mut rig);
        rig.put(5, &body(5));
        assert!(rig.read(5) == Some(body(5)));
        drop(rig);
        let rig = Rig::new(dir.path());
        assert!(
            rig.read(5) == Some(body(5)) && rig.read(2).is_none(),
            "{word:?}"
        );
    }
}

#[test]
fn short_writes_are_finished_and_failed_reads_are_misses() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    rig.mood.set(SHORT);
    rig.put(1, &body(1));
    assert!(rig.read(1) == Some(body(1)));
    rig.mood.set(NO_READS);
    assert!(rig.read(1).is_none());
    rig.mood.set(GOOD);
    assert!(rig.read(1) == Some(body(1)));
}

#[test]
fn a_disk_that_mostly_gives_other_bytes_back_is_left_alone() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    for (whole, is_trusted) in [(16, true), (15, false)] {
        for _ in 0..16 {
            rig.store.count_read(ReadOutcome::Damaged);
        }
        (0..whole).for_each(|_| rig.store.count_read(ReadOutcome::Whole));
        rig.turn();
        let failing = rig.store.failing();
        assert_eq!(failing.is_none(), is_trusted, "{whole} were whole");
        assert!(failing.is_none_or(|failing| failing.what == DiskFault::Lying));
    }
    until_back(&mut rig);
}

#[tokio::test]
async fn a_request_waits_for_a_slow_disk_for_a_while_and_goes_on() {
    let dir = directory();
    let sets = [
        "zone=nyud.test".to_owned(),
        format!("store.dir={}", dir.path().display()),
    ];
    let sources = Sources {
        sets: &sets,
        ..Sources::default()
    };
    let config = Config::build(&mut Settings::resolve(KEYS, &sources));
    let (ctx, ..) = run::context(config, &common::shell::supervisor::Supervisor::none()).unwrap();
    let store = ctx.store.as_ref().unwrap();
    // A read that does not end.
    let (_reading, done) = tokio::sync::watch::channel(None);
    store.loads.lock().unwrap().insert(key(1), done);
    assert!(reader::load(&ctx, &key(1)).await.is_empty());
    // As many as are carried are under way: the next one does not wait at all.
    let readers = Arc::clone(&store.readers);
    let _all = readers.acquire_many(64).await.unwrap();
    assert!(reader::load(&ctx, &key(2)).await.is_empty());
    let counted = |outcome| store.counters.reads(outcome);
    assert_eq!((counted("slow"), counted("busy")), (1, 1));
}

#[test]
fn a_directory_that_vanishes_is_made_again() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    rig.put(1, &body(1));
    fs::remove_dir_all(dir.path().join("v1")).unwrap();
    assert!(rig.read(1) == Some(body(1)), "open files are still there");
    // Fill the segment, so that another one is begun.
    for n in 2..600 {
        rig.put(n, &body(n));
    }
    assert!(rig.read(599) == Some(body(599)));
    drop(rig);
    let rig = Rig::new(dir.path());
    assert!(rig.read(599) == Some(body(599)) && rig.read(1).is_none());
}

#[test]
fn what_another_version_wrote_is_put_aside() {
    let dir = directory();
    let mut rig = Rig::new(dir.path());
    rig.put(1, &body(1));
    drop(rig);
    let rig = Rig::new(dir.path());
    let index = &files(dir.path())[0];
    let mut bytes = fs::read(index).unwrap();
    bytes[8] = 9;
    fs::write(index, &bytes).unwrap();
    drop(rig);
    let mut rig = Rig::new(dir.path());
    assert!(rig.read(1).is_none());
    let aside = dir.path().join("v1/aside");
    assert_eq!(
        fs::read_dir(&aside).unwrap().count(),
        2,
        "nothing is deleted"
    );
    rig.put(1, &body(2));
    drop(rig);
    assert!(Rig::new(dir.path()).read(1) == Some(body(2)));
    assert_eq!(fs::read_dir(&aside).unwrap().count(), 2);
}

#[test]
fn only_so_much_waits_to_be_written() {
    let dir = directory();
    let rig = Rig::new(dir.path());
    let object = rig.object(1, &body(1));
    let which = (name_of(&object.key), variant_of(&object));
    let candidate = Candidate {
        key: &object.key,
        bytes: 1,
        fresh: Duration::ZERO,
        asked: 1,
        room: false,
    };
    let ticket = rig.ask(|shelf| shelf.offer(which, &candidate)).unwrap();
    assert!(rig.store.put(ticket, &object, super::QUEUE_BYTES));
    assert!(!rig.store.put(ticket, &object, 1), "too many bytes wait");
    assert_eq!(rig.store.queued(), super::QUEUE_BYTES);
}
