//! The daemon around one engine.
