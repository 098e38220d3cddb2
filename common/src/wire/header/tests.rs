//! Golden vectors and refusals of the datagram header.

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;
use crate::wire::secret::NetworkSecret;

fn network(byte: u8) -> Network {
    NetworkSecret::from_bytes([byte; 32]).network(1)
}

fn sample() -> Header {
    Header {
        kind: 3,
        tx: TxId(0x0102_0304_0506_0708),
        sender: NodeId::from_bytes([0xaa; 20]),
        receiver: Some(NodeId::from_bytes([0xbb; 20])),
        levels: vec![
            LevelInfo {
                cluster: ClusterId::ZERO,
                size: 5,
                age_s: 60,
            },
            LevelInfo {
                cluster: ClusterId::new(0xcccc_cccc_cccc_cccc),
                size: 3,
                age_s: 30,
            },
        ],
    }
}

/// The bytes on the wire are a promise to every other release of this generation: a change here
/// means a new `GENERATION`.
#[test]
fn matches_the_golden_vector() {
    let datagram = seal(&network(7), &sample(), b"body").unwrap();
    let golden = include_str!("golden.hex").replace(['\n', ' '], "");
    assert_eq!(HEXLOWER.encode(&datagram), golden);
}

#[test]
fn opens_what_it_sealed() {
    let datagram = seal(&network(7), &sample(), b"body").unwrap();
    assert_eq!(open(&network(7), &datagram), Ok((sample(), &b"body"[..])));
}

#[test]
fn refuses_in_the_order_of_the_checks() {
    let net = network(7);
    let good = seal(&net, &sample(), b"body").unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        open(&net, &bytes).unwrap_err()
    };
    assert_eq!(open(&net, &good[..75]).unwrap_err(), DropReason::Length);
    assert_eq!(
        open(&net, &[0; DATAGRAM_MAX + 1]).unwrap_err(),
        DropReason::Length
    );
    assert_eq!(with(0, b'X'), DropReason::Magic);
    assert_eq!(with(4, 9), DropReason::Format);
    assert_eq!(with(8, good[8] ^ 1), DropReason::OtherNetwork);
    assert_eq!(with(30, good[30] ^ 1), DropReason::Tag);
    assert_eq!(
        open(&network(8), &good).unwrap_err(),
        DropReason::OtherNetwork
    );
}

#[test]
fn refuses_more_levels_than_there_are_bytes_for() {
    let net = network(7);
    let mut header = sample();
    header.levels = vec![LevelInfo::default(); LEVELS_MAX + 1];
    assert!(seal(&net, &header, b"").is_err());
    // An authentic writer that miscounts: the tag holds, the levels do not.
    let mut datagram = seal(&net, &sample(), b"").unwrap();
    let signed = datagram.len() - TAG_LEN;
    datagram[6] = 3;
    let tag = tag(&net, &datagram[..signed]);
    datagram[signed..].copy_from_slice(&tag);
    assert_eq!(open(&net, &datagram).unwrap_err(), DropReason::Levels);
}

#[test]
fn refuses_to_seal_more_than_a_datagram() {
    let room = body_room(2);
    assert!(seal(&network(7), &sample(), &vec![0; room]).is_ok());
    assert!(seal(&network(7), &sample(), &vec![0; room + 1]).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..1300)) {
        prop_assert!(open(&network(7), &bytes).is_err());
    }

    #[test]
    fn any_flipped_bit_is_noticed(bit in 0usize..104 * 8) {
        let mut datagram = seal(&network(7), &sample(), b"body").unwrap();
        datagram[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open(&network(7), &datagram).is_err());
    }
}
