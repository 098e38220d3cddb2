//! What a review would otherwise have to look for every time: purity, direction, form.

mod dependencies;
mod documents;
mod sources;

use std::path::{Path, PathBuf};

use harness::binaries::workspace;

/// All files of the workspace with this extension, build products and history left out.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(workspace(), extension, &mut found);
    assert!(
        !found.is_empty(),
        "no {extension} files: is this the workspace?"
    );
    found.sort();
    found
}

fn collect(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        let skipped = matches!(&*name, ".git" | "target") || path.is_symlink();
        if path.is_dir() && !skipped {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// A path as it is written in messages.
fn shown(path: &Path) -> String {
    let relative = path.strip_prefix(workspace()).unwrap_or(path);
    relative.display().to_string()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
