//! Log output of a daemon: to standard error, for people or as JSON lines.
//!
//! Levels: TRACE per packet, DEBUG deviations, INFO lifecycle, WARN what is worth waking someone
//! if it is frequent, ERROR the process cannot go on.

use std::io::IsTerminal as _;
use std::str::FromStr as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::FromSetting;

/// How a log line looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

impl FromSetting for Format {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(format!("\"{other}\" is neither human nor json")),
        }
    }
}

/// Which lines are written: a level, or levels by target such as `info,proxy=debug`.
#[derive(Clone, Debug)]
pub struct Filter(Targets);

impl FromSetting for Filter {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = |_| format!("\"{text}\" is not a level (error, warn, info, debug, trace)");
        if let Ok(level) = LevelFilter::from_str(text) {
            return Ok(Self(Targets::new().with_default(level)));
        }
        Targets::from_str(text).map(Self).map_err(wrong)
    }
}

/// Starts writing log lines. Does nothing if the process already does.
pub fn init(format: Format, filter: &Filter) {
    let stderr = std::io::stderr;
    let lines = match format {
        Format::Human => {
            let colour = stderr().is_terminal();
            fmt::layer()
                .with_writer(stderr)
                .with_ansi(colour)
                .with_target(false)
                .boxed()
        }
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(stderr)
            .boxed(),
    };
    let started = tracing_subscriber::registry().with(lines.with_filter(filter.0.clone()));
    // A second daemon in one process (only tests do that) keeps the first one's output.
    drop(started.try_init());
}
