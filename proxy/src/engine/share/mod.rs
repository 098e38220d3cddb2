//! Who gets how much of this node.
//!
//! [`connections`] bounds what one client holds open. Nothing here waits or knows of sockets.

pub mod connections;
