//! The engine is pure: no runtime in its dependency graph, no door to the system in its source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What an engine never names. Types of addresses are allowed, sockets are not.
const DOORS: &[&str] = &[
    "tokio",
    "hyper",
    "async ",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "std::sync::Mutex",
    "UdpSocket",
    "TcpStream",
    "UnixStream",
    "time::Instant",
    "Instant::now",
    "SystemTime",
    "SystemClock",
    "from_system",
    "println!",
    "tracing::",
];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("the engine's directory is there") {
        let path = entry.expect("and can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_engine_names_no_door_to_the_system() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    let sources = sources(&engine);
    assert!(sources.len() > 20);
    for path in sources {
        let text = fs::read_to_string(&path).expect("a source is text");
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for door in DOORS {
                assert!(
                    !line.contains(door),
                    "{}: {door} in {line:?}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_engine_alone_has_no_runtime_in_its_graph() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "atoll-dht",
            "--no-default-features",
            "-e",
            "normal",
        ])
        .args(["--prefix", "none", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs, it built this test");
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && tree.contains("atoll-common"),
        "{tree}"
    );
    for line in tree.lines() {
        let package = line.split(' ').next().unwrap_or_default();
        let runtime = ["tokio", "hyper", "mio", "socket2", "async-std", "smol"].contains(&package);
        assert!(!runtime, "{package} is in the engine's graph");
    }
}
