//! The operator's command, beside `dev`.

use std::os::unix::fs::PermissionsExt as _;

use harness::binaries::Program;
use harness::dev::atoll;
use harness::exec::{run, run_ours};
use harness::place::Place;
use serde_json::Value;

#[tokio::test]
async fn url_prints_both_forms() {
    let args = [
        "url",
        "http://www.example.com/a?b",
        "--zone",
        "nyud.net",
        "--port",
        "8080",
    ];
    let printed = run_ours(Program::Atoll, &args).await.ok();
    assert!(
        printed.contains("http://www.example.com.nyud.net:8080/a?b"),
        "{printed}"
    );
    assert!(
        printed.contains("http://www-example-com.nyud.net:8080/a?b"),
        "{printed}"
    );

    let printed = run_ours(Program::Atoll, &["url", "--json", "https://example.com/"])
        .await
        .ok();
    let forms: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(forms["dotted"], "http://example.com.443.nyud.test/");
    assert_eq!(forms["https"], "https://example-com.nyud.test/");

    for (url, advice) in [
        ("ftp://example.com/", "only http:// and https://"),
        ("http://localhost/", "localhost"),
        ("http://[::1]/", "host name"),
    ] {
        let ran = run_ours(Program::Atoll, &["url", url]).await;
        assert_eq!(ran.code, Some(2), "{url}");
        assert!(ran.err.contains(advice), "{url}: {}", ran.err);
    }
}

#[tokio::test]
async fn status_of_nothing_says_how_to_start_something() {
    let place = Place::shared().await;
    for args in [
        &["status"][..],
        &["status", "--ready-file", "/nowhere/ready.json"],
    ] {
        let ran = run(&mut atoll(&place, args)).await;
        assert_eq!(ran.code, Some(4), "{args:?}: {}", ran.err);
        assert!(
            ran.err.contains("start a cluster with `atoll dev`"),
            "{}",
            ran.err
        );
    }
}

#[tokio::test]
async fn a_new_secret_is_its_owners_alone_and_never_replaces_another() {
    let place = Place::shared().await;
    let file = place.file("network");
    let args = ["secret", "new", "--out", file.to_str().unwrap()];
    let ran = run_ours(Program::Atoll, &args).await;
    let (out, err) = (ran.out.clone(), ran.err.clone());
    let _ = ran.ok();
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(
        !out.contains(secret.trim()) && !err.contains(secret.trim()),
        "it was shown"
    );
    assert_ne!(run_ours(Program::Atoll, &args).await.code, Some(0));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), secret);
}

#[tokio::test]
async fn nonsense_is_a_usage_error() {
    for args in [
        &["fly"][..],
        &["dev", "--nodes", "0"],
        &["url"],
        &["dev", "--dns", "9"],
    ] {
        assert_eq!(
            run_ours(Program::Atoll, args).await.code,
            Some(2),
            "{args:?}"
        );
    }
}
