//! From the settings `near.*` to what the engine takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::config::{Settings, Span};

use super::bounded::{a_second, at_least_one};
use super::map_file::MapFile;
use crate::engine::config::{NearConfig, NearLevels};
use crate::engine::near::atlas::Map;

/// What nearness is made from.
#[derive(Clone, Debug)]
pub struct Near {
    /// What is learnt of client networks.
    pub learner: NearConfig,
    /// What counts as near.
    pub levels: NearLevels,
    /// Where addresses are, for clients of whom nothing was measured.
    pub map: Option<Arc<dyn Map>>,
}

/// Makes it.
pub(super) fn build(settings: &mut Settings) -> Near {
    let per_second: u32 = settings.value("near.lookups_per_second");
    let levels = NearLevels {
        inner: settings.value::<Span>("near.inner").0,
        outer: settings.value::<Span>("near.outer").0,
    };
    if levels.inner >= levels.outer {
        settings.reject("near.inner", "must be below near.outer");
    }
    let learner = NearConfig {
        inner: levels.inner,
        networks: at_least_one(settings, "near.networks"),
        refresh: a_second(settings, "near.refresh"),
        forget: a_second(settings, "near.forget"),
        concurrency: at_least_one(settings, "near.concurrency"),
        pace: Duration::from_secs(1)
            .checked_div(per_second)
            .unwrap_or_else(|| {
                settings.reject("near.lookups_per_second", "at least 1 is needed");
                Duration::from_secs(1)
            }),
        ..NearConfig::default()
    };
    if learner.forget < learner.refresh {
        settings.reject("near.forget", "must not be shorter than near.refresh");
    }
    let file: Option<String> = settings.optional("near.map_file");
    let map = file.and_then(|file| map(settings, Path::new(&file)));
    Near {
        learner,
        levels,
        map,
    }
}

fn map(settings: &mut Settings, file: &Path) -> Option<Arc<dyn Map>> {
    match MapFile::read(file) {
        Ok(map) => Some(Arc::new(map)),
        Err(error) => {
            settings.reject("near.map_file", error);
            None
        }
    }
}
