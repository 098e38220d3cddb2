//! `wrk` as a load of closed loops: each connection asks again as soon as it has its answer.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::exec;

/// What a run came to.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Answers.
    pub(crate) requests: u64,
    /// Answers a second.
    pub(crate) rate: f64,
    /// Latency that half, and all but one of a hundred, stayed under, in wrk's own words.
    pub(crate) latency: (String, String),
    /// Lines that tell of errors.
    pub(crate) errors: Vec<String>,
}

/// Asks `addr` for `path` of `host` over `connections` for `time`, on the core of this thread.
/// `None` where there is no wrk.
pub(crate) fn run(
    addr: SocketAddr,
    host: &str,
    path: &str,
    connections: usize,
    time: Duration,
) -> Option<Run> {
    run_with(addr, (host, path), connections, time, &[])
}

/// The same with more arguments.
pub(crate) fn run_with(
    addr: SocketAddr,
    (host, path): (&str, &str),
    connections: usize,
    time: Duration,
    more: &[&str],
) -> Option<Run> {
    let output = Command::new(exec::find("wrk")?)
        .args(["-t1", "--latency", &format!("-c{connections}")])
        .arg(format!("-d{}s", time.as_secs().max(1)))
        .args(["-H", &format!("Host: {host}")])
        .args(more)
        .arg(format!("http://{addr}{path}"))
        .output();
    let text = String::from_utf8_lossy(&output.ok()?.stdout).into_owned();
    let trimmed = || text.lines().map(str::trim);
    let after = |name: &str| {
        let value = trimmed().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim().to_owned()
    };
    let counted = trimmed().find(|line| line.contains(" requests in "))?;
    let is_error = |line: &&str| line.starts_with("Socket errors") || line.starts_with("Non-2xx");
    Some(Run {
        requests: counted.split(' ').next()?.parse().ok()?,
        rate: after("Requests/sec:").parse().ok()?,
        latency: (after("50%"), after("99%")),
        errors: trimmed().filter(is_error).map(str::to_owned).collect(),
    })
}
