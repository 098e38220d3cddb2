//! One writer and its readers: in step, behind, late, cut off.

use std::time::Duration;

use http_body_util::BodyExt as _;

use super::reader::FIRST_READ;
use super::*;
use crate::shell::spill::SpillSpace;

const DIGEST: Digest = [7; 32];

fn rule(limit: u64, over: u64) -> SpillRule {
    let space = Arc::new(SpillSpace::new(std::env::temp_dir(), limit));
    SpillRule { space, over }
}

fn room() -> Arc<Room> {
    Arc::new(Room::new(u64::MAX))
}

async fn all<S: Unpin>(reader: Reader<S>) -> Result<Vec<u8>, Cut> {
    reader
        .collect()
        .await
        .map(|collected| collected.to_bytes().to_vec())
}

#[tokio::test]
async fn readers_follow_from_the_start_whenever_they_come() {
    let (body, mut writer) = SharedBody::new(None, Some(rule(0, 100)), &room());
    let early = tokio::spawn(all(body.reader(0, None, ())));
    writer.push("hello ".into()).await;
    let middle = tokio::spawn(all(body.reader(0, None, ())));
    writer.push("world".into()).await;
    writer.finish(Bytes::new(), DIGEST);
    let late = all(body.reader(0, None, ())).await;
    for read in [early.await.unwrap(), middle.await.unwrap(), late] {
        assert_eq!(read.unwrap(), b"hello world");
    }
    assert_eq!(
        body.weight(),
        Some(Weight {
            memory: 11,
            disk: 0
        })
    );
    assert_eq!(all(body.reader(3, Some(7), ())).await.unwrap(), b"lo w");
}

#[tokio::test]
async fn a_break_is_an_error_and_never_an_end() {
    let (body, mut writer) = SharedBody::new(Some(10), Some(rule(0, 100)), &room());
    writer.push("half".into()).await;
    writer.break_off(FailReason::Truncated);
    let read = all(body.reader(0, None, ())).await;
    assert_eq!(read, Err(Cut(FailReason::Truncated)));

    let (body, mut writer) = SharedBody::new(None, Some(rule(0, 100)), &room());
    writer.push("half".into()).await;
    drop(writer);
    assert_eq!(body.end(), End::Broken(FailReason::Abandoned));
    assert!(!body.is_joinable());
}

#[tokio::test]
async fn a_large_body_is_on_disk_and_little_of_it_in_memory() {
    let (body, mut writer) = SharedBody::new(None, Some(rule(1 << 30, 1 << 20)), &room());
    let piece = Bytes::from(vec![42u8; 300_000]);
    for _ in 0..40 {
        writer.push(piece.clone()).await;
    }
    writer.finish(Bytes::new(), DIGEST);
    let weight = body.weight().unwrap();
    assert_eq!(weight.disk, 12_000_000);
    assert!(weight.memory <= TAIL + 300_000, "{weight:?}");
    let read = all(body.reader(0, None, ())).await.unwrap();
    assert!(read.len() == 12_000_000 && read.iter().all(|byte| *byte == 42));
    assert_eq!(
        all(body.reader(5_999_999, Some(6_000_001), ()))
            .await
            .unwrap(),
        [42, 42]
    );
}

#[tokio::test]
async fn one_who_has_taken_little_makes_little_wait() {
    let (body, mut writer) = SharedBody::new(None, Some(rule(1 << 30, 1 << 20)), &room());
    for _ in 0..40 {
        writer.push(Bytes::from(vec![42u8; 300_000])).await;
    }
    writer.finish(Bytes::new(), DIGEST);
    let mut reader = body.reader(0, None, ());
    let mut taken = 0;
    while let Some(frame) = reader.frame().await {
        let len = frame.unwrap().into_data().unwrap().len() as u64;
        let on_disk = taken < 12_000_000 - TAIL - 300_000;
        assert!(!on_disk || len <= FIRST_READ.max(taken / 2).min(FILE_READ));
        taken += len;
    }
    assert_eq!(taken, 12_000_000);
}

#[tokio::test]
async fn without_disk_the_writer_waits_for_its_reader() {
    let (body, mut writer) = SharedBody::new(None, None, &room());
    let reader = body.reader(0, None, ());
    let writing = tokio::spawn(async move {
        for _ in 0..40 {
            writer.push(Bytes::from(vec![1u8; 300_000])).await;
        }
        writer.finish(Bytes::new(), DIGEST);
    });
    assert_eq!(all(reader).await.unwrap().len(), 12_000_000);
    writing.await.unwrap();
    assert_eq!(body.weight(), None, "a window is not kept");
    assert!(!body.is_joinable());
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_cut_and_delays_others_a_bounded_time() {
    let (body, mut writer) = SharedBody::new(None, None, &room());
    writer.stall = Duration::from_millis(200);
    let stuck = body.reader(0, None, ());
    let good = tokio::spawn(all(body.reader(0, None, ())));
    for _ in 0..20 {
        writer.push(Bytes::from(vec![1u8; 300_000])).await;
    }
    writer.finish(Bytes::new(), DIGEST);
    assert_eq!(good.await.unwrap().unwrap().len(), 6_000_000);
    assert_eq!(all(stuck).await, Err(Cut(FailReason::ReaderTooSlow)));
}

#[tokio::test]
async fn a_full_disk_in_the_middle_loses_no_reader_that_keeps_up() {
    let (body, mut writer) = SharedBody::new(None, Some(rule(2_000_000, 1 << 20)), &room());
    let reader = tokio::spawn(all(body.reader(0, None, ())));
    for _ in 0..20 {
        writer.push(Bytes::from(vec![1u8; 300_000])).await;
        tokio::task::yield_now().await;
    }
    writer.finish(Bytes::new(), DIGEST);
    assert_eq!(reader.await.unwrap().unwrap().len(), 6_000_000);
    assert_eq!(body.weight(), None);
}

#[tokio::test]
async fn a_small_body_does_not_hold_on_to_the_buffer_it_was_read_into() {
    let buffer = Bytes::from(vec![1u8; 65_536]);
    let (body, mut writer) = SharedBody::new(None, Some(rule(0, 100)), &room());
    writer.push(buffer.slice(..10)).await;
    writer.finish(Bytes::new(), DIGEST);
    body.compact();
    assert!(buffer.is_unique(), "ten bytes keep 64 KiB");
    assert_eq!(all(body.reader(0, None, ())).await.unwrap(), [1; 10]);
}

#[tokio::test]
async fn who_reads_pieces_goes_on_with_the_one_they_become() {
    let (body, mut writer) = SharedBody::new(None, Some(rule(0, 100)), &room());
    let pieces = ["begin", "ning", "s"].map(|piece| Bytes::from(piece.as_bytes().to_vec()));
    for piece in &pieces[..2] {
        writer.push(piece.clone()).await;
    }
    let mut reader = body.reader(2, Some(9), ());
    let first = reader.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "gin");
    writer.finish(pieces[2].clone(), DIGEST);
    body.compact();
    drop(first);
    assert!(pieces.iter().all(Bytes::is_unique), "nobody needs them now");
    let content = body.content().unwrap();
    assert_eq!(content.pieces.unwrap().concat(), b"beginnings");
    assert_eq!(all(reader).await.unwrap(), b"ning");
    let past_the_end = all(body.reader(10, None, ())).await;
    assert!(past_the_end.unwrap().is_empty());
}

#[tokio::test]
async fn bytes_of_a_whole_body_count_for_as_long_as_somebody_has_them() {
    let room = room();
    let body = SharedBody::whole(Box::from(&b"0123456789"[..]), DIGEST, &room);
    let [taken, other] = [(); 2].map(|()| body.piece().unwrap());
    let pieces = body.content().unwrap().pieces.unwrap();
    assert_eq!(pieces, std::slice::from_ref(&taken));
    drop((body, other, pieces));
    assert_eq!((room.used(), &taken[8..]), (10, &b"89"[..]));
    drop(taken);
    assert_eq!(room.used(), 0);
}

#[tokio::test]
async fn when_memory_is_short_bodies_go_to_disk_and_windows_hold_one_piece() {
    const PIECE: usize = 10_000;
    let room = Arc::new(Room::new(50_000));
    let kept = || SharedBody::new(None, Some(rule(1 << 30, 1 << 20)), &room);
    let mut bodies: Vec<_> = (0..10).map(|_| kept()).collect();
    for _ in 0..20 {
        for (_, writer) in &mut bodies {
            writer.push(vec![7; PIECE].into()).await;
        }
    }
    assert!(room.used() <= 60_000, "{} of 2,000,000 bytes", room.used());
    for (body, writer) in bodies.drain(..) {
        writer.finish(Bytes::new(), DIGEST);
        assert_eq!(
            all(body.reader(0, None, ())).await.unwrap().len(),
            20 * PIECE
        );
    }
    assert_eq!(room.used(), 0);

    room.hold(50_000);
    let (body, mut writer) = SharedBody::new(None, None, &room);
    let reader = tokio::spawn(all(body.reader(0, None, ())));
    for _ in 0..20 {
        writer.push(vec![7; PIECE].into()).await;
        assert!(room.used() <= 60_000, "a window beyond a piece");
    }
    writer.finish(Bytes::new(), DIGEST);
    assert_eq!(reader.await.unwrap().unwrap().len(), 20 * PIECE);
    drop(body);
    assert_eq!(room.used(), 50_000);
}

#[tokio::test]
async fn a_body_goes_on_from_what_there_is_of_a_broken_one() {
    let room = room();
    for over in [100, 3] {
        let rule = rule(1_000, over);
        let (broken, mut writer) = SharedBody::new(Some(10), Some(rule.clone()), &room);
        let early = tokio::spawn(all(broken.reader(0, None, ())));
        writer.push("begin".into()).await;
        writer.break_off(FailReason::Truncated);
        let (body, mut writer) = SharedBody::going_on_from(&broken, Some(rule)).unwrap();
        let from_start = tokio::spawn(all(body.reader(0, None, ())));
        writer.push("ning".into()).await;
        writer.prepare(&"s".into()).await;
        writer.finish("s".into(), DIGEST);
        assert_eq!(from_start.await.unwrap().unwrap(), b"beginnings", "{over}");
        assert_eq!(early.await.unwrap(), Err(Cut(FailReason::Truncated)));
        assert!(body.is_whole() && !broken.is_whole());
        drop((body, broken));
        assert_eq!(room.used(), 0);
    }
    // Without room on disk only the end of it is held.
    let (broken, mut writer) = SharedBody::new(None, None, &room);
    let reader = tokio::spawn(all(broken.reader(0, None, ())));
    writer.push(vec![7; 1_500_000].into()).await;
    writer.push(vec![7; 1_500_000].into()).await;
    writer.break_off(FailReason::Truncated);
    reader.await.unwrap().unwrap_err();
    assert!(SharedBody::going_on_from(&broken, None).is_none());
}

#[tokio::test]
async fn a_file_has_no_gaps_when_memory_is_short_for_a_moment() {
    let room = Arc::new(Room::new(100));
    let (body, mut writer) = SharedBody::new(None, Some(rule(1 << 20, 1 << 20)), &room);
    writer.push("one".into()).await;
    for (piece, short) in [("two", true), ("thr", false), ("ee!", true)] {
        if short {
            room.hold(100);
        }
        writer.push(piece.into()).await;
        if short {
            room.let_go(100);
        }
    }
    writer.finish(Bytes::new(), DIGEST);
    let read = all(body.reader(0, None, ())).await;
    assert_eq!(read.unwrap(), b"onetwothree!");
}
