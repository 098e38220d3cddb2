//! The index of the conformance tests, made of their doc comments.
//!
//! A test under `tests/conformance/rfcNNNN/` begins its doc comment with the section and quotes the
//! requirement. What does not apply, or is done otherwise, stands in `elsewhere.tsv`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::{check, project};

/// RFCs in the order of the document, with their titles.
const TITLES: [(&str, &str); 9] = [
    ("rfc9111", "HTTP Caching"),
    ("rfc9110", "HTTP Semantics"),
    ("rfc9112", "HTTP/1.1"),
    ("rfc5861", "Cache-Control Extensions for Stale Content"),
    ("rfc8246", "Immutable Responses"),
    ("rfc9213", "Targeted HTTP Cache Control"),
    ("rfc9211", "The Cache-Status Response Header Field"),
    ("rfc9209", "The Proxy-Status Response Header Field"),
    ("rfc8586", "Loop Detection in CDNs"),
];

/// A test: its name and what it claims, by section.
type Sections = BTreeMap<Vec<u32>, Vec<(String, String)>>;

#[test]
fn every_conformance_test_is_in_the_index() {
    let found: Vec<_> = TITLES.iter().map(|(rfc, _)| sections(rfc)).collect();
    let of = |sections: &Sections| sections.values().map(Vec::len).sum::<usize>();
    let all: usize = found.iter().map(of).sum();
    let mut text = format!(
        "# Conformance\n\n\
         What the standards ask of a shared cache, and the tests that show it: {all} tests under \
         `tests/conformance`, run by `cargo test -p atoll-tests --test conformance`. This file is made of \
         their doc comments.\n\n| RFC | title | tests | not applicable, or done otherwise |\n|---|---|---|---|\n"
    );
    let elsewhere = fs::read_to_string(project("tests/conformance/elsewhere.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = elsewhere
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    for ((rfc, title), sections) in TITLES.iter().zip(&found) {
        let others = rows.iter().filter(|row| row[0] == *rfc).count();
        let number = rfc.trim_start_matches("rfc");
        writeln!(
            text,
            "| [{number}](#rfc-{number}) | {title} | {} | {others} |",
            of(sections)
        )
        .unwrap();
    }
    for ((rfc, title), sections) in TITLES.iter().zip(&found) {
        let number = rfc.trim_start_matches("rfc");
        write!(
            text,
            "\n## RFC {number}\n\n{title}\n\n| section | tests |\n|---|---|\n"
        )
        .unwrap();
        for (section, tests) in sections {
            writeln!(text, "| {} | {} |", shown(section), tests.len()).unwrap();
        }
        text.push('\n');
        for (section, tests) in sections {
            for (name, claim) in tests {
                writeln!(text, "- §{} `{name}`: {claim}", shown(section)).unwrap();
            }
        }
        others(&mut text, rfc, &rows);
    }
    check("docs/CONFORMANCE.md", &text);
}

fn others(text: &mut String, rfc: &str, rows: &[Vec<&str>]) {
    let rows: Vec<_> = rows.iter().filter(|row| row[0] == rfc).collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("\n| section | requirement | | reason |\n|---|---|---|---|\n");
    for row in rows {
        let [_, section, kind, requirement, reason] = row.as_slice() else {
            panic!("not five columns: {row:?}");
        };
        writeln!(text, "| {section} | {requirement} | {kind} | {reason} |").unwrap();
    }
}

fn shown(section: &[u32]) -> String {
    let parts: Vec<_> = section.iter().map(u32::to_string).collect();
    parts.join(".")
}

/// The tests of an RFC's directory.
fn sections(rfc: &str) -> Sections {
    let mut found = Sections::new();
    let dir = project(&format!("tests/conformance/{rfc}"));
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let source = fs::read_to_string(file).unwrap();
        let mut doc = String::new();
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            if let Some(more) = line.strip_prefix("/// ") {
                doc.push_str(more);
                doc.push(' ');
                continue;
            }
            if line == "#[test]" {
                let name = lines.next().unwrap();
                let name = name.trim_start_matches("fn ").split('(').next().unwrap();
                let (section, claim) =
                    split(&doc).unwrap_or_else(|| panic!("{rfc} {name} names no section: {doc:?}"));
                let claim = claim.trim().to_owned();
                found
                    .entry(section)
                    .or_default()
                    .push((name.to_owned(), claim));
            }
            doc.clear();
        }
    }
    found
}

/// Section and claim of a doc comment `§4.2.1: "..."`; of several sections the first.
fn split(doc: &str) -> Option<(Vec<u32>, &str)> {
    let (sections, claim) = doc.strip_prefix('§')?.split_once(": ")?;
    let first = sections.split(", ").next()?;
    let numbers: Result<_, _> = first.split('.').map(str::parse).collect();
    Some((numbers.ok()?, claim))
}
