//! The fixed header and the tag of every datagram between nodes.
//!
//! ```text
//! offset  bytes  field
//!      0      4  magic "ATOL"
//!      4      1  header format (2)
//!      5      1  kind of message; its meaning belongs to the index
//!      6      1  number of level entries (0..=8)
//!      7      1  reserved: zero when written, ignored when read
//!      8      4  network id
//!     12      8  transaction id
//!     20     20  sender's node id
//!     40     20  intended receiver's node id, zero if unknown
//!     60      8  of the world, if any level is named: size estimate (4), age in seconds (4)
//!      …     16  per level inside it: cluster id (8), size estimate (4), age in seconds (4)
//!      …      …  body
//!    -16     16  keyed BLAKE3 of everything before it, cut to 128 bits
//! ```
//!
//! [`open`] proves that a member of the network wrote the datagram. It does not prove which member
//! (any may claim any sender), nor that it is new: the index checks the sender against the address
//! and remembers transactions.

use subtle::ConstantTimeEq;

use super::codec::{DecodeError, Reader, TooLong, Writer};
use super::secret::Network;
use crate::ids::{ClusterId, NodeId, TxId};
use crate::limits::{DATAGRAM_MAX, LEVELS_MAX, VALUE_MAX};

/// First bytes of every datagram.
pub const MAGIC: [u8; 4] = *b"ATOL";

/// The header layout described above.
pub const FORMAT: u8 = 2;

/// Bytes of the tag at the end.
pub const TAG_LEN: usize = 16;

/// Bytes of the header before the level entries.
pub const FIXED_LEN: usize = 60;

/// Bytes of a size estimate and an age, and of a cluster id.
const WORD_LEN: usize = 8;
const CLUSTER_LEN: usize = 8;

/// Bytes of the entries of `levels` levels. The first is the world's and has no id.
#[must_use]
pub const fn levels_len(levels: usize) -> usize {
    match levels.checked_sub(1) {
        None => 0,
        Some(inner) => WORD_LEN + (CLUSTER_LEN + WORD_LEN) * inner,
    }
}

/// Room for a body when the header names `levels` levels.
#[must_use]
pub const fn body_room(levels: usize) -> usize {
    DATAGRAM_MAX - FIXED_LEN - TAG_LEN - levels_len(levels)
}

// With all eight levels named a body still holds three values of the largest size; a sender that
// has more says so and is asked again.
const _: () = assert!(body_room(LEVELS_MAX) > 3 * VALUE_MAX);

/// What a sender says of its cluster at one level.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LevelInfo {
    /// The cluster; zero for the world.
    pub cluster: ClusterId,
    /// Estimated number of members.
    pub size: u32,
    /// Seconds since the cluster was created. A duration, as no clock is trusted.
    pub age_s: u32,
}

/// Everything before the body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Kind of message.
    pub kind: u8,
    /// Ties a reply to its request.
    pub tx: TxId,
    /// Who says it wrote this.
    pub sender: NodeId,
    /// Whom it is meant for, if the sender knows.
    pub receiver: Option<NodeId>,
    /// The sender's clusters, level 0 first; at most [`LEVELS_MAX`].
    pub levels: Vec<LevelInfo>,
}

/// Why a datagram was dropped, in the order of the checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DropReason {
    /// Shorter than an empty message or longer than any.
    Length,
    /// Does not begin as ours do: a scan, or another program.
    Magic,
    /// A header layout this binary does not know.
    Format,
    /// A member of another network: counted apart, as it shows a rollout in progress.
    OtherNetwork,
    /// The tag does not match: a forger, or damage on the way.
    Tag,
    /// Authentic, but the level entries do not fit.
    Levels,
}

impl DropReason {
    /// Every reason, for metrics.
    pub const ALL: [Self; 6] = [
        Self::Length,
        Self::Magic,
        Self::Format,
        Self::OtherNetwork,
        Self::Tag,
        Self::Levels,
    ];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Magic => "magic",
            Self::Format => "format",
            Self::OtherNetwork => "other_network",
            Self::Tag => "tag",
            Self::Levels => "levels",
        }
    }
}

/// The datagram of `header` and `body`, tagged for `network`.
///
/// # Errors
/// It would exceed [`DATAGRAM_MAX`] or name more than [`LEVELS_MAX`] levels.
pub fn seal(network: &Network, header: &Header, body: &[u8]) -> Result<Vec<u8>, TooLong> {
    let len = FIXED_LEN + levels_len(header.levels.len()) + body.len() + TAG_LEN;
    let mut writer = Writer::sized(DATAGRAM_MAX - TAG_LEN, len.min(DATAGRAM_MAX));
    let levels = u8::try_from(header.levels.len()).unwrap_or(u8::MAX);
    if usize::from(levels) > LEVELS_MAX {
        return Err(TooLong {
            budget: DATAGRAM_MAX,
        });
    }
    writer
        .put(&MAGIC)
        .u8(FORMAT)
        .u8(header.kind)
        .u8(levels)
        .u8(0);
    writer
        .u32(network.id().0)
        .u64(header.tx.0)
        .put(header.sender.as_bytes());
    writer.put(header.receiver.unwrap_or(NodeId::ZERO).as_bytes());
    for (at, level) in header.levels.iter().enumerate() {
        if at > 0 {
            writer.u64(level.cluster.number());
        }
        writer.u32(level.size).u32(level.age_s);
    }
    writer.put(body);
    let mut datagram = writer.finish()?;
    let tag = tag(network, &datagram);
    datagram.extend_from_slice(&tag);
    Ok(datagram)
}

/// The header and body of an authentic datagram.
///
/// # Errors
/// The first check that failed.
pub fn open<'a>(network: &Network, datagram: &'a [u8]) -> Result<(Header, &'a [u8]), DropReason> {
    if datagram.len() < FIXED_LEN + TAG_LEN || datagram.len() > DATAGRAM_MAX {
        return Err(DropReason::Length);
    }
    let (signed, theirs) = datagram.split_at(datagram.len() - TAG_LEN);
    let mut reader = Reader::new(signed);
    let short = |_: DecodeError| DropReason::Length;
    if reader.array("magic").map_err(short)? != MAGIC {
        return Err(DropReason::Magic);
    }
    if reader.u8("format").map_err(short)? != FORMAT {
        return Err(DropReason::Format);
    }
    let kind = reader.u8("kind").map_err(short)?;
    let count = reader.u8("levels").map_err(short)?;
    reader.u8("reserved").map_err(short)?;
    if reader.u32("network").map_err(short)? != network.id().0 {
        return Err(DropReason::OtherNetwork);
    }
    if !bool::from(tag(network, signed).ct_eq(theirs)) {
        return Err(DropReason::Tag);
    }
    let tx = TxId(reader.u64("tx").map_err(short)?);
    let sender = reader.node_id("sender").map_err(short)?;
    let receiver = reader.node_id("receiver").map_err(short)?;
    let levels = read_levels(&mut reader, count).map_err(|_| DropReason::Levels)?;
    let receiver = (receiver != NodeId::ZERO).then_some(receiver);
    Ok((
        Header {
            kind,
            tx,
            sender,
            receiver,
            levels,
        },
        reader.rest(),
    ))
}

fn read_levels(reader: &mut Reader<'_>, count: u8) -> Result<Vec<LevelInfo>, DecodeError> {
    if usize::from(count) > LEVELS_MAX {
        return Err(reader.error("at most eight levels"));
    }
    (0..count)
        .map(|at| {
            let cluster = match at {
                0 => ClusterId::ZERO,
                _ => ClusterId::new(reader.u64("cluster")?),
            };
            Ok(LevelInfo {
                cluster,
                size: reader.u32("cluster size")?,
                age_s: reader.u32("cluster age")?,
            })
        })
        .collect()
}

fn tag(network: &Network, signed: &[u8]) -> [u8; TAG_LEN] {
    let hash = blake3::keyed_hash(network.datagram_key(), signed);
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&hash.as_bytes()[..TAG_LEN]);
    tag
}

#[cfg(test)]
mod tests;
