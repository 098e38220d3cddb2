//! The agent: runs the daemons of one node as a controller asks, and goes on without it.
//!
//! It calls home; nobody calls it. What it was last asked for and could follow, it keeps on disk twice,
//! and that stays in force whatever the controller does: silent, wrong, replaced, restored from an
//! old copy. Its operator's `hold` wins over every controller. A version whose daemons do not stay up
//! is left for the one before, without asking anybody.
//!
//! [`engine`] decides; [`shell`] has the processes, the files and the connection.

pub mod engine;
pub mod shell;
