//! How a node's agent is: what is in force, when the controller last answered, what was refused and why.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::leaving;
use crate::admin;
use crate::agent::engine::report::View;
use crate::agent::shell::door;
use crate::agent::shell::home::Home;
use crate::doctor::skewed;
use crate::engine::document::report::{Doing, Observed};
use crate::engine::document::words::Program;
use crate::engine::retiring::Retiring;
use crate::outcome::{Exit, Failure, Outcome};
use crate::render::{self, Align, Table};
use crate::say;

/// Without an answer for longer than this, the controller counts as silent: several calls were due.
const SILENT_MS: u64 = 180_000;

const DAY_S: u64 = 86_400;

/// Shows the agent whose directory is `state`.
///
/// # Errors
/// It does not run; the failure says what is in force nevertheless.
pub(super) async fn show(state: &Path, json: bool) -> Outcome {
    let home = Home::at(state);
    let view = door::ask(&home.socket()).map_err(|error| {
        let standing = home.load().newest.map(|(_, standing)| standing);
        let serial = standing.as_ref().and_then(|standing| standing.in_force());
        let last = serial.map_or_else(
            || "nothing was ever in force here".to_owned(),
            |intent| {
                format!(
                    "intent {} is in force, and its daemons go on",
                    intent.body.serial
                )
            },
        );
        let what = format!(
            "the agent of {} does not answer ({error}); {last}",
            state.display()
        );
        Failure::unreachable(what, "start it with `atoll agent`")
    })?;
    let leaving = leaving(&home).await;
    if json {
        let mut all = serde_json::to_value(&view).unwrap_or_default();
        if !leaving.is_empty() {
            let each = leaving
                .iter()
                .map(|(name, old)| (name.clone(), serde_json::json!(old)));
            all["leaving"] = each.collect::<serde_json::Map<_, _>>().into();
        }
        say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        say::result(&text(&view));
        let old = leaving::table(leaving.iter().map(|(name, old)| (&**name, old)));
        if !old.is_empty() {
            say::result(&format!("\n{old}"));
        }
    }
    Ok(verdict(&view))
}

/// The node's indexes of old networks, as their pages say it.
async fn leaving(home: &Home) -> Vec<(String, Retiring)> {
    let standing = home.load().newest.map(|(_, standing)| standing);
    let intent = standing.as_ref().and_then(|standing| standing.in_force());
    let mut all = Vec::new();
    for (name, wanted) in intent.iter().flat_map(|intent| intent.body.running()) {
        let admin = wanted.settings.get("admin.listen");
        let admin: Option<SocketAddr> = admin.and_then(|addr| addr.parse().ok());
        let Some(admin) = admin.filter(|_| wanted.program == Program::Dht) else {
            continue;
        };
        let page = admin::page(admin, "/state").await.ok();
        let leaving = page.and_then(|page| Retiring::read(&page.json()));
        all.extend(leaving.map(|leaving| (name.to_string(), leaving)));
    }
    all
}

/// Whether anything is not as it should be.
fn verdict(view: &View) -> Exit {
    let report = &view.report;
    let down = report
        .daemons
        .values()
        .any(|daemon| daemon.doing != Doing::Up || daemon.ready == Some(false));
    let silent = view.answered_ms_ago.is_none_or(|ago| ago > SILENT_MS);
    if down || silent || view.failing.is_some() || view.refused.is_some() || report.fallen.is_some()
    {
        Exit::Degraded
    } else {
        Exit::Ok
    }
}

fn ago(millis: u64) -> String {
    render::duration(Duration::from_millis(millis))
}

/// The text for people.
fn text(view: &View) -> String {
    let report = &view.report;
    let mut facts = Table::new(&[("", Align::Left), ("", Align::Left)]);
    let mut fact = |name: &str, value: String| facts.row([name.to_owned(), value]);
    fact("node", format!("{} ({})", report.name, report.node));
    fact("in force", in_force(view));
    if let Some(staged) = view.staged {
        fact(
            "on its way",
            format!("intent {staged}: its releases are being fetched"),
        );
    }
    if let Some(fallen) = &report.fallen {
        let (daemon, release, from) = (&fallen.daemon, &fallen.release, fallen.from);
        fact(
            "fell back",
            format!("{daemon} {release} of intent {from} did not stay up"),
        );
    }
    if let Some(why) = &report.held {
        fact("held", format!("{why} (lift it with `atoll resume`)"));
    }
    let answered = view.answered_ms_ago.map(ago);
    let answered = answered.map_or_else(|| "never".to_owned(), |ago| format!("{ago} ago"));
    fact(
        "controller",
        match &view.failing {
            None => format!("answered {answered}"),
            Some((why, since)) => {
                format!("silent for {} ({why}); answered {answered}", ago(*since))
            }
        },
    );
    if let Some(apart) = calendar(view) {
        fact("calendar", apart);
    }
    if let Some((reason, since)) = view.refused {
        let (word, advice) = (reason.as_str(), reason.advice());
        fact("refused", format!("{word}, {} ago: {advice}", ago(since)));
    }
    let slots: Vec<String> = report.slots.iter().map(ToString::to_string).collect();
    fact("on the disk", slots.join(", "));
    let mut daemons = Table::new(&[
        ("daemon", Align::Left),
        ("program", Align::Left),
        ("release", Align::Left),
        ("is", Align::Left),
        ("for", Align::Right),
        ("crashes", Align::Right),
    ]);
    for (name, daemon) in &report.daemons {
        daemons.row([
            name.to_string(),
            daemon.program.as_str().to_owned(),
            daemon.release.to_string(),
            is(daemon),
            ago(daemon.for_ms),
            daemon.crashes.to_string(),
        ]);
    }
    format!("{}\n\n{}", facts.to_text(), daemons.to_text())
}

/// How the controller's calendar differs from this node's, if it does.
fn calendar(view: &View) -> Option<String> {
    let seconds = skewed(view.controller_ahead_s)?;
    let apart = seconds.unsigned_abs();
    let apart = match (apart + DAY_S / 2) / DAY_S {
        0 | 1 => render::duration(Duration::from_secs(apart)),
        days => format!("about {days} days"),
    };
    let way = if seconds > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "the controller's is {apart} {way} this node's: see that NTP runs on both; nothing waits for it"
    ))
}

/// What a daemon does, and whether it says so itself.
fn is(daemon: &Observed) -> String {
    let doing = daemon.doing.as_str();
    if daemon.doing == Doing::Up && daemon.ready == Some(false) {
        return format!("{doing}, not ready");
    }
    doing.to_owned()
}

fn in_force(view: &View) -> String {
    match view.report.in_force {
        None => "nothing yet".to_owned(),
        Some(serial) if view.proven => format!("intent {serial}"),
        Some(serial) if view.report.fallen.is_some() => format!("intent {serial}, again"),
        Some(serial) => format!("intent {serial}, on probation"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use common::rng::Generator;

    use super::*;
    use crate::engine::document::key::SigningKey;
    use crate::engine::document::refusal::RefusalReason;
    use crate::engine::document::report::{Counted, Report};
    use crate::engine::document::words::{DaemonName, Program, Version};

    fn view() -> View {
        let version = Version::parse("1.2.3").unwrap();
        let proxy = Observed {
            program: Program::Proxy,
            release: version.clone(),
            doing: Doing::Up,
            for_ms: 61_000,
            crashes: 0,
            ready: None,
            leaving: None,
        };
        View {
            report: Report {
                node: SigningKey::generate(&mut Generator::from_seed(1)).public(),
                boot: 1,
                count: 2,
                name: "reef1".to_owned(),
                agent: "0.1.0".to_owned(),
                accepted: Some(7),
                in_force: Some(7),
                held: None,
                fallen: None,
                refused: None,
                settled: Some(true),
                daemons: BTreeMap::from([(DaemonName::parse("proxy").unwrap(), proxy)]),
                slots: BTreeSet::from([version]),
                counted: Counted::default(),
                injected: BTreeMap::new(),
                wait_ms: 30_000,
            },
            proven: true,
            staged: None,
            answered_ms_ago: Some(1_500),
            failing: None,
            refused: None,
            controller_ahead_s: Some(-3),
        }
    }

    #[test]
    fn a_node_that_is_well_says_so_briefly() {
        let view = view();
        assert_eq!(verdict(&view), Exit::Ok);
        let text = text(&view);
        for line in [
            "in force     intent 7",
            "controller   answered 1.50 s ago",
            "proxy   atoll-proxy  1.2.3    up",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_controller_of_another_day_is_told_and_degrades_nothing() {
        let on = |ahead_s| View {
            controller_ahead_s: Some(ahead_s),
            ..view()
        };
        assert!(!text(&view()).contains("calendar"));
        assert_eq!(verdict(&on(3 * 86_400)), Exit::Ok);
        for (ahead_s, words) in [
            (3 * 86_400, "about 3 days ahead of"),
            (-45, "45.0 s behind"),
        ] {
            let told = text(&on(ahead_s));
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_makes_it_degraded() {
        let mut starting = view();
        let proxy = starting.report.daemons.values_mut();
        proxy.for_each(|proxy| proxy.ready = Some(false));
        assert_eq!(verdict(&starting), Exit::Degraded);
        assert!(text(&starting).contains("up, not ready"));
        let refused = View {
            refused: Some((RefusalReason::OlderSerial, 2_000)),
            ..view()
        };
        assert_eq!(verdict(&refused), Exit::Degraded);
        assert!(text(&refused).contains("older_serial, 2.00 s ago: the controller forgot"));
        let silent = View {
            failing: Some(("connect".to_owned(), 90_000)),
            ..view()
        };
        assert_eq!(verdict(&silent), Exit::Degraded);
        assert!(text(&silent).contains("silent for 90.0 s (connect); answered 1.50 s ago"));
    }
}
