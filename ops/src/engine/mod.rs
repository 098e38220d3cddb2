//! What several parts of `atoll` decide alike. Pure: no processes, files, sockets or clocks.
//!
//! [`document`] is what the controller, the agents and the operator tell each other in writing, [`retiring`] what an
//! old index says of its leaving; [`network`] is how nodes move to a network that does not speak with theirs.

pub mod document;
pub mod network;
pub mod retiring;
