//! Who may use whom, and that the engines need nobody's runtime.

use std::collections::{BTreeMap, BTreeSet};

use harness::binaries::cargo;
use serde_json::Value;

use super::{files, read, shown};

/// Runs cargo; gives what it printed.
fn run(args: &[&str]) -> String {
    let output = cargo().args(args).arg("--offline").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_index_engine_has_no_runtime_in_its_graph_and_compiles_without_one() {
    let tree = run(&[
        "tree",
        "-p",
        "atoll-dht",
        "--no-default-features",
        "-e",
        "normal",
    ]);
    assert!(tree.contains("atoll-common"), "{tree}");
    for runtime in ["tokio", "hyper", "mio", "socket2", "async-std", "smol"] {
        let named = |line: &str| line.split_ascii_whitespace().any(|word| word == runtime);
        assert!(!tree.lines().any(named), "{runtime} is in\n{tree}");
    }
    let (target, profile) = target();
    let check = [
        "check",
        "--quiet",
        "-p",
        "atoll-dht",
        "--lib",
        "--no-default-features",
    ];
    run(&[
        &check[..],
        &["--profile", &profile, "--target-dir", &target],
    ]
    .concat());
}

/// Where this very test was built, so that nothing is built twice.
fn target() -> (String, String) {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(std::path::Path::parent).unwrap();
    let name = profile.file_name().unwrap().to_string_lossy().into_owned();
    let target = profile.parent().unwrap().display().to_string();
    (
        target,
        if name == "debug" {
            "dev".to_owned()
        } else {
            name
        },
    )
}

/// The packages of a build, each with its features; ours are left out.
fn features(selection: &[&str]) -> BTreeSet<String> {
    let format = ["--prefix", "none", "-f", "{p}|{f}"];
    let tree = run(&[&["tree"], selection, &format].concat());
    let theirs = tree.lines().filter(|line| !line.contains('/'));
    theirs
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}

/// A package with other features is compiled once more, with all that depends on it: minutes.
#[test]
fn what_two_builds_share_is_built_once() {
    let tests = features(&["--workspace", "-e", "normal,dev"]);
    for (whose, selection) in [
        ("cargo run -p atoll", &["-p", "atoll", "-e", "normal"][..]),
        ("the daemons", &["--workspace", "-e", "normal"]),
    ] {
        let build = features(selection);
        assert!(build.len() > 100, "{whose}: {build:?}");
        let others: Vec<_> = build.difference(&tests).collect();
        assert!(
            others.is_empty(),
            "{whose}: other features than in the tests: {others:?}; make them alike in ops/Cargo.toml"
        );
    }
}

#[test]
fn packages_depend_in_one_direction() {
    let metadata: Value =
        serde_json::from_str(&run(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let allowed = BTreeMap::from([
        ("atoll-common", &[][..]),
        ("atoll-dht", &["atoll-common"]),
        ("atoll-dns", &["atoll-common", "atoll-dht"]),
        ("atoll-proxy", &["atoll-common", "atoll-dht"]),
        ("atoll", &["atoll-common", "atoll-dht"]),
    ]);
    let packages = metadata["packages"].as_array().unwrap();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        // The tests may use everybody.
        let Some(allowed) = allowed.get(name) else {
            assert_eq!(
                name, "atoll-tests",
                "a package without a place in the order"
            );
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            if on.starts_with("atoll") {
                assert!(allowed.contains(&on), "{name} depends on {on}");
                let defaults = &dependency["uses_default_features"];
                assert_eq!(defaults, false, "{name} takes more of {on} than it says");
            }
        }
    }
    assert_eq!(packages.len(), allowed.len() + 1);
}

#[test]
fn siblings_import_only_the_client_of_the_index() {
    for path in files("rs") {
        let name = shown(&path);
        if !["proxy/", "dns/", "ops/", "common/"]
            .iter()
            .any(|crate_| name.starts_with(crate_))
        {
            continue;
        }
        for line in read(&path)
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            let mut rest = line;
            while let Some((before, after)) = rest.split_once("dht::") {
                let own_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                assert!(own_word || after.starts_with("client"), "{name}: {line}");
                rest = after;
            }
        }
    }
}
