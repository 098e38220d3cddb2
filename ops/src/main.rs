//! The `atoll` program. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ops::run()
}
