//! Bounds that more than one crate relies on, with the argument for each.
//!
//! A bound used by one crate lives in that crate.

/// Largest datagram between nodes, in bytes. Below every path MTU in practice, so never fragmented.
pub const DATAGRAM_MAX: usize = 1_200;

/// Largest value the index stores, in bytes: a pointer with room for an IPv6 address and a digest.
pub const VALUE_MAX: usize = 256;

/// Most clusters (levels) a header can name. Three are usual.
pub const LEVELS_MAX: usize = 8;

/// Longest host name, in bytes without the final dot (RFC 1035 §2.3.4).
pub const HOST_MAX: usize = 253;

/// Longest label, in bytes (RFC 1035 §2.3.4).
pub const LABEL_MAX: usize = 63;

/// Largest file accepted as configuration, in bytes. A typical one is 2 KiB.
pub const CONFIG_MAX: usize = 1 << 20;

// Four values of the largest size must fit one datagram next to the fixed header and tag, so that
// a `get` never needs a second packet for what one node holds.
const _: () = assert!(4 * VALUE_MAX < DATAGRAM_MAX);
