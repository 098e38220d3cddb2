//! Controller and agents with real processes: orders that are followed, and controllers that fail.

mod controllers;
mod handover;
mod lasting;
mod load;
mod networks;
mod power;
mod rollouts;
mod upgrade;
