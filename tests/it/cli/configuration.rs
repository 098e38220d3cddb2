//! Settings from files, environment and command line; mistakes named with their place.

use harness::binaries::Program;
use harness::exec::{self, run_ours};
use harness::place::Place;

const DAEMONS: [Program; 3] = [Program::Proxy, Program::Dht, Program::Dns];

/// Settings without which a daemon does not start.
fn needed(program: Program) -> [&'static str; 2] {
    let set = match program {
        Program::Dht => "network.secret_file=/nowhere/secret",
        _ => "zone=nyud.test",
    };
    ["--set", set]
}

#[tokio::test]
async fn a_malformed_file_is_refused_with_its_line() {
    let place = Place::shared().await;
    let file = place.file("bad.toml");
    let name = file.to_str().unwrap();
    for program in DAEMONS {
        for (text, line) in [("[log]\nlevel = \n", 2), ("\n\n[log\n", 3), ("a b c\n", 1)] {
            std::fs::write(&file, text).unwrap();
            let needed = needed(program);
            let ran = run_ours(program, &["--config", name, needed[0], needed[1]]).await;
            assert_eq!(ran.code, Some(2), "{program:?}: {}", ran.err);
            let place = format!("{name}:{line}: ");
            assert!(
                ran.err.contains(&place),
                "{program:?}: {place} is not in {}",
                ran.err
            );
        }
        let ran = run_ours(program, &["--config", "/nowhere/x.toml"]).await;
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains("/nowhere/x.toml"), "{}", ran.err);
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    let place = Place::shared().await;
    let file = place.file("unknown.toml");
    std::fs::write(&file, "[log]\nformat = \"human\"\nlevle = \"info\"\n").unwrap();
    let name = file.to_str().unwrap();
    for program in DAEMONS {
        let needed = needed(program);
        let ran = run_ours(program, &["--config", name, needed[0], needed[1]]).await;
        assert_eq!(ran.code, Some(2), "{program:?}: {}", ran.err);
        let said = format!("{name}:3: unknown key \"log.levle\"; did you mean \"log.level\"?");
        assert!(ran.err.contains(&said), "{program:?}: {}", ran.err);

        let ran = run_ours(program, &[needed[0], needed[1], "--set", "admin.lisen=x"]).await;
        assert_eq!(ran.code, Some(2));
        assert!(
            ran.err.contains("did you mean \"admin.listen\"?"),
            "{}",
            ran.err
        );
        let ran = run_ours(program, &[needed[0], needed[1], "--set", "nonsense"]).await;
        assert_eq!(ran.code, Some(2));
        assert!(
            ran.err.contains("not of the form section.key=value"),
            "{}",
            ran.err
        );
    }
}

#[tokio::test]
async fn all_mistakes_are_reported_at_once() {
    let sets = [
        "--set",
        "http.listen=here",
        "--set",
        "store.memory=lots",
        "--set",
        "zone=a..b",
    ];
    let ran = run_ours(Program::Proxy, &sets).await;
    assert_eq!(ran.code, Some(2));
    for key in ["http.listen", "store.memory", "zone"] {
        assert!(ran.err.contains(key), "{key} is not in {}", ran.err);
    }
}

#[tokio::test]
async fn what_is_required_is_named() {
    for program in [Program::Proxy, Program::Dns] {
        let ran = run_ours(program, &[]).await;
        assert_eq!(ran.code, Some(2), "{program:?}");
        assert!(
            ran.err.contains("zone: it has no default and must be set"),
            "{}",
            ran.err
        );
    }
    let ran = run_ours(Program::Dht, &[]).await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("network.secret_file"), "{}", ran.err);
    assert!(ran.err.contains("atoll secret new"), "{}", ran.err);
}

#[tokio::test]
async fn checking_starts_nothing() {
    for program in DAEMONS {
        let needed = needed(program);
        let ran = run_ours(program, &[needed[0], needed[1], "--check-config"]).await;
        assert_eq!(
            (ran.code, &*ran.out),
            (Some(0), "the configuration is in order\n")
        );
        let bad = [
            needed[0],
            needed[1],
            "--check-config",
            "--set",
            "log.format=loud",
        ];
        assert_eq!(run_ours(program, &bad).await.code, Some(2), "{program:?}");
    }
}

#[tokio::test]
async fn the_command_line_beats_the_environment_and_that_the_file_and_that_the_default() {
    let place = Place::shared().await;
    let file = place.file("proxy.toml");
    let text = "zone = \"nyud.test\"\n[node]\nname = \"file\"\n[log]\nformat = \"json\"\n\
        level = \"debug\"\n";
    std::fs::write(&file, text).unwrap();
    let mut command = exec::command(Program::Proxy.path());
    command
        .arg("--config")
        .arg(&file)
        .args(["--print-config", "--set", "node.name=line"]);
    command
        .env("ATOLL_NODE_NAME", "environment")
        .env("ATOLL_LOG_LEVEL", "warn");
    let printed = exec::run(&mut command).await.ok();
    let name = file.display();
    for line in [
        "name = \"line\" # --set".to_owned(),
        "level = \"warn\" # ATOLL_LOG_LEVEL".to_owned(),
        format!("format = \"json\" # {name}:5"),
        "listen = \"127.0.0.1:8080\" # default".to_owned(),
    ] {
        assert!(printed.contains(&line), "{line} is not in\n{printed}");
    }
    // What is printed is a file that is taken as it is.
    let again = place.file("again.toml");
    std::fs::write(&again, &printed).unwrap();
    let args = ["--config", again.to_str().unwrap(), "--check-config"];
    assert_eq!(run_ours(Program::Proxy, &args).await.code, Some(0));
}
