//! What a proxy on its own owes its clients and its origins.

mod broken;
mod crowds;
mod endings;
mod fair;
mod forgiving;
mod freshness;
mod hostile;
mod hostile_keys;
mod hostile_limits;
mod https;
mod logging;
mod operating;
mod overload;
mod passing;
mod private;
mod refusals;
mod servers;
mod sharing;
mod slices;
