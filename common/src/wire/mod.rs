//! The wire between nodes: who belongs to the network, and what a datagram is.
//!
//! A *network* is an operator's secret plus the wire generation compiled into the binary. Binaries
//! of one generation under one secret link up whatever their patch version; another generation or
//! another secret is another network, and the two never exchange a byte that either accepts.
//!
//! Order of checks on a datagram, each cheaper than the next: length, magic, format, network id,
//! tag. Whatever fails is dropped with a counted [`DropReason`](header::DropReason) and without a
//! reply, so an outsider learns nothing and gets no amplification. Nothing is allocated before the
//! tag holds. What the body means is not known here.

pub mod codec;
pub mod header;
pub mod proof;
pub mod secret;

/// Generation of the node-to-node protocol. Raised when two releases must not link up.
pub const GENERATION: u32 = 2;
