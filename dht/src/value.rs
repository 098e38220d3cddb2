//! A value as it is handed out: bytes, how long it still holds, and who put it.

use std::time::Duration;

use common::ids::NodeId;

/// One value found under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Value {
    /// What was put; at most [`VALUE_MAX`](common::limits::VALUE_MAX) bytes. The index gives it no
    /// meaning.
    pub bytes: Vec<u8>,
    /// How long it still holds, counted from when it was handed out.
    pub ttl: Duration,
    /// The node whose local client put it. A key holds at most one value of each publisher.
    pub publisher: NodeId,
    /// The level it was found at: the higher, the nearer the node that held it. 0 is the world.
    pub level: u8,
}
