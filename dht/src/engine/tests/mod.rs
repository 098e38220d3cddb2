//! Scenarios: many engines in one thread, virtual time, an imperfect network.

mod busy;
mod gate;
mod heal;
mod hostile;
mod index;
mod levels;
mod life;
mod near;
mod restart;
mod spread;
mod traced;
mod world;
