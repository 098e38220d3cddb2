//! Telemetry that all daemons share: what a log line looks like is `shell::log`'s affair; here is
//! how counters kept by an engine become metrics, and the shape of the state pages.
//!
//! Metrics are named `atoll_<program>_<noun>_<unit|total>`; labels come from closed enums only, so
//! the number of series is known before the program starts.

mod table;

pub use table::{Kind, Metric, MetricTable, Sample};
