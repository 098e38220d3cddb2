//! The index of the name server's manners, made of the tests' names and doc comments: a test is
//! called `rfcNNNN_S_S_claim`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use super::{check, project};

/// RFC and section, in the order of the document.
type Place = (u32, Vec<u32>);

#[test]
fn every_test_of_manners_is_in_the_index() {
    let mut found: BTreeMap<Place, Vec<(String, String)>> = BTreeMap::new();
    for file in fs::read_dir(project("dns/tests/manners"))
        .unwrap()
        .flatten()
    {
        let text = fs::read_to_string(file.path()).unwrap();
        let mut claim = String::new();
        for line in text.lines() {
            if let Some(part) = line.strip_prefix("/// ") {
                claim = format!("{claim} {part}");
            } else if let Some(name) = line
                .strip_prefix("fn ")
                .and_then(|rest| rest.split('(').next())
            {
                if let Some(place) = place(name) {
                    let test = (name.to_owned(), claim.trim().to_owned());
                    found.entry(place).or_default().push(test);
                }
                claim.clear();
            } else if !line.starts_with('#') {
                claim.clear();
            }
        }
    }
    let count: usize = found.values().map(Vec::len).sum();
    let mut text = format!(
        "# The name server's manners\n\nWhat the standards ask of it, and the tests that show it: {count} tests under \
         `dns/tests/manners`, each of which asks both doors, run by `cargo test -p atoll-dns --test manners`. \
         This file is made of their names and doc comments.\n\n| RFC | section | claim |\n|---|---|---|\n"
    );
    for ((rfc, section), mut tests) in found {
        let section: Vec<_> = section.iter().map(u32::to_string).collect();
        tests.sort();
        for (_, claim) in tests {
            writeln!(text, "| {rfc} | {} | {claim} |", section.join(".")).unwrap();
        }
    }
    check("docs/MANNERS.md", &text);
}

/// `rfc7871_7_2_1_the_subnet` is RFC 7871 section 7.2.1.
fn place(name: &str) -> Option<Place> {
    let mut words = name.strip_prefix("rfc")?.split('_');
    let rfc = words.next()?.parse().ok()?;
    Some((rfc, words.map_while(|word| word.parse().ok()).collect()))
}
