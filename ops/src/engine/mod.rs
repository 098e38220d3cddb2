//! What several parts of `atoll` decide alike. Pure: no processes, files, sockets or clocks.
//!
//! [`document`] is what the controller, the agents and the operator tell each other in writing.

pub mod document;
