//! Controller and agents with real processes: orders that are followed, and controllers that fail; and nodes
//! with a clock, a link or a disk that fails.

mod clocks;
mod controllers;
mod full;
mod handover;
mod lasting;
mod load;
mod lossy;
mod networks;
mod postgres;
mod power;
mod rollouts;
mod upgrade;
