//! What several parts of `atoll` decide alike. Pure: no processes, files, sockets or clocks.
//!
//! [`document`] is what the controller, the agents and the operator tell each other in writing, [`retiring`] what
//! an index of an old network says of its leaving.

pub mod document;
pub mod retiring;
