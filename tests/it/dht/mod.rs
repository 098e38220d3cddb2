//! The index daemon towards strangers, other networks, and itself before a restart.

mod full;
mod membership;
mod strangers;
