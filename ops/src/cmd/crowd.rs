//! `atoll crowd`: sends a crowd through a running cluster.

use std::path::PathBuf;

use common::clock::SystemClock;
use common::name::Zone;

use super::{judged, size};
use crate::cluster::layout::{Kind, sample_host};
use crate::cluster::ready_file::ReadyFile;
use crate::crowd::load::Crowd;
use crate::crowd::report::Report;
use crate::demo::content::CROWD_SIZE;
use crate::outcome::{Failure, Outcome};
use crate::say;

/// Objects a crowd asks for: as many as in CoralCDN's flash-crowd experiment (NSDI 2004, §6.2).
pub const OBJECTS: usize = 12;

/// Arguments of `atoll crowd`.
#[derive(Clone, Debug, clap::Args)]
pub struct CrowdArgs {
    /// The cluster; without it the one that this user's `atoll dev` runs
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Clients, each with a connection of its own
    #[arg(long, value_name = "N", default_value_t = 200)]
    clients: usize,
    /// Cold objects that each client asks for
    #[arg(long, value_name = "N", default_value_t = OBJECTS)]
    objects: usize,
    /// Size of an object, such as 41KiB
    #[arg(long, value_name = "SIZE", default_value_t = CROWD_SIZE, value_parser = size)]
    size: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Sends the crowd and prints what it found.
///
/// # Errors
/// There is no cluster, or it has no origin of the demo's.
pub async fn run(args: CrowdArgs) -> Outcome {
    let cluster = ReadyFile::load(args.ready_file.as_deref())?;
    let crowd = of(&cluster, args.clients, args.objects, args.size)?;
    let report = crowd.run(SystemClock::new()).await?;
    show(&report, args.json);
    Ok(judged(report.failed() == 0))
}

/// The crowd for a running cluster.
///
/// # Errors
/// The cluster has no origin of the demo's, or its file makes no sense.
pub fn of(
    cluster: &ReadyFile,
    clients: usize,
    objects: usize,
    size: u64,
) -> Result<Crowd, Failure> {
    let origin = cluster.of_kind(Kind::Origin).next().ok_or_else(|| {
        let advice = "start `atoll dev` without --no-origin: a crowd asks for the demo's objects";
        Failure::usage("the cluster has no demo origin", advice)
    })?;
    let advice = "use the file that `atoll dev` wrote";
    let zone = Zone::parse(&cluster.zone)
        .map_err(|error| Failure::failed(format!("zone {}: {error}", cluster.zone), advice))?;
    let host = sample_host(&zone, Some(origin.addr))
        .map_err(|error| Failure::failed(format!("origin {}: {error}", origin.addr), advice))?;
    let proxies = cluster
        .of_kind(Kind::Proxy)
        .map(|proxy| proxy.addr)
        .collect();
    Ok(Crowd {
        clients,
        objects,
        size,
        host,
        proxies,
        origin_admin: origin.admin,
    })
}

/// Prints a report.
pub fn show(report: &Report, json: bool) {
    if json {
        say::result(&serde_json::to_string_pretty(&report.to_json()).unwrap_or_default());
    } else {
        say::result(&report.to_text());
    }
}
