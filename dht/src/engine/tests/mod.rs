//! Scenarios: many engines in one thread, virtual time, an imperfect network.

mod gate;
mod index;
mod life;
mod world;
