//! `atoll doctor`: what is wrong with these daemons, and what to do. Gathers the facts; what they mean is
//! [`crate::doctor`]'s.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dht::client::Client;
use http::header::DATE;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::whom::{Daemon, Whom};
use crate::admin::{self, Page};
use crate::agent::shell::door;
use crate::agent::shell::home::Home;
use crate::cluster::layout::Kind;
use crate::doctor::{
    Agent, Answer, Facts, Finding, Room, Severity, checks, judge, judge_agent, judge_room,
};
use crate::figures::Figures;
use crate::outcome::{Exit, Outcome};
use crate::say;

const EXAMPLES: &str = "Exit codes: 0 all is well, 3 something is wrong, 4 nothing answers at all.

Examples:
  atoll doctor                                 of a running `atoll dev`
  atoll doctor --admin 127.0.0.1:8082 --admin 127.0.0.1:8084 --state /var/lib/atoll
  atoll doctor --json";

/// For a port to answer.
const PORT_DEADLINE: Duration = Duration::from_secs(2);

/// Arguments of `atoll doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    #[command(flatten)]
    whom: Whom,
    /// The agent whose directory this is, too
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Looks, and says what is wrong.
///
/// # Errors
/// No daemon is known, or none answers.
pub async fn run(args: DoctorArgs) -> Outcome {
    // An agent alone can be looked at too.
    let found = match (args.whom.find().await, &args.state) {
        (Err(failure), None) => return Err(failure),
        (Err(_), Some(_)) => (Vec::new(), Vec::new()),
        (Ok(found), _) => found,
    };
    let (daemons, silent) = found;
    let facts = gather(&daemons).await;
    let mut findings = judge(&facts);
    findings.extend(silent.into_iter().map(|why| Finding {
        severity: Severity::Wrong,
        check: crate::doctor::Check::Daemon,
        whom: why.split(": ").next().unwrap_or_default().to_owned(),
        what: format!("does not answer: {why}"),
        advice: "start it, or name its admin listener as admin.listen has it".to_owned(),
    }));
    if let Some(state) = &args.state {
        let asked = door::ask(&Home::at(state).socket());
        let agent = match asked {
            Ok(view) => Agent::Here(Box::new(view)),
            Err(error) => Agent::Gone(error.to_string()),
        };
        findings.extend(judge_agent(&agent));
        findings.extend(judge_room(room(state).as_ref()));
    }
    let made = checks(facts.len(), args.state.is_some());
    if args.json {
        let all = json!({ "daemons": facts.len(), "checks": made, "findings": findings });
        say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        say::result(&text(&findings, (facts.len(), made)));
    }
    Ok(verdict(&facts, &findings))
}

fn verdict(facts: &[Facts], findings: &[Finding]) -> Exit {
    let gone = |one: &Facts| matches!(one.answer, Answer::Gone(_));
    if !facts.is_empty() && facts.iter().all(gone) {
        Exit::Unreachable
    } else if findings.iter().any(|one| one.severity == Severity::Wrong) {
        Exit::Degraded
    } else {
        Exit::Ok
    }
}

/// For people.
fn text(findings: &[Finding], (daemons, checks): (usize, usize)) -> String {
    let mut lines = Vec::new();
    for one in findings {
        let (severity, check) = (one.severity.as_str(), one.check.as_str());
        lines.push(format!("{severity:<8}{check:<8}{}: {}", one.whom, one.what));
        lines.push(format!("{:16}{}", "", one.advice));
    }
    let count = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let (wrong, warnings) = (count(Severity::Wrong), count(Severity::Warning));
    lines.push(match (wrong, warnings) {
        (0, 0) => format!("all is well: {checks} checks of {daemons} daemons"),
        _ => format!("{wrong} wrong, {warnings} warnings, of {checks} checks of {daemons} daemons"),
    });
    lines.join("\n")
}

async fn gather(daemons: &[Daemon]) -> Vec<Facts> {
    let sockets: Vec<(SocketAddr, PathBuf)> = daemons
        .iter()
        .filter_map(|one| Some((one.addr?, one.socket.clone()?)))
        .collect();
    let mut looks = JoinSet::new();
    for (at, daemon) in daemons.iter().cloned().enumerate() {
        // An index is reached through another one, as its peers reach it.
        let other = sockets.iter().find(|(addr, _)| Some(*addr) != daemon.addr);
        let other = other.map(|(_, socket)| socket.clone());
        looks.spawn(async move { (at, look(daemon, other).await) });
    }
    let mut facts: Vec<_> = looks.join_all().await;
    facts.sort_by_key(|(at, _)| *at);
    facts.into_iter().map(|(_, facts)| facts).collect()
}

async fn look(daemon: Daemon, other: Option<PathBuf>) -> Facts {
    let mut facts = Facts {
        kind: daemon.kind,
        name: daemon.name.clone(),
        answer: Answer::Ready,
        shut: Vec::new(),
        skew: None,
        state: Value::Null,
        figures: Figures::default(),
        room: None,
    };
    match admin::page(daemon.admin, "/readyz").await {
        Ok(page) => {
            facts.skew = skew(&page);
            if !page.status.is_success() {
                let why = page.text();
                let why = why.trim().trim_start_matches("not ready: ");
                facts.answer = Answer::NotReady(why.to_owned());
            }
        }
        Err(error) => {
            facts.answer = Answer::Gone(error.to_string());
            return facts;
        }
    }
    if let Ok(page) = admin::page(daemon.admin, "/state").await {
        facts.state = page.json();
    }
    if let Ok(page) = admin::page(daemon.admin, "/metrics").await {
        facts.figures = Figures::parse(&page.text());
    }
    let dir = facts.state["disk"]["dir"].as_str();
    facts.room = dir.and_then(|dir| room(Path::new(dir)));
    facts.shut = shut(&daemon, other).await;
    facts
}

/// How far the daemon's clock is from ours, by the date of its answer.
fn skew(page: &Page) -> Option<Duration> {
    let date = page.headers.get(DATE)?.to_str().ok()?;
    let theirs = httpdate::parse_http_date(date).ok()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the calendar is what is compared here"
    )]
    let ours = SystemTime::now();
    let apart = ours.duration_since(theirs);
    Some(apart.unwrap_or_else(|error| error.duration()))
}

/// What is free where a daemon or an agent writes, if that is on this machine.
fn room(dir: &Path) -> Option<Room> {
    let found = rustix::fs::statvfs(dir).ok()?;
    let free_percent = (found.f_bavail * 100).checked_div(found.f_blocks)?;
    Some(Room {
        dir: dir.display().to_string(),
        free_percent,
    })
}

/// The public ports that do not answer.
async fn shut(daemon: &Daemon, other: Option<PathBuf>) -> Vec<(String, String)> {
    let mut shut = Vec::new();
    let open: Vec<SocketAddr> = match daemon.kind {
        Kind::Dht => Vec::new(),
        Kind::Proxy | Kind::Dns | Kind::Origin => {
            daemon.addr.into_iter().chain(daemon.peer).collect()
        }
    };
    for addr in open {
        let why = match timeout(PORT_DEADLINE, TcpStream::connect(addr)).await {
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "nothing came back".to_owned(),
        };
        shut.push((format!("TCP {addr}"), why));
    }
    if let (Kind::Dht, Some(addr), Some(other)) = (daemon.kind, daemon.addr, other)
        && let Err(error) = Client::new(other).ping(addr, PORT_DEADLINE).await
    {
        let why = format!("another node's ping: {error}");
        shut.push((format!("UDP {addr}"), why));
    }
    shut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Check;

    #[test]
    fn each_finding_says_what_to_do_and_the_last_line_sums_up() {
        let finding = Finding {
            severity: Severity::Wrong,
            check: Check::Disk,
            whom: "proxy node1".to_owned(),
            what: "cannot use its disk".to_owned(),
            advice: "make room".to_owned(),
        };
        let told = text(&[finding], (2, 12));
        let expected = "WRONG   disk    proxy node1: cannot use its disk\n                make room\n\
            1 wrong, 0 warnings, of 12 checks of 2 daemons";
        assert_eq!(told, expected);
        assert_eq!(text(&[], (2, 12)), "all is well: 12 checks of 2 daemons");
    }
}
