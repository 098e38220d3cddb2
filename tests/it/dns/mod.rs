//! The name server: what it answers, whom it names, and how fast it forgets.

mod answers;
mod delegation;
mod forgetting;
mod living;
mod lone;
mod mapped;
mod nearness;
mod recursors;
mod reloading;
mod resolving;
mod signing;
mod tools;
mod visiting;
