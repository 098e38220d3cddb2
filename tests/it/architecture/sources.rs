//! The form of every source file.

use super::{files, read, shown};

/// Longest source file, in lines. Beyond it a file is two files.
const LINES_MAX: usize = 500;

/// What an engine never names: runtimes, and the doors to the system. Types of addresses are fine.
const DOORS: [&str; 19] = [
    "tokio",
    "hyper",
    "async fn",
    "async move",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "UnixListener",
    "Instant::now",
    "SystemTime::now",
    "SystemClock",
    "crate::shell",
];

#[test]
fn engines_open_no_door_to_the_system() {
    let mut engines = 0;
    for path in files("rs") {
        let name = shown(&path);
        if !name.contains("/engine/") {
            continue;
        }
        engines += 1;
        for line in read(&path)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for door in DOORS {
                assert!(!line.contains(door), "{name}: {door} in {line:?}");
            }
        }
    }
    assert!(engines > 60, "{engines} engine files: have they moved?");
}

#[test]
fn every_file_says_what_it_is_and_is_short_enough_to_be_read() {
    for path in files("rs") {
        let (name, text) = (shown(&path), read(&path));
        assert!(
            text.starts_with("//! "),
            "{name} does not begin by saying what it is"
        );
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written so that this file does not find itself.
    let markers = [
        "TO DO",
        "FIX ME",
        "X XX",
        "HA CK",
        "to do!",
        "unimpl emented!",
        "db g!",
    ];
    let markers = markers.map(|marker| marker.replace(' ', ""));
    for path in files("rs").into_iter().chain(files("toml")) {
        let name = shown(&path);
        for line in read(&path).lines() {
            for marker in &markers {
                assert!(!holds_word(line, marker), "{name}: {line}");
            }
        }
    }
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let homes = ["work", "root", "home", "Users"].map(|dir| format!("/{dir}/"));
    let extensions = ["rs", "toml", "md", "json", "yml", "svg"];
    for path in extensions.into_iter().flat_map(files_if_any) {
        let name = shown(&path);
        for line in read(&path).lines() {
            for home in &homes {
                // A relative path or a URL may well have such a part.
                let absolute = line.match_indices(home.as_str()).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-/>}".contains(c))
                });
                assert!(!absolute, "{name}: {line}");
            }
        }
    }
}

fn files_if_any(extension: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    super::collect(harness::binaries::workspace(), extension, &mut found);
    found
}

/// Whether `word` stands in `line` by itself.
fn holds_word(line: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(part_of_word);
        let after = line[at + word.len()..]
            .chars()
            .next()
            .is_some_and(part_of_word);
        !before && !after
    })
}
