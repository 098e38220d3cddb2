//! How rollouts look to people: tables and sentences. Pure.

use std::time::Duration;

use serde_json::Value;

use crate::controller::engine::rollout::gate::FailReason;
use crate::outcome::Exit;
use crate::render::{self, Align, Table};

/// Names of a wave that are listed. The rest is counted.
const NAMED: usize = 8;

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn time(millis: &Value) -> String {
    let millis = number(millis);
    match millis / 1_000 {
        seconds @ 120.. => format!("{} min", seconds / 60),
        _ => render::duration(Duration::from_millis(millis)),
    }
}

/// A count in a table; zero is nothing to look at.
fn count(value: &Value) -> String {
    match number(value) {
        0 => "-".to_owned(),
        some => render::count(some),
    }
}

/// Whether nothing happens any more unless somebody says so.
pub(super) fn waits(found: &Value) -> bool {
    !matches!(text(&found["phase"]), "wave" | "back")
}

/// How a command that shows it ends: going on or done, waiting for somebody, or taken back.
pub(super) fn exit(found: &Value) -> Exit {
    match (text(&found["phase"]), text(&found["why"])) {
        ("wave" | "done", _) => Exit::Ok,
        ("back" | "rolled_back", why) if why != "asked" => Exit::Failed,
        _ => Exit::Degraded,
    }
}

/// The gate's verdict in a word or two.
fn verdict(value: &Value) -> String {
    match (value.as_str(), value["fail"].as_str()) {
        (Some(word), _) => word.to_owned(),
        (None, Some(reason)) => format!("fail: {reason}"),
        (None, None) => "-".to_owned(),
    }
}

/// Why a gate failed, in a sentence.
fn reason(word: &Value) -> String {
    match serde_json::from_value::<FailReason>(word.clone()) {
        Ok(reason) => format!("{}: {}", reason.as_str(), reason.advice()),
        Err(_) => "its operator said so".to_owned(),
    }
}

/// Where it is, in one line.
pub(super) fn line(found: &Value) -> String {
    let total = |name: &str| -> u64 {
        let waves = array(&found["waves"]).iter();
        waves.map(|wave| number(&wave[name])).sum()
    };
    let (nodes, release) = (total("nodes"), text(&found["release"]));
    let mut line = format!(
        "{}; {} of {nodes} nodes run {release}",
        phase(found, false),
        total("runs")
    );
    let others = [
        ("told", "change"),
        ("failed", "failed"),
        ("aside", "aside"),
        ("sent_back", "on their way back"),
        ("returned", "back"),
    ];
    for (name, word) in others {
        let some = total(name);
        if some > 0 {
            line.push_str(&format!(", {some} {word}"));
        }
    }
    line
}

/// Where it is; `times` says whether with times, which change all the while.
fn phase(found: &Value, times: bool) -> String {
    let wave = format!("wave {} of {}", found["wave"], array(&found["waves"]).len());
    let config = &found["config"];
    match text(&found["phase"]) {
        "wave" => {
            let (soaked, soak) = (found["soaked_ms"].as_u64(), number(&config["soak_ms"]));
            let gate = verdict(&found["verdict"]);
            let what = match soaked {
                None => "being changed".to_owned(),
                Some(soaked) if soaked < soak && times => {
                    let (for_, of) = (time(&soaked.into()), time(&soak.into()));
                    format!("watched for {for_} of {of}; gate: {gate}")
                }
                Some(soaked) if soaked < soak => format!("watched; gate: {gate}"),
                Some(_) => {
                    let patience = time(&config["patience_ms"]);
                    format!("waits up to {patience} for its gate: {gate}")
                }
            };
            format!("{wave}: {what}")
        }
        "paused" if found["why"] == "inconclusive" => format!(
            "paused after {wave}: too little to go by. Look, then `atoll rollout resume` or `atoll rollout rollback`"
        ),
        "paused" => format!("paused in {wave}: `atoll rollout resume` goes on"),
        "back" => format!("being taken back, {}", reason(&found["why"])),
        "rolled_back" => format!("taken back, {}", reason(&found["why"])),
        "halted" => {
            "halted: nodes stay where they are. `atoll rollout rollback` sends them back".to_owned()
        }
        _ => "done".to_owned(),
    }
}

/// All of it.
pub(super) fn status(found: &Value) -> String {
    let waves = array(&found["waves"]);
    let nodes: u64 = waves.iter().map(|wave| number(&wave["nodes"])).sum();
    let mut all = format!(
        "rollout {}: {} to {nodes} nodes\n{}\n\n",
        found["id"],
        text(&found["release"]),
        phase(found, true)
    );
    let columns = [
        "waiting",
        "told",
        "runs",
        "failed",
        "aside",
        "sent_back",
        "returned",
    ];
    let titles = [
        "waiting",
        "told",
        "runs",
        "failed",
        "aside",
        "going back",
        "back",
    ];
    let mut head = vec![("wave", Align::Left), ("nodes", Align::Right)];
    head.extend(titles.map(|title| (title, Align::Right)));
    let mut table = Table::new(&head);
    for (at, wave) in waves.iter().enumerate() {
        let name = if at == 0 {
            "1 canary".to_owned()
        } else {
            (at + 1).to_string()
        };
        let mut cells = vec![name, count(&wave["nodes"])];
        cells.extend(columns.map(|column| count(&wave[column])));
        table.row(cells);
    }
    all.push_str(&table.to_text());
    let clusters = array(&found["clusters"]);
    if clusters
        .iter()
        .any(|cluster| number(&cluster["changed"]["nodes"]) > 0)
    {
        all.push_str(&format!("\n\n{}", gates(clusters)));
    }
    for straggler in array(&found["stragglers"]) {
        let since = time(&straggler["for_ms"]);
        all.push_str(&format!(
            "\n{} ({}): {} for {since}",
            text(&straggler["name"]),
            text(&straggler["cluster"]),
            place(&straggler["place"])
        ));
    }
    if number(&found["stragglers_more"]) > 0 {
        all.push_str(&format!("\nand {} more", found["stragglers_more"]));
    }
    all
}

fn place(value: &Value) -> String {
    if let Some(word) = value.as_str() {
        return word.replace('_', " ");
    }
    let object = value.as_object().into_iter().flatten().next();
    object.map_or_else(String::new, |(word, why)| {
        format!("{word}, {}", text(why).replace('_', " "))
    })
}

/// What the gate has of each cluster.
fn gates(clusters: &[Value]) -> String {
    let mut table = Table::new(&[
        ("cluster", Align::Left),
        ("nodes", Align::Right),
        ("", Align::Left),
        ("requests", Align::Right),
        ("our 5xx", Align::Right),
        ("first byte", Align::Right),
        ("95 of 100", Align::Right),
        ("index fails", Align::Right),
        ("test pages", Align::Right),
        ("crashes", Align::Right),
        ("down", Align::Right),
        ("gate", Align::Left),
    ]);
    for cluster in clusters {
        let sides = [("changed", "changed"), ("control", "untouched")];
        for (at, (side, word)) in sides.into_iter().enumerate() {
            let found = &cluster[side];
            let first = at == 0;
            table.row([
                if first {
                    text(&cluster["cluster"]).to_owned()
                } else {
                    String::new()
                },
                count(&found["nodes"]),
                word.to_owned(),
                count(&found["requests"]),
                share(&found["errors"], &found["requests"]),
                first_byte(found),
                micros(&found["first_byte_95th_micros"]),
                share(&found["lookups_failed"], &found["lookups"]),
                test_pages(found),
                count(&found["crashes"]),
                count(&found["down"]),
                if first {
                    verdict(&cluster["verdict"])
                } else {
                    String::new()
                },
            ]);
        }
    }
    table.to_text()
}

/// How many test pages came, and what was wrong with others.
fn test_pages(found: &Value) -> String {
    let mut text = count(&found["injected"]);
    for (name, word) in [("injected_failed", "failed"), ("injected_other", "other")] {
        if number(&found[name]) > 0 {
            text.push_str(&format!(", {} {word}", found[name]));
        }
    }
    text
}

/// A part of a whole in percent, with two places.
fn share(part: &Value, whole: &Value) -> String {
    let hundredths = (number(part) * 10_000).checked_div(number(whole));
    hundredths.map_or_else(
        || "-".to_owned(),
        |hundredths| format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    )
}

/// A time in microseconds, if there is one.
fn micros(value: &Value) -> String {
    let time = value.as_u64().map(Duration::from_micros);
    time.map_or_else(|| "-".to_owned(), render::duration)
}

/// The median time to first byte; of agents that report none the mean.
fn first_byte(found: &Value) -> String {
    let mean = number(&found["first_byte_micros"]).checked_div(number(&found["first_bytes"]));
    match (found["first_byte_median_micros"].as_u64(), mean) {
        (None, Some(mean)) => format!("mean {}", micros(&mean.into())),
        _ => micros(&found["first_byte_median_micros"]),
    }
}

/// A plan.
pub(super) fn plan(found: &Value) -> String {
    let waves = array(&found["waves"]);
    let nodes: usize = waves.iter().map(|wave| array(wave).len()).sum();
    let config = &found["config"];
    let mut all = format!(
        "{} to {nodes} nodes in {} waves. A node has {} to be ready, a wave is watched for {}.\n\n",
        text(&found["release"]),
        waves.len(),
        time(&config["deadline_ms"]),
        time(&config["soak_ms"]),
    );
    let mut table = Table::new(&[
        ("wave", Align::Left),
        ("nodes", Align::Right),
        ("", Align::Left),
    ]);
    for (at, wave) in waves.iter().enumerate() {
        let name = if at == 0 {
            "1 canary".to_owned()
        } else {
            (at + 1).to_string()
        };
        let nodes = array(wave);
        let mut names: Vec<&str> = nodes
            .iter()
            .take(NAMED)
            .map(|node| text(&node["name"]))
            .collect();
        if nodes.len() > NAMED {
            names.push("...");
        }
        table.row([name, nodes.len().to_string(), names.join(" ")]);
    }
    all.push_str(&format!("{}\n\n", table.to_text()));
    let mut table = Table::new(&[
        ("cluster", Align::Left),
        ("nodes", Align::Right),
        ("at once", Align::Right),
        ("run now", Align::Left),
    ]);
    for (name, cluster) in found["clusters"].as_object().into_iter().flatten() {
        let from = cluster["from"].as_object().into_iter().flatten();
        let from: Vec<String> = from
            .map(|(version, nodes)| format!("{version} ({nodes})"))
            .collect();
        table.row([
            name.clone(),
            count(&cluster["nodes"]),
            count(&cluster["at_once"]),
            from.join(", "),
        ]);
    }
    all.push_str(&table.to_text());
    for left in array(&found["left_out"]) {
        let why = match text(&left["why"]) {
            "has_it" => "was ordered to run it already",
            "no_order" => "nothing was ever ordered for it",
            _ => "the release has none of its programs",
        };
        all.push_str(&format!("\nleft out: {}: {why}", text(&left["name"])));
    }
    all
}

/// Why a node is where it is.
pub(super) fn explanation(found: &Value) -> String {
    let mut table = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    let (wave, waves) = (&found["wave"], &found["waves"]);
    fact(
        "node",
        format!("{} in {}", text(&found["name"]), text(&found["cluster"])),
    );
    fact(
        "rollout",
        format!(
            "{} of {}: wave {wave} of {waves}",
            found["rollout"],
            text(&found["release"])
        ),
    );
    fact(
        "is",
        format!("{} for {}", place(&found["place"]), time(&found["for_ms"])),
    );
    fact("because", text(&found["why"]).to_owned());
    let before = found["before"].as_object().into_iter().flatten();
    let before: Vec<String> = before
        .map(|(name, version)| format!("{name} {}", text(version)))
        .collect();
    fact("returns to", before.join(", "));
    let counted = &found["counted"];
    fact(
        "counted",
        format!(
            "{} requests, {} of them our 5xx, first byte {} (95 of 100: {}), {} crashes",
            render::count(number(&counted["requests"])),
            number(&counted["errors"]),
            first_byte(counted),
            micros(&counted["first_byte_95th_micros"]),
            number(&counted["crashes"]),
        ),
    );
    fact("gate here", verdict(&found["verdict"]));
    table.to_text()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(phase: &str, why: Option<&str>) -> Value {
        let side = |nodes: u64, errors: u64| {
            json!({ "nodes": nodes, "down": 0, "crashes": 0, "requests": 4_000, "errors": errors,
                "first_bytes": 1_000, "first_byte_micros": 1_500_000, "first_byte_median_micros": 1_500,
                "first_byte_95th_micros": 12_000, "lookups": 300, "lookups_failed": 3 })
        };
        json!({ "id": 3, "release": "1.1.0", "phase": phase, "why": why, "wave": 1,
            "config": { "deadline_ms": 300_000, "soak_ms": 600_000, "patience_ms": 900_000 },
            "waves": [{ "nodes": 1, "runs": 1 }, { "nodes": 2, "waiting": 2 }],
            "soaked_ms": 30_000, "verdict": { "fail": "errors" },
            "clusters": [{ "cluster": "eu", "verdict": { "fail": "errors" },
                "changed": side(1, 200), "control": side(2, 0) }],
            "stragglers": [{ "name": "reef7", "cluster": "eu", "place": { "aside": "held" }, "for_ms": 9_000 }],
            "stragglers_more": 0 })
    }

    #[test]
    fn the_exit_code_tells_going_on_waiting_and_taken_back_apart() {
        let rows = [
            (("wave", None), Exit::Ok),
            (("done", None), Exit::Ok),
            (("paused", Some("inconclusive")), Exit::Degraded),
            (("halted", None), Exit::Degraded),
            (("rolled_back", Some("asked")), Exit::Degraded),
            (("back", Some("errors")), Exit::Failed),
            (("rolled_back", Some("never_started")), Exit::Failed),
        ];
        for ((phase, why), code) in rows {
            assert_eq!(exit(&found(phase, why)), code, "{phase}");
        }
    }

    #[test]
    fn a_status_has_the_waves_the_gate_and_who_is_aside() {
        let text = status(&found("wave", None));
        for line in [
            "wave 1 of 2: watched for 30.0 s of 10 min; gate: fail: errors",
            "1 canary      1        -     -     1",
            "eu           1  changed       4 000   5.00 %     1.50 ms    12.0 ms       1.00 %           -        -     -  fail: errors",
            "             2  untouched     4 000   0.00 %",
            "reef7 (eu): aside, held for 9.00 s",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn of_agents_that_report_no_times_the_mean_is_shown_and_said_to_be_one() {
        let side = json!({ "first_bytes": 1_000, "first_byte_micros": 1_500_000 });
        assert_eq!(first_byte(&side), "mean 1.50 ms");
        assert_eq!(first_byte(&json!({})), "-");
    }

    #[test]
    fn a_rollout_that_was_taken_back_says_why_in_words() {
        let line = line(&found("rolled_back", Some("errors")));
        let expected = "taken back, errors: clients of changed nodes get more 5xx of ours; \
            1 of 3 nodes run 1.1.0";
        assert_eq!(line, expected);
    }
}
