//! Controller and agents with real processes: orders that are followed, and controllers that fail.

mod controllers;
mod handover;
mod power;
mod rollouts;
mod upgrade;
