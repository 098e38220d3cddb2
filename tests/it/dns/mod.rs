//! The name server: what it answers, whom it names, and how fast it forgets.

mod answers;
mod forgetting;
mod resolving;
