//! The agent's doors: processes, files, the connection to its controller, the socket for its operator.
//!
//! [`run()`] is the loop and owns the engine; everything that takes time happens in tasks that send it
//! what happened. [`home`] is the directory, `slot` brings releases there, `process` starts daemons,
//! `notices` hears what they say, [`look`] reads their pages, [`found`] finds those that outlived an
//! agent, [`call`] calls the controller, [`door`] answers the
//! operator.
//!
//! The directory: `agent.key` (the node's name), `state.0` and `state.1` (two copies of the standing),
//! `hold` (the operator's hold), `slots/VERSION/`, `run/NAME.lock` and `run/NAME.json` (which process a
//! daemon is), `log/NAME.log`, `agent.sock`.

pub mod call;
pub mod door;
pub mod found;
mod happening;
pub mod home;
pub mod look;
mod notices;
mod process;
mod run;
mod slot;

pub use run::{Options, run};
