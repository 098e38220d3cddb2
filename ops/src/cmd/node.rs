//! `atoll node`: the nodes of a controller, and their orders. `atoll events`: what happened.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::controller::client::ControllerArgs;
use crate::engine::document::key::PublicKey;
use crate::engine::document::report::Leaving;
use crate::engine::document::words::{Version, is_node_name};
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{self, Align, Table};
use crate::say;

/// Arguments of `atoll node`.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    /// Show all nodes, and those that called and are not enrolled
    List(ListArgs),
    /// Take a node in by its key, or rename it
    Enrol(EnrolArgs),
    /// Say what a node is to run
    Order(OrderArgs),
    /// Show all that is known of a node, as JSON
    Show(ShowArgs),
}

#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct EnrolArgs {
    /// The node's key, as its agent says it
    #[arg(value_parser = PublicKey::parse)]
    key: PublicKey,
    /// What people are to call it
    #[arg(long)]
    name: String,
    /// The nodes that it is near to, and is compared with
    #[arg(long, default_value = "default")]
    cluster: String,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true)))]
struct OrderArgs {
    /// The node: its name, its key, or the beginning of its key
    node: String,
    /// The whole order, as JSON: {"daemons": {NAME: {"program", "release", "state", "settings"}}}
    #[arg(long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// The same daemons as ordered before, of this release
    #[arg(long, value_name = "VERSION", group = "what")]
    release: Option<Version>,
    /// An older version than before is meant
    #[arg(long)]
    downgrade: bool,
    #[command(flatten)]
    controller: ControllerArgs,
}

#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The node: its name, its key, or the beginning of its key
    node: String,
    #[command(flatten)]
    controller: ControllerArgs,
}

/// Arguments of `atoll events`.
#[derive(Clone, Debug, clap::Args)]
pub struct EventsArgs {
    /// Only those after this number
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
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
pub async fn run(args: NodeArgs) -> Outcome {
    match args.action {
        Action::List(args) => list(&args).await,
        Action::Enrol(args) => {
            let body = json!({ "name": args.name, "cluster": args.cluster }).to_string();
            args.controller
                .put(&format!("/v1/nodes/{}", args.key), body)
                .await?;
            Ok(Exit::Ok)
        }
        Action::Order(args) => order(&args).await,
        Action::Show(args) => {
            let node = args
                .controller
                .get(&format!("/v1/nodes/{}", args.node))
                .await?;
            say::result(&serde_json::to_string_pretty(&node).unwrap_or_default());
            Ok(Exit::Ok)
        }
    }
}

async fn order(args: &OrderArgs) -> Outcome {
    let path = format!("/v1/nodes/{}", args.node);
    let mut wish: Value = match (&args.file, &args.release) {
        (Some(file), _) => {
            let text = std::fs::read(file).map_err(|error| {
                let what = format!("cannot read {}: {error}", file.display());
                Failure::usage(what, "name a file with --file")
            })?;
            serde_json::from_slice(&text).map_err(|error| {
                Failure::usage(format!("{}: {error}", file.display()), "write it as JSON")
            })?
        }
        (None, release) => {
            let node = args.controller.get(&path).await?;
            let mut daemons = node["desired"]["daemons"].clone();
            let all = daemons.as_object_mut().ok_or_else(|| {
                let what = format!("nothing was ordered for {} yet", args.node);
                Failure::failed(what, "say what it is to run with --file")
            })?;
            for daemon in all.values_mut() {
                daemon["release"] = json!(release);
            }
            json!({ "daemons": daemons })
        }
    };
    if args.downgrade {
        wish["downgrade"] = true.into();
    }
    let answer = args
        .controller
        .put(&format!("{path}/desired"), wish.to_string())
        .await?;
    let node: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    say::result(&format!(
        "intent {} for {}",
        node["desired"]["serial"], args.node
    ));
    Ok(Exit::Ok)
}

async fn list(args: &ListArgs) -> Outcome {
    let found = args.controller.get("/v1/nodes").await?;
    if args.json {
        say::result(&serde_json::to_string_pretty(&found).unwrap_or_default());
    } else {
        say::result(&table(&found));
    }
    Ok(Exit::Ok)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn ago(millis: &Value) -> String {
    let ago = millis.as_u64().map(Duration::from_millis);
    ago.map_or_else(|| "-".to_owned(), render::duration)
}

/// The nodes for people.
fn table(found: &Value) -> String {
    let mut table = Table::new(&[
        ("node", Align::Left),
        ("key", Align::Left),
        ("cluster", Align::Left),
        ("ordered", Align::Right),
        ("in force", Align::Right),
        ("runs", Align::Left),
        ("called", Align::Right),
        ("notes", Align::Left),
    ]);
    for node in array(&found["nodes"]) {
        let observed = &node["observed"];
        let key: String = word(&node["key"]).chars().take(8).collect();
        table.row([
            word(&node["name"]),
            key,
            word(&node["cluster"]),
            word(&node["desired"]["serial"]),
            word(&observed["in_force"]),
            runs(observed),
            ago(&node["seen_ms_ago"]),
            notes(observed),
        ]);
    }
    let mut text = table.to_text();
    for stranger in array(&found["strangers"]) {
        let (name, key) = (word(&stranger["name"]), word(&stranger["key"]));
        // Somebody will copy this line.
        let name = if is_node_name(&name) { &name } else { "NAME" };
        text.push_str(&format!(
            "\n{name} is not enrolled: atoll node enrol {key} --name {name}"
        ));
    }
    text
}

fn runs(observed: &Value) -> String {
    let daemons = observed["daemons"].as_object();
    let one = |(name, daemon): (&String, &Value)| {
        format!(
            "{name} {} {}",
            word(&daemon["release"]),
            word(&daemon["doing"])
        )
    };
    let all: Vec<String> = daemons.into_iter().flatten().map(one).collect();
    all.join(", ")
}

fn notes(observed: &Value) -> String {
    let mut notes = Vec::new();
    if let Some(why) = observed["held"].as_str() {
        notes.push(format!("held: {why}"));
    }
    if observed["fallen"].is_object() {
        notes.push(format!(
            "fell back from intent {}",
            observed["fallen"]["from"]
        ));
    }
    if let Some(reason) = observed["refused"].as_str() {
        notes.push(format!("refused: {reason}"));
    }
    for (name, daemon) in observed["daemons"].as_object().into_iter().flatten() {
        let leaving = serde_json::from_value::<Leaving>(daemon["leaving"].clone());
        notes.extend(leaving.ok().map(|leaving| leaves(name, &leaving)));
    }
    notes.join("; ")
}

/// How the index `name` of an old network leaves.
fn leaves(name: &str, leaving: &Leaving) -> String {
    let seconds = |s| render::duration(Duration::from_secs(s));
    let (count, at_most) = (leaving.straggler_count, seconds(leaving.deadline_in_s));
    let how = match (&leaving.left, leaving.quiet_for_s) {
        (Some(why), _) => format!("old index has left ({why})"),
        (None, _) if count > 0 => {
            let mut named: Vec<_> = leaving.stragglers.iter().map(ToString::to_string).collect();
            let more = count.saturating_sub(named.len() as u64);
            named.extend((more > 0).then(|| format!("{more} more")));
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} straggler{plural}: {}", named.join(", "))
        }
        (None, Some(quiet)) => {
            let of = seconds(leaving.quiet_s);
            format!("old index quiet for {} of {of}", seconds(quiet))
        }
        (None, None) => format!("old index stays, {at_most} at most"),
    };
    format!("{name}: {how}")
}

/// Shows what happened.
///
/// # Errors
/// The controller does not answer, or says no.
pub async fn events(args: EventsArgs) -> Outcome {
    let path = format!("/v1/events?after={}&limit=1000", args.after);
    let found = args.controller.get(&path).await?;
    if args.json {
        say::result(&serde_json::to_string_pretty(&found).unwrap_or_default());
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&[
        ("", Align::Right),
        ("", Align::Left),
        ("", Align::Left),
        ("", Align::Left),
    ]);
    for event in array(&found) {
        let node: String = word(&event["node"]).chars().take(8).collect();
        table.row([
            word(&event["id"]),
            node,
            word(&event["kind"]),
            word(&event["detail"]),
        ]);
    }
    say::result(&table.to_text());
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(leaving: &Value) -> String {
        let index = json!({ "leaving": leaving });
        notes(&json!({ "daemons": { "index": index, "proxy": { "ready": true } } }))
    }

    #[test]
    fn a_note_says_who_holds_an_old_index_and_that_it_has_left() {
        let base = json!({ "quiet_s": 600, "deadline_in_s": 7_200, "straggler_count": 0, "stragglers": [] });
        let with = |more: &Value| {
            let mut leaving = base.clone();
            let more = more.as_object().unwrap().clone();
            leaving.as_object_mut().unwrap().extend(more);
            noted(&leaving)
        };
        let rows = [
            (
                json!({ "straggler_count": 1, "stragglers": ["192.0.2.1:81"] }),
                "index: 1 straggler: 192.0.2.1:81",
            ),
            (
                json!({ "straggler_count": 4, "stragglers": ["192.0.2.1:81", "192.0.2.2:81"] }),
                "index: 4 stragglers: 192.0.2.1:81, 192.0.2.2:81, 2 more",
            ),
            (
                json!({ "quiet_for_s": 60 }),
                "index: old index quiet for 60.0 s of 600 s",
            ),
            (json!({}), "index: old index stays, 7200 s at most"),
            (
                json!({ "left": "quiet", "quiet_for_s": 600 }),
                "index: old index has left (quiet)",
            ),
        ];
        for (more, expected) in rows {
            assert_eq!(with(&more), expected);
        }
        assert_eq!(noted(&Value::Null), "");
    }
}
