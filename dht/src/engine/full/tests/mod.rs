//! The index with full membership: the rules of its roster, and whole nodes in a small virtual
//! network.

mod life;
mod roster;
mod world;
