//! The commands in the documents for operators, run as they stand there.

use harness::binaries::{dir, workspace};
use harness::place::Place;

use super::{network, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_about_seeing_runs_as_it_is_written() {
    let place = Place::shared().await;
    let (_dev, _origin) = network(&place, 5).await;
    let mut commands = 0;
    for name in ["doctor", "trace", "runbook"] {
        let path = workspace().join(format!("docs/operating/{name}.md"));
        let text = std::fs::read_to_string(path).unwrap();
        let blocks = text.split("```sh\n").skip(1);
        let blocks = blocks.filter_map(|rest| rest.split_once("```"));
        for line in blocks.flat_map(|(block, _)| block.lines()) {
            let mut args: Vec<_> = line.split_ascii_whitespace().collect();
            assert_eq!(args.remove(0), "atoll", "{line}");
            if args[0] == "config" {
                args.extend(["--release-dir", dir().to_str().unwrap()]);
            }
            let ran = told(&place, &args).await;
            // What they name is nobody's page, so some say no; none is misunderstood.
            let understood = matches!(ran.code, Some(0 | 1 | 3));
            assert!(understood, "{line}: {}{}", ran.out, ran.err);
            commands += 1;
        }
    }
    assert!(commands >= 15, "{commands}");
}
