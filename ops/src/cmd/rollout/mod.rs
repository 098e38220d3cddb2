//! `atoll rollout`: one release to many nodes, a few at a time, with a look at each few before the next.

mod show;

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use serde_json::{Value, json};

use super::span;
use crate::controller::client::ControllerArgs;
use crate::engine::document::words::Version;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;

/// Between two looks of `watch`.
const LOOK: Duration = Duration::from_millis(500);

/// Looks without an answer after which `watch` gives up: a minute, in which a controller is started anew.
const DEAF_MAX: u32 = 120;

/// Arguments of `atoll rollout`.
#[derive(Clone, Debug, clap::Args)]
pub struct RolloutArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show who would be changed when; nothing is begun
    Plan(WishArgs),
    /// Begin a rollout: a canary, then 5, 25, 60 and 100 % of the nodes
    Start(StartArgs),
    /// Show where a rollout is
    Status(StatusArgs),
    /// Show a rollout as it goes, until it ends or waits for you
    Watch(StatusArgs),
    /// Begin nothing new; what was begun is watched on
    Pause(TellArgs),
    /// Go on; after an inconclusive gate that is your word for it
    Resume(TellArgs),
    /// Stop as it is: nodes stay where they are
    Halt(TellArgs),
    /// Send all changed nodes back at once, also after the end
    Rollback(TellArgs),
    /// Say why a node is where it is
    Explain(ExplainArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct WishArgs {
    /// The release, published before
    release: Version,
    /// Only nodes of this cluster; may be given several times
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// The node to be first, by its name or key; else one of the largest cluster
    #[arg(long, value_name = "NODE")]
    canary: Option<String>,
    /// An older version than before is meant
    #[arg(long)]
    downgrade: bool,
    /// For a node to run the release and be ready, from its order on; then it counts as failed [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = span)]
    deadline: Option<Duration>,
    /// For a wave to be watched before the next [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = span)]
    soak: Option<Duration>,
    /// For a gate with too little to go by to find more; then the rollout pauses [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = span)]
    patience: Option<Duration>,
    /// Silent or not ready for so long, a node counts as down [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = span)]
    silence: Option<Duration>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct StartArgs {
    #[command(flatten)]
    wish: WishArgs,
    /// Then show it as it goes, as `atoll rollout watch` does
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Debug, clap::Args)]
struct StatusArgs {
    /// Its number; the latest if not given
    rollout: Option<u64>,
    /// Print JSON; of `watch` a line for each change
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct TellArgs {
    /// Its number; the latest if not given
    rollout: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct ExplainArgs {
    /// The node: its name, its key, or the beginning of its key
    node: String,
    /// The rollout's number; the latest if not given
    #[arg(long, value_name = "N")]
    rollout: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

/// Asks the controller, or tells it something.
///
/// # Errors
/// The controller does not answer, or says no.
pub async fn run(args: RolloutArgs) -> Outcome {
    match args.action {
        Action::Plan(args) => {
            let plan = post(&args.controller, "/v1/rollouts/plan", &args.wish()).await?;
            print(&plan, args.json, show::plan);
            Ok(Exit::Ok)
        }
        Action::Start(args) => start(args).await,
        Action::Status(args) => {
            let found = args.controller.get(&path(args.rollout)).await?;
            print(&found, args.json, show::status);
            Ok(show::exit(&found))
        }
        Action::Watch(args) => watch(&args).await,
        Action::Pause(args) => tell(&args, "pause").await,
        Action::Resume(args) => tell(&args, "resume").await,
        Action::Halt(args) => tell(&args, "halt").await,
        Action::Rollback(args) => tell(&args, "rollback").await,
        Action::Explain(args) => {
            let path = format!("{}/nodes/{}", path(args.rollout), args.node);
            let found = args.controller.get(&path).await?;
            print(&found, args.json, show::explanation);
            Ok(Exit::Ok)
        }
    }
}

impl WishArgs {
    fn wish(&self) -> Value {
        let millis = |time: Option<Duration>| {
            time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        json!({
            "release": self.release, "clusters": self.cluster, "canary": self.canary,
            "downgrade": self.downgrade, "deadline_ms": millis(self.deadline),
            "soak_ms": millis(self.soak), "patience_ms": millis(self.patience),
            "silence_ms": millis(self.silence),
        })
    }
}

fn path(rollout: Option<u64>) -> String {
    let which = rollout.map_or_else(|| "latest".to_owned(), |id| id.to_string());
    format!("/v1/rollouts/{which}")
}

fn print(found: &Value, json: bool, text: fn(&Value) -> String) {
    if json {
        say::result(&serde_json::to_string_pretty(found).unwrap_or_default());
    } else {
        say::result(&text(found));
    }
}

async fn post(controller: &ControllerArgs, path: &str, body: &Value) -> Result<Value, Failure> {
    let answer = controller.post(path, body.to_string()).await?;
    serde_json::from_slice(&answer.body).map_err(|error| {
        let what = format!("the answer is no JSON: {error}");
        Failure::failed(what, "is it a controller?")
    })
}

async fn start(args: StartArgs) -> Outcome {
    let wish = args.wish;
    let started = post(&wish.controller, "/v1/rollouts", &wish.wish()).await?;
    if !args.watch {
        print(&started, wish.json, show::status);
        return Ok(Exit::Ok);
    }
    let watched = StatusArgs {
        rollout: started["id"].as_u64(),
        json: wish.json,
        controller: wish.controller,
    };
    watch(&watched).await
}

async fn tell(args: &TellArgs, command: &str) -> Outcome {
    let path = path(args.rollout);
    args.controller
        .post(&format!("{path}/{command}"), "")
        .await?;
    let found = args.controller.get(&path).await?;
    print(&found, args.json, show::line);
    Ok(Exit::Ok)
}

/// Shows a rollout until it is over or waits for somebody. A controller that is started anew meanwhile is
/// waited for.
async fn watch(args: &StatusArgs) -> Outcome {
    let block = stdout().is_terminal() && !args.json;
    let (mut shown, mut lines, mut deaf) = (String::new(), 0, 0);
    loop {
        let found = match args.controller.get(&path(args.rollout)).await {
            Ok(found) => found,
            Err(failure) if failure.exit == Exit::Unreachable && deaf < DEAF_MAX => {
                if deaf == 0 {
                    say::note("the controller does not answer; trying for a minute");
                }
                deaf += 1;
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        deaf = 0;
        let text = match (args.json, block) {
            (true, _) => found.to_string(),
            (false, true) => show::status(&found),
            (false, false) => show::line(&found),
        };
        if text != shown {
            say::again(Some(if block { lines } else { 0 }), &text);
            lines = text.lines().count();
            shown = text;
        }
        if show::waits(&found) {
            return Ok(show::exit(&found));
        }
        tokio::time::sleep(LOOK).await;
    }
}
