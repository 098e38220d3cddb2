//! The index daemon towards strangers, other networks, and itself before a restart.

mod membership;
mod strangers;
