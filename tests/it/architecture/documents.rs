//! What the documents name has to be there.

use std::path::Path;

use harness::binaries::workspace;

use super::{files, read, shown};

#[test]
fn every_relative_link_resolves() {
    let mut links = 0;
    for path in files("md") {
        let dir = path.parent().unwrap();
        for (line, target) in targets(&read(&path)) {
            let target = target.split(['#', ' ']).next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let found = dir.join(target).exists();
            assert!(found, "{}:{line}: {target} is not there", shown(&path));
        }
    }
    assert!(links > 5, "{links} links: is the README there?");
}

#[test]
fn every_path_in_a_document_is_one_of_the_tree() {
    let top = |part: &str| !part.is_empty() && workspace().join(part).is_dir();
    for path in files("md") {
        for (n, line) in read(&path).lines().enumerate() {
            for quoted in line.split('`').skip(1).step_by(2) {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
                let first = quoted.split('/').next().unwrap_or_default();
                if quoted.contains('/') && quoted.chars().all(plain) && top(first) {
                    let found = Path::new(workspace()).join(quoted).exists();
                    let place = format!("{}:{}", shown(&path), n + 1);
                    assert!(found || first == "target", "{place}: {quoted} is not there");
                }
            }
        }
    }
}

/// The targets of the links in a document, with their lines.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (n, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        let links = line.split("](").skip(1).filter(|_| !in_code);
        found.extend(links.filter_map(|rest| Some((n + 1, rest.split_once(')')?.0))));
    }
    found
}
