//! The generated documents say what the programs say. `ATOLL_BLESS=1` writes them anew.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as the tests do"
)]

mod conformance;
mod manners;
mod reasons;

use std::path::{Path, PathBuf};

use common::config::{KeySpec, reference};

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join(path)
}

/// Compares `path` with `want`, or writes it when asked to.
fn check(path: &str, want: &str) {
    let file = project(path);
    if std::env::var_os("ATOLL_BLESS").is_some() {
        std::fs::write(&file, want).unwrap();
    }
    let have = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        have == want,
        "{path} is out of date: run ATOLL_BLESS=1 cargo test -p atoll-tests --test docs"
    );
}

fn section(program: &str, keys: &'static [KeySpec]) -> String {
    format!("## {program}\n\n```toml\n{}```\n", reference(keys))
}

#[test]
fn every_setting_is_in_the_reference() {
    let text = [
        "# Settings\n\n\
         Every key of every daemon, with its default, its kind and what it costs. The same text, with \
         the values in force and where they come from, is printed by `--print-config`.\n\n\
         A key comes from the file named by `--config`, from the environment (`http.listen` is \
         `ATOLL_HTTP_LISTEN`), or from `--set http.listen=127.0.0.1:8080`; the later wins. A key that \
         does not exist is an error. `--check-config` says what is wrong and exits. Lists are TOML \
         arrays in a file and comma-separated elsewhere.\n"
            .to_owned(),
        section("atoll-proxy", proxy::engine::config::KEYS),
        section("atoll-dns", dns::shell::keys::KEYS),
        section("atoll-dht", dht::shell::KEYS),
    ];
    check("docs/operating/config.md", &text.join("\n"));
}
