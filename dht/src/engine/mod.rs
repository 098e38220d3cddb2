//! The index as a pure state machine.
