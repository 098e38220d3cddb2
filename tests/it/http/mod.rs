//! What a proxy on its own owes its clients and its origins.

mod broken;
mod crowds;
mod endings;
mod forgiving;
mod freshness;
mod https;
mod passing;
mod private;
mod refusals;
mod servers;
mod sharing;
