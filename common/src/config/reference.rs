//! The table of keys: defaults, documentation, suggestions.

use std::fmt::Write as _;

use super::ENV_PREFIX;

/// Everything there is to know about one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// Dotted path: `section.key`.
    pub path: &'static str,
    /// Value when nobody sets it, as text; `None` if it must be set; empty if unset is meaningful.
    pub default: Option<&'static str>,
    /// A value that parses, for messages.
    pub example: &'static str,
    /// Kind and unit of the value.
    pub what: &'static str,
    /// What it does, what it costs at its largest, and what goes wrong.
    pub why: &'static str,
}

impl KeySpec {
    /// The environment variable that sets this key.
    #[must_use]
    pub fn environment_name(&self) -> String {
        format!(
            "{ENV_PREFIX}{}",
            self.path.to_ascii_uppercase().replace('.', "_")
        )
    }
}

/// The entry of `path`.
pub(super) fn spec(keys: &'static [KeySpec], path: &str) -> &'static KeySpec {
    let found = keys.iter().find(|spec| spec.path == path);
    found.expect("a daemon reads only keys of its own table")
}

/// What a key is written as inside the section that has its name: TOML knows no table that is a
/// value too, so in a file `zone` is `name` in `[zone]` once `zone.ns` is set there.
const BARE: &str = "name";

/// Whether `path` names a section of `keys` and is a key of its own.
fn is_section_too(keys: &[KeySpec], path: &str) -> bool {
    let in_it = |spec: &KeySpec| {
        let rest = spec.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    keys.iter().any(|spec| spec.path == path) && keys.iter().any(in_it)
}

/// The key that `path` is another spelling of: `zone` for `zone.name`.
pub(super) fn bare_of<'a>(keys: &[KeySpec], path: &'a str) -> Option<&'a str> {
    let (section, key) = path.rsplit_once('.')?;
    let known = keys.iter().any(|spec| spec.path == path);
    (key == BARE && !known && is_section_too(keys, section)).then_some(section)
}

/// The key that was probably meant by `path`, if one is near.
pub(super) fn nearest(keys: &[KeySpec], path: &str) -> Option<&'static str> {
    let mut best: Option<(usize, &'static str)> = None;
    for spec in keys {
        // The last word alone counts too: `listen` for `http.listen`.
        let last = spec.path.rsplit('.').next().unwrap_or(spec.path);
        let distance = strsim::damerau_levenshtein(spec.path, path)
            .min(strsim::damerau_levenshtein(last, path) + 1);
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, spec.path));
        }
    }
    let allowed = (path.len() / 3).max(2);
    best.filter(|(distance, _)| *distance <= allowed)
        .map(|(_, known)| known)
}

/// The reference of `keys` as a commented TOML file with every default.
#[must_use]
pub fn reference(keys: &'static [KeySpec]) -> String {
    with_values(keys, |path| {
        let default = spec(keys, path).default?;
        Some((super::units::split_list(default), "default".to_owned()))
    })
}

/// `keys` as a commented TOML file with the values and sources that `value_of` gives.
#[must_use]
pub fn with_values(
    keys: &'static [KeySpec],
    value_of: impl Fn(&str) -> Option<(Vec<String>, String)>,
) -> String {
    let mut out = String::new();
    let mut section = "";
    let place = |spec: &KeySpec| match spec.path.rsplit_once('.') {
        Some(place) => place,
        None if is_section_too(keys, spec.path) => (spec.path, BARE),
        None => ("", spec.path),
    };
    // Keys without a section come first, or TOML would read them into the section before.
    let bare = keys.iter().filter(|spec| place(spec).0.is_empty());
    let sectioned = keys.iter().filter(|spec| !place(spec).0.is_empty());
    for spec in bare.chain(in_order(sectioned, &place)) {
        let (table, key) = place(spec);
        if table != section {
            let _ = writeln!(out, "[{table}]");
            section = table;
        }
        let _ = writeln!(out, "# {} ({})", spec.why, spec.what);
        match value_of(spec.path) {
            Some((items, source)) => {
                let _ = writeln!(out, "{key} = {} # {source}\n", literal(spec, &items));
            }
            None => {
                let _ = writeln!(out, "# {key} = {} # must be set\n", quote(spec.example));
            }
        }
    }
    out
}

/// `specs` with those of one section together, sections in the order of their first key.
fn in_order<'a>(
    specs: impl Iterator<Item = &'a KeySpec>,
    place: &impl Fn(&'a KeySpec) -> (&'a str, &'a str),
) -> impl Iterator<Item = &'a KeySpec> {
    let specs: Vec<&KeySpec> = specs.collect();
    let mut sections: Vec<&str> = Vec::new();
    for spec in &specs {
        let section = place(spec).0;
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections.into_iter().flat_map(move |section| {
        let of = specs
            .iter()
            .copied()
            .filter(|spec| place(spec).0 == section);
        of.collect::<Vec<_>>()
    })
}

fn literal(spec: &KeySpec, items: &[String]) -> String {
    if spec.what.starts_with("list") {
        let items: Vec<_> = items
            .iter()
            .filter(|i| !i.is_empty())
            .map(|i| quote(i))
            .collect();
        return format!("[{}]", items.join(", "));
    }
    let item = items.join(",");
    let bare = item == "true" || item == "false" || item.parse::<i64>().is_ok();
    if bare { item } else { quote(&item) }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
