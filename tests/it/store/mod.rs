//! What a proxy has on disk: over restarts and deaths, and when the disk fails.

mod death;
mod faults;
mod memory;
mod purge;
mod restart;
