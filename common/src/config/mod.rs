//! Layered settings: defaults, then a TOML file, then the environment, then `--set`.
//!
//! Every daemon declares its keys once, as a table of [`KeySpec`]; the table gives the defaults,
//! checks what the sources say and makes the printed reference. Resolution is pure: the caller
//! hands over the texts. All mistakes are reported together, each with where it stands and, for an
//! unknown key, what was probably meant.

mod file;
mod reference;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use reference::{KeySpec, reference, with_values};
pub use units::{ByteSize, FromSetting, Span};

/// Prefix of environment variables that set a key: `ATOLL_HTTP_LISTEN` is `http.listen`.
pub const ENV_PREFIX: &str = "ATOLL_";

/// Where a value came from, the weakest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file as named on the command line.
        name: String,
        /// Line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A `--set` argument.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine => f.write_str("--set"),
        }
    }
}

/// One mistake in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where it stands.
    pub source: Source,
    /// What is wrong and what to do.
    pub message: String,
}

/// Every mistake found, in the order of the sources. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError(pub Vec<Mistake>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let end = if n + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{}: {}{end}", mistake.source, mistake.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Texts to resolve settings from.
#[derive(Clone, Debug, Default)]
pub struct Sources<'a> {
    /// Name and text of the configuration file, if there is one.
    pub file: Option<(&'a str, &'a str)>,
    /// The environment; variables that are not ours are ignored.
    pub environment: Vec<(String, String)>,
    /// The `--set section.key=value` arguments, in order.
    pub sets: &'a [String],
}

/// A value as text, with where it came from. Lists are kept as their items.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Setting {
    items: Vec<String>,
    source: Source,
}

/// Resolved settings, read key by key into a daemon's own configuration.
///
/// ```
/// use common::config::{KeySpec, Settings, Sources, Span};
/// static KEYS: &[KeySpec] = &[KeySpec {
///     path: "http.idle", default: Some("30s"), example: "30s", what: "duration",
///     why: "An idle connection is closed after this long.",
/// }];
/// let sets = ["http.idle=2s".to_owned()];
/// let mut settings = Settings::resolve(KEYS, &Sources { sets: &sets, ..Sources::default() });
/// let idle: Span = settings.value("http.idle");
/// assert_eq!(idle.0.as_secs(), 2);
/// assert!(settings.finish().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    keys: &'static [KeySpec],
    values: BTreeMap<&'static str, Setting>,
    mistakes: Vec<Mistake>,
    read: BTreeSet<&'static str>,
    /// The file was not understood, so nothing can be said of what it does not set.
    file_lost: bool,
}

impl Settings {
    /// Resolves `keys` from `sources`. Mistakes are kept for [`finish`](Self::finish).
    #[must_use]
    pub fn resolve(keys: &'static [KeySpec], sources: &Sources<'_>) -> Self {
        let (values, read) = (BTreeMap::new(), BTreeSet::new());
        let mut settings = Self {
            keys,
            values,
            mistakes: Vec::new(),
            read,
            file_lost: false,
        };
        for spec in keys {
            if let Some(default) = spec.default {
                settings.assign(spec.path, units::split_list(default), Source::Default);
            }
        }
        if let Some((name, text)) = sources.file {
            settings.apply_file(name, text);
        }
        settings.apply_environment(&sources.environment);
        settings.apply_sets(sources.sets);
        settings
    }

    fn apply_file(&mut self, name: &str, text: &str) {
        let at = |line| Source::File {
            name: name.to_owned(),
            line,
        };
        match file::flatten(text) {
            Ok(entries) => {
                for entry in entries {
                    self.assign(&entry.path, entry.items, at(entry.line));
                }
            }
            Err(errors) => {
                let mistakes = errors.into_iter().map(|(line, message)| Mistake {
                    source: at(line),
                    message,
                });
                self.mistakes.extend(mistakes);
                self.file_lost = true;
            }
        }
    }

    fn apply_environment(&mut self, environment: &[(String, String)]) {
        for spec in self.keys {
            let name = spec.environment_name();
            if let Some((_, text)) = environment.iter().find(|(key, _)| *key == name) {
                self.assign(
                    spec.path,
                    units::split_list(text),
                    Source::Environment(name),
                );
            }
        }
    }

    fn apply_sets(&mut self, sets: &[String]) {
        for set in sets {
            match set.split_once('=') {
                Some((path, text)) => {
                    self.assign(path.trim(), units::split_list(text), Source::CommandLine);
                }
                None => self.mistake(
                    Source::CommandLine,
                    format!("\"{set}\" is not of the form section.key=value"),
                ),
            }
        }
    }

    fn assign(&mut self, path: &str, items: Vec<String>, source: Source) {
        let bare = reference::bare_of(self.keys, path).unwrap_or(path);
        match self.keys.iter().find(|spec| spec.path == bare) {
            Some(spec) => {
                self.values.insert(spec.path, Setting { items, source });
            }
            None => {
                let message = match reference::nearest(self.keys, path) {
                    Some(known) => format!("unknown key \"{path}\"; did you mean \"{known}\"?"),
                    None => format!("unknown key \"{path}\"; --print-config lists all keys"),
                };
                self.mistake(source, message);
            }
        }
    }

    /// The value of `path`. A value that does not parse is a mistake for
    /// [`finish`](Self::finish), and the example of the key stands in for it until then.
    ///
    /// # Panics
    /// `path` is not in the table, or the table's own text does not parse: a mistake of the
    /// program that any test reading the configuration shows.
    pub fn value<T: FromSetting>(&mut self, path: &'static str) -> T {
        let setting = self.take(path);
        let parsed = match &setting {
            Some(Setting { items, .. }) => T::from_items(items),
            None => Err("it has no default and must be set".to_owned()),
        };
        parsed.unwrap_or_else(|message| {
            let example = reference::spec(self.keys, path).example;
            // What a file that could not be read does not set, it may well set.
            let told = setting.is_none() && self.file_lost;
            let source = setting.map_or(Source::Default, |setting| setting.source);
            if !told {
                let message = format!("{path}: {message} (for example {path}={example})");
                self.mistake(source, message);
            }
            T::from_items(&units::split_list(example)).expect("the table's example parses")
        })
    }

    /// The value of `path`, or `None` when it is set to nothing.
    pub fn optional<T: FromSetting>(&mut self, path: &'static str) -> Option<T> {
        let empty = match self.values.get(path) {
            Some(setting) => setting.items.iter().all(String::is_empty),
            None => true,
        };
        if empty {
            self.take(path);
            return None;
        }
        Some(self.value(path))
    }

    fn take(&mut self, path: &'static str) -> Option<Setting> {
        let spec = reference::spec(self.keys, path);
        self.read.insert(spec.path);
        self.values.get(spec.path).cloned()
    }

    /// Adds a mistake that only the daemon can see, such as two keys that contradict each other.
    pub fn reject(&mut self, path: &'static str, message: impl fmt::Display) {
        let source = self
            .values
            .get(path)
            .map_or(Source::Default, |s| s.source.clone());
        self.mistake(source, format!("{path}: {message}"));
    }

    fn mistake(&mut self, source: Source, message: String) {
        self.mistakes.push(Mistake { source, message });
    }

    /// Keys of the table that nobody has read: a key without effect, for a test to refuse.
    #[must_use]
    pub fn unread(&self) -> Vec<&'static str> {
        self.keys
            .iter()
            .map(|spec| spec.path)
            .filter(|path| !self.read.contains(path))
            .collect()
    }

    /// The settings in force as a commented TOML file, with where each came from.
    #[must_use]
    pub fn print(&self) -> String {
        with_values(self.keys, |path| {
            self.values
                .get(path)
                .map(|setting| (setting.items.clone(), setting.source.to_string()))
        })
    }

    /// Whether everything was in order.
    ///
    /// # Errors
    /// All mistakes together.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.mistakes.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.mistakes))
        }
    }
}

#[cfg(test)]
mod tests;
