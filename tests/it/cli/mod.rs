//! Programs as people start them: what they say, how they end.

mod atoll;
mod configuration;
mod dev;
mod starting;
