//! `atoll dev`: a whole CDN on this machine.
//!
//! Plans, starts, waits until all of it works, says where it is, sends a crowd if asked to, stays
//! until a signal, and takes everything down again. Nothing of it needs privileges.

mod summary;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::clock::SystemClock;
use common::name::Zone;
use common::shell::signals::{Phase, Shutdown, ShutdownHandle};
use tokio::signal::unix::{SignalKind, signal};

use self::summary::summary;
use super::crowd::{OBJECTS, of, show};
use super::{LOCAL_ZONE, judged, span, zone};
use crate::cluster::binaries::{Cargo, Programs};
use crate::cluster::home::Home;
use crate::cluster::layout::{DNS_MAX, NODES_MAX, Plan, Wish};
use crate::cluster::ports::{self, Reserved};
use crate::cluster::process::{Ended, Fleet};
use crate::cluster::readiness::{Checklist, wait};
use crate::cluster::ready_file::{Entry, Published, ReadyFile, SCHEMA, default_path};
use crate::crowd::load::raise_descriptors;
use crate::demo::content::CROWD_SIZE;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say::{self, Progress};

/// Between looks at the children while the cluster runs.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `atoll dev`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The processes, for base port P:
  proxies       127.0.0.11, 127.0.0.12, ...   HTTP P, peers P+1, admin P+2, HTTPS P+9
  index         the same addresses            UDP P+3, admin P+4
  name servers  127.0.0.2, 127.0.0.3, ...     UDP and TCP P+5, admin P+6
  demo origin   127.0.0.10                    HTTP P+7, admin P+8

Exit codes: 0 ok, 1 failed, 2 usage, 3 degraded, 4 unreachable.")]
pub struct DevArgs {
    /// Nodes: a proxy and an index daemon each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=i64::from(NODES_MAX)))]
    nodes: u16,
    /// Name servers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(0..=i64::from(DNS_MAX)))]
    dns: u16,
    /// The zone to serve
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    /// The proxies' port, from which all others derive; the first free one from 8080 on if not given
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    base_port: Option<u16>,
    /// The demo origin waits this long before each answer
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = span)]
    origin_delay: Duration,
    /// Start no demo origin: bring your own
    #[arg(long, conflicts_with_all = ["origin_delay", "crowd"])]
    no_origin: bool,
    /// Let proxies fetch from private addresses, as the demo origin's is; a network in the open
    /// must not
    #[arg(long)]
    allow_private_origins: bool,
    /// Extra settings for every proxy, as a configuration file
    #[arg(long, value_name = "FILE")]
    proxy_config: Option<PathBuf>,
    /// Where atoll-proxy, atoll-dht and atoll-dns are; next to this program if not given
    #[arg(long, value_name = "DIR")]
    release_dir: Option<PathBuf>,
    /// Once all is healthy, write where everything is to this file (JSON)
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Keep state and logs in this directory; a temporary one, removed at the end, if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Then send this many clients for 12 cold objects through all proxies
    #[arg(long, value_name = "N")]
    crowd: Option<usize>,
    /// Stop once all is healthy and the crowd is through, instead of staying
    #[arg(long)]
    exit: bool,
    /// Print the crowd's figures as JSON
    #[arg(long, requires = "crowd")]
    json: bool,
    /// Say how each process is started
    #[arg(long, short)]
    verbose: bool,
}

/// Runs a cluster.
///
/// # Errors
/// It cannot be planned or started, or does not become healthy.
pub async fn run(args: DevArgs) -> Outcome {
    let (handle, mut shutdown) = signals()?;
    let mut exe = std::env::current_exe().map_err(|error| {
        Failure::failed(
            format!("this program cannot find itself: {error}"),
            "start it by its path",
        )
    })?;
    // On Linux it keeps its name after being replaced on disk, marked so.
    if let Some(name) = exe
        .to_str()
        .and_then(|name| name.strip_suffix(" (deleted)"))
    {
        exe = PathBuf::from(name);
    }
    if let Some(file) = args.proxy_config.as_deref().filter(|file| !file.is_file()) {
        let what = format!("there is no file {}", file.display());
        return Err(Failure::usage(
            what,
            "name a configuration file with --proxy-config",
        ));
    }
    let cargo = Cargo::from_environment();
    let programs = Programs::locate(args.release_dir.as_deref(), &exe, cargo.as_ref())?;
    let home = Home::new(args.dir.as_deref())?;
    raise_descriptors();
    let (_reserved, plan) = plan(&args, &home, programs)?;
    home.fill(&plan)?;

    let mut fleet = Fleet::default();
    let staying = Cell::new(None);
    let worked = tokio::select! {
        biased;
        worked = operate(&args, plan, &exe, &mut fleet, &staying) => worked,
        // While the cluster stays, a signal is how it is meant to end.
        () = shutdown.draining() => {
            say::note(if staying.get().is_some() { "stopping" } else { "interrupted" });
            Ok(staying.get().unwrap_or(Exit::Failed))
        }
    };
    let hurry = shutdown.abandoned();
    let killed = fleet.stop(hurry).await;
    for title in killed {
        say::note(&format!("{title} did not end when asked to and was killed"));
    }
    drop(handle);
    if worked.is_err() && home.stays() {
        say::note(&format!("logs are in {}", home.path.display()));
    }
    worked
}

/// Everything between starting and stopping the processes. Says in `staying` that only a signal ends
/// it from now on, and what the exit will be.
async fn operate(
    args: &DevArgs,
    plan: Plan,
    exe: &Path,
    fleet: &mut Fleet,
    staying: &Cell<Option<Exit>>,
) -> Outcome {
    let clock = SystemClock::new();
    for planned in &plan.processes {
        if args.verbose {
            say::note(&format!(
                "{} {}",
                planned.program.display(),
                planned.args.join(" ")
            ));
        }
        fleet.start(planned.clone(), Some(exe))?;
    }
    let host = plan.sample_host().map_err(|error| {
        Failure::usage(
            format!("zone {}: {error}", plan.zone),
            "choose a shorter --zone",
        )
    })?;
    let mut checks = Checklist::new(plan.processes.iter(), host.clone(), plan.origin.is_some());
    let mut progress = Progress::new();
    let healthy = wait(fleet, &mut checks, &mut progress, clock).await;
    progress.finish();
    healthy?;

    let cluster = running(&plan, fleet);
    let _published = publish(args.ready_file.as_deref(), &cluster)?;
    // Standard output is for one reader: a person, or a program that wants JSON alone.
    let speak = if args.json { say::note } else { say::result };
    speak(&summary(&plan, &host));
    let mut exit = Exit::Ok;
    if let Some(clients) = args.crowd {
        say::note(&format!(
            "\nsending {clients} clients for {OBJECTS} cold objects\n"
        ));
        let report = of(&cluster, clients, OBJECTS, CROWD_SIZE)?
            .run(clock)
            .await?;
        show(&report, args.json);
        exit = judged(report.failed() == 0);
    }
    if !args.exit {
        staying.set(Some(exit));
        say::note("\nrunning; stop it with Ctrl-C");
        attend(fleet).await;
    }
    Ok(exit)
}

/// Says so whenever a process ends, for ever. The others go on: people kill nodes to see it heal.
async fn attend(fleet: &mut Fleet) {
    loop {
        for ended in fleet.reap() {
            let Ended { log, .. } = &ended;
            say::note(&format!(
                "{}\n    (log: {})",
                ended.describe(),
                log.display()
            ));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// SIGTERM, SIGINT and SIGHUP end the cluster politely; a second one at once.
fn signals() -> Result<(ShutdownHandle, Shutdown), Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(
            format!("no signal handlers: {error}"),
            "free some resources",
        )
    };
    let (handle, shutdown) = Shutdown::on_signals().map_err(failed)?;
    // The terminal went away.
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let on_hangup = handle.clone();
    tokio::spawn(async move {
        if hangup.recv().await.is_some() {
            on_hangup.advance(Phase::Draining);
        }
    });
    Ok((handle, shutdown))
}

fn plan(args: &DevArgs, home: &Home, programs: Programs) -> Result<(Reserved, Plan), Failure> {
    let wish = |base_port| Wish {
        zone: args.zone.clone(),
        nodes: args.nodes,
        dns: args.dns,
        origin_delay: (!args.no_origin).then_some(args.origin_delay),
        base_port,
        allow_private: args.allow_private_origins || !args.no_origin,
        proxy_config: args.proxy_config.clone(),
        dir: home.path.clone(),
        programs: programs.clone(),
    };
    // Whether a wish can be planned does not depend on which port it gets.
    let usage = |error| Failure::usage("this cluster cannot be planned", format!("{error}"));
    let first = Plan::of(&wish(args.base_port.unwrap_or(ports::FIRST))).map_err(usage)?;
    let plan = |base_port| Plan::of(&wish(base_port)).unwrap_or_else(|_| first.clone());
    ports::reserve(args.base_port, plan).map_err(|troubles| {
        let advice = "stop what listens there, or choose another --base-port";
        Failure::failed(
            format!("no room for the cluster: {}", ports::describe(&troubles)),
            advice,
        )
    })
}

fn running(plan: &Plan, fleet: &Fleet) -> ReadyFile {
    ReadyFile {
        schema: SCHEMA,
        zone: plan.zone.to_string(),
        origin: plan.origin.map(|origin| format!("http://{origin}")),
        processes: fleet
            .members()
            .iter()
            .map(|m| Entry::of(&m.planned, m.pid))
            .collect(),
    }
}

/// Writes the ready file asked for, and the copy that `atoll status` finds by itself.
fn publish(asked: Option<&Path>, cluster: &ReadyFile) -> Result<Vec<Published>, Failure> {
    let text = cluster.to_text();
    let mut published = Vec::new();
    if let Some(path) = asked {
        let written = Published::write(path, &text).map_err(|error| {
            let what = format!("cannot write {}: {error}", path.display());
            Failure::failed(what, "choose another --ready-file")
        })?;
        published.push(written);
    }
    // Without the copy only `atoll status` without --ready-file misses something.
    published.extend(default_path().and_then(|path| Published::write(&path, &text).ok()));
    Ok(published)
}
