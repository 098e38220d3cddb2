//! Records on a disk that loses power at any byte.

use proptest::prelude::*;

use super::super::record::{DamageReason, choose, decode, encode};
use super::super::standing::Standing;
use super::documents::{intent, signed_by};
use crate::engine::document::Signed;
use crate::engine::document::words::DaemonName;

fn standing(serial: u64) -> Standing {
    let text = signed_by(1, intent(serial, "1.0.0"));
    let read = Signed::read_of_anyone(text.as_bytes(), |_| true).unwrap();
    Standing {
        current: Some(read),
        proven: true,
        ..Standing::default()
    }
}

/// What is on the disk at each moment of writing record `new` over `old`: both copies and the file
/// aside, which nobody reads. A rename happens whole, after what it names is on the disk.
fn moments(old: &[u8], new: &[u8]) -> Vec<[Vec<u8>; 2]> {
    let (old, new) = (old.to_vec(), new.to_vec());
    vec![
        [old.clone(), old.clone()],
        [new.clone(), old],
        [new.clone(), new],
    ]
}

#[test]
fn what_was_written_is_read_back() {
    let mut all = standing(3);
    all.previous = standing(2).current;
    all.staged = standing(4).current;
    let daemon = DaemonName::parse("proxy").unwrap();
    let release = "1.0.0".parse().unwrap();
    let all = all.fall_back(daemon, release).unwrap();
    assert_eq!(decode(&encode(7, &all)), Ok((7, all)));
    assert_eq!(decode(b""), Err(DamageReason::Missing));
    assert_eq!(decode(b"hello\n"), Err(DamageReason::Head));
    assert_eq!(choose([b"", b"x"]), None);
}

#[test]
fn a_record_of_a_newer_program_is_not_half_understood() {
    let json = "{\"novel\":1}";
    let digest = blake3::hash(format!("1\n{json}").as_bytes());
    let text = format!("atoll-agent-state 1 1 {digest}\n{json}\n");
    assert_eq!(decode(text.as_bytes()), Err(DamageReason::Content));
}

proptest! {
    /// Power is cut at any moment, and what lies in one of the copies is cut or changed at any byte: the
    /// standing before or the new one is there, never another and never none.
    #[test]
    fn one_standing_of_two_survives_anything(
        moment in 0..3_usize,
        copy in 0..2_usize,
        at in any::<prop::sample::Index>(),
        cut in any::<bool>(),
        flip in 1..=255_u8,
    ) {
        let (old, new) = (encode(1, &standing(1)), encode(2, &standing(2)));
        let mut disk = moments(&old, &new).swap_remove(moment);
        let damaged = &mut disk[copy];
        let at = at.index(damaged.len());
        if cut {
            damaged.truncate(at);
        } else {
            damaged[at] ^= flip;
        }
        let (sequence, found) = choose([&disk[0], &disk[1]]).expect("one copy is whole");
        prop_assert_eq!(found, standing(sequence));
    }
}
