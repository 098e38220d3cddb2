//! Telemetry that all daemons share: what a log line looks like is `shell::log`'s affair; here is
//! how counters kept by an engine become metrics, the shape of the state pages, and the bounds of the one histogram
//! that another program reads.
//!
//! Metrics are named `atoll_<program>_<noun>_<unit|total>`; labels come from closed enums only, so
//! the number of series is known before the program starts.

mod first_byte;
mod table;

pub use first_byte::{FIRST_BYTE_MICROS, first_byte_seconds};
pub use table::{Kind, Metric, MetricTable, Sample};
