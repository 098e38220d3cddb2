//! Identifiers of the index and their XOR metric.
//!
//! Node ids and keys live in one 160-bit space but are different types: a key is never passed where
//! a node is meant. A node does not choose its id (see [`NodeId::of`]). Cluster ids have no place in
//! that space and are shorter.

use std::cmp::Ordering;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use blake3::Hasher;
use blake3::hazmat::HasherExt;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

/// Bytes of an identifier: 160 bits, as in the Coral and Kademlia papers.
pub const ID_LEN: usize = 20;

/// What keeps node ids apart from every other digest.
#[cfg(test)]
const NODE_ID_CONTEXT: &str = "atoll 2026-11-21 node id";

/// The key that BLAKE3 derives from that context. Deriving it takes as long as an id does, and an
/// id is taken of every datagram's source; a test derives it.
const NODE_ID_CONTEXT_KEY: [u8; 32] = [
    224, 101, 172, 13, 250, 2, 134, 85, 21, 90, 0, 22, 193, 253, 103, 47, 49, 104, 176, 229, 57,
    139, 89, 169, 254, 15, 243, 240, 194, 44, 176, 181,
];

/// Distance between two points of the id space: XOR read as an unsigned big-endian integer.
///
/// Held as its first 128 bits and the rest, so that two are compared in two steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Distance(u128, u32);

impl Distance {
    /// Whether the two points differ in bit `at`, counted from the most significant one, 0.
    #[must_use]
    #[inline]
    pub const fn has_bit(self, at: u32) -> bool {
        let word = match at.checked_sub(u128::BITS) {
            None => self.0 >> (u128::BITS - 1 - at) & 1,
            Some(at) if at < u32::BITS => (self.1 >> (u32::BITS - 1 - at) & 1) as u128,
            Some(_) => 0,
        };
        word != 0
    }

    /// Leading zero bits: how long a prefix the two points share (160 when they are equal).
    #[must_use]
    #[inline]
    pub const fn leading_zeros(self) -> u32 {
        if self.0 == 0 {
            u128::BITS + self.1.leading_zeros()
        } else {
            self.0.leading_zeros()
        }
    }
}

/// An id as two numbers that order as its bytes do.
const fn parts(id: &[u8; ID_LEN]) -> (u128, u32) {
    let [head @ .., a, b, c, d] = *id;
    (u128::from_be_bytes(head), u32::from_be_bytes([a, b, c, d]))
}

const fn xor(a: &[u8; ID_LEN], b: &[u8; ID_LEN]) -> Distance {
    let (a, b) = (parts(a), parts(b));
    Distance(a.0 ^ b.0, a.1 ^ b.1)
}

/// An identifier was not 40 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an id is 40 hexadecimal digits")]
pub struct ParseIdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name([u8; ID_LEN]);

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                parts(&self.0).cmp(&parts(&other.0))
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// All bits zero.
            pub const ZERO: Self = Self([0; ID_LEN]);

            /// The identifier with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; ID_LEN]) -> Self {
                Self(bytes)
            }

            /// Its bytes, most significant first.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; ID_LEN] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Eight digits tell nodes apart in a log; Display gives all of them.
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes =
                    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).map_err(|_| ParseIdError)?;
                bytes.try_into().map(Self).map_err(|_| ParseIdError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Where a node sits in the id space, in every cluster it belongs to.
    NodeId
);
id!(
    /// Where a value sits in the id space: the hash of what it is about.
    Key
);
/// Which cluster: 64 random bits, or zero for the world (level 0).
///
/// Nothing is ever near to a cluster, so its id only has to be told from others: even among a
/// million clusters two have the same with a likelihood of 1 in 37 million. It is on every datagram
/// and remembered with every node (docs/adr/0017).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClusterId(u64);

/// A cluster id was not 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a cluster id is 16 hexadecimal digits")]
pub struct ParseClusterIdError;

impl ClusterId {
    /// The world.
    pub const ZERO: Self = Self(0);

    /// The id that is this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ClusterId {
    type Err = ParseClusterIdError;

    fn from_str(text: &str) -> Result<Self, ParseClusterIdError> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let bytes = bytes.map_err(|_| ParseClusterIdError)?;
        let bytes = bytes.try_into().map_err(|_| ParseClusterIdError)?;
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

impl Serialize for ClusterId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ClusterId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl NodeId {
    /// The id of the node at `addr`: BLAKE3 of address and port, cut to 160 bits.
    ///
    /// Deriving it from the address that a datagram came from means a member cannot choose where
    /// in the id space it sits. An IPv4 address written as IPv6 counts as IPv4.
    #[must_use]
    pub fn of(addr: SocketAddr) -> Self {
        let mut hasher = Hasher::new_from_context_key(&NODE_ID_CONTEXT_KEY);
        let [high, low] = addr.port().to_be_bytes();
        match addr.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                hasher.update(&[a, b, c, d, high, low]);
            }
            std::net::IpAddr::V6(ip) => {
                hasher.update(&ip.octets()).update(&[high, low]);
            }
        }
        Self(cut(&hasher.finalize()))
    }

    /// Distance to `key`.
    #[must_use]
    #[inline]
    pub fn distance(&self, key: &Key) -> Distance {
        xor(&self.0, &key.0)
    }

    /// The key at this very point of the space, for walking towards a node.
    #[must_use]
    pub const fn as_key(&self) -> Key {
        Key(self.0)
    }
}

impl Key {
    /// The key of `content`, the canonical text of what is stored (a URL, a prefix).
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new_derive_key("atoll 2026-11-21 index key");
        hasher.update(content);
        Self(cut(&hasher.finalize()))
    }

    /// Distance to another point of the space.
    #[must_use]
    #[inline]
    pub fn distance(&self, other: &Self) -> Distance {
        xor(&self.0, &other.0)
    }
}

fn cut(hash: &blake3::Hash) -> [u8; ID_LEN] {
    let mut bytes = [0; ID_LEN];
    bytes.copy_from_slice(&hash.as_bytes()[..ID_LEN]);
    bytes
}

/// Ties a reply to its request: 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TxId(pub u64);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn xor_is_a_metric(a: [u8; ID_LEN], b: [u8; ID_LEN], c: [u8; ID_LEN]) {
            let (a, b, c) = (Key(a), Key(b), Key(c));
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a.distance(&b).leading_zeros() == 160, a == b);
            // d(a,c) <= d(a,b) + d(b,c): the shorter shared prefix bounds the third side.
            let third = a.distance(&c).leading_zeros();
            prop_assert!(third >= a.distance(&b).leading_zeros().min(b.distance(&c).leading_zeros()));
        }

        #[test]
        fn the_first_bit_that_differs_ends_the_shared_prefix(a: [u8; ID_LEN], b: [u8; ID_LEN], cut in 0..=ID_LEN) {
            let mut b = b;
            b[..cut].copy_from_slice(&a[..cut]);
            let apart = Key(a).distance(&Key(b));
            let first = (0..200).find(|at| apart.has_bit(*at)).unwrap_or(160);
            prop_assert_eq!(first, apart.leading_zeros());
        }

        #[test]
        fn printed_ids_parse_back(bytes: [u8; ID_LEN]) {
            let id = NodeId(bytes);
            prop_assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        }

        #[test]
        fn printed_cluster_ids_parse_back(number: u64) {
            let id = ClusterId::new(number);
            prop_assert_eq!(id.to_string().parse::<ClusterId>(), Ok(id));
        }
    }

    #[test]
    fn a_mapped_address_is_the_same_node() {
        let v4: SocketAddr = "192.0.2.1:7000".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:7000".parse().unwrap();
        let other: SocketAddr = "192.0.2.1:7001".parse().unwrap();
        assert_eq!(NodeId::of(v4), NodeId::of(mapped));
        assert_ne!(NodeId::of(v4), NodeId::of(other));
    }

    #[test]
    fn the_key_of_node_ids_follows_from_its_context() {
        let derived = blake3::hazmat::hash_derive_key_context(NODE_ID_CONTEXT);
        assert_eq!(derived, NODE_ID_CONTEXT_KEY);
    }

    #[test]
    fn ids_order_as_their_bytes_do() {
        let id = |at: usize, byte: u8| {
            let mut bytes = [7; ID_LEN];
            bytes[at] = byte;
            NodeId(bytes)
        };
        for at in 0..ID_LEN {
            assert!(id(at, 6) < id(at, 7) && id(at, 8) > id(at, 7));
            assert!(id(at, 8) < id(0, 9));
        }
        assert!(Key::ZERO.distance(&Key([1; ID_LEN])).leading_zeros() == 7);
        let last = NodeId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(last.distance(&Key::ZERO).leading_zeros(), 159);
    }

    #[test]
    fn refuses_what_is_not_forty_digits() {
        assert_eq!("abc".parse::<Key>(), Err(ParseIdError));
        assert_eq!("zz".repeat(20).parse::<Key>(), Err(ParseIdError));
        assert_eq!(
            "00".repeat(20).parse::<ClusterId>(),
            Err(ParseClusterIdError)
        );
    }
}
