//! Kinds of work a cache does all day, and what each costs the servers that can do it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use harness::client::Ask;
use harness::place::Place;

use super::cpu::{Cpu, family, resident};
use super::http::{HttpArgs, median};
use super::rivals::Rival;
use super::{say, wrk};

/// Idle connections whose memory is measured.
const IDLE: usize = 2_000;

/// One kind of work.
struct Work {
    name: &'static str,
    path: &'static str,
    /// Connections, if not as many as usual.
    connections: Option<usize>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The same page again and again.
    Hit,
    /// Sixteen requests at a time on each connection.
    Pipelined,
    /// Each request on a connection of its own.
    Fresh,
    /// Each time another page.
    Miss,
}

const fn work(name: &'static str, path: &'static str, kind: Kind) -> Work {
    Work {
        name,
        path,
        connections: None,
        kind,
    }
}

const WORKS: [Work; 6] = [
    work("hit of 1 KiB", "/1k", Kind::Hit),
    work("hit of 100 KiB", "/100k", Kind::Hit),
    Work {
        connections: Some(8),
        ..work("hit of 10 MiB", "/10m", Kind::Hit)
    },
    work("16 pipelined hits of 1 KiB, each", "/1k", Kind::Pipelined),
    work("connection with one hit of 1 KiB", "/1k", Kind::Fresh),
    work("miss of 4 KiB", "/miss", Kind::Miss),
];

/// Measures and prints a table for each kind of work whose name holds `only`.
pub(crate) async fn measure(args: &HttpArgs, place: &Place, rivals: &[Rival]) {
    for (n, work) in WORKS
        .iter()
        .enumerate()
        .filter(|(_, work)| args.wants(work.name))
    {
        let script = script(place, n, work);
        let able: Vec<_> = rivals
            .iter()
            .filter(|rival| {
                work.kind != Kind::Miss || rival.is_cache || rival.name.contains("epoll")
            })
            .collect();
        for rival in &able {
            // Twice: the second is a hit.
            for _ in 0..2 {
                let answer = Ask::of(rival.addr, &rival.page(work.path)).fetch().await;
                assert_eq!(answer.status, 200, "{}: {}", rival.name, work.name);
            }
        }
        table(args, work, &able, script.as_deref());
    }
    if args.wants("idle connection") {
        idle(rivals);
    }
}

/// What makes wrk do more than ask for one page.
fn script(place: &Place, n: usize, work: &Work) -> Option<String> {
    let text = match work.kind {
        Kind::Hit | Kind::Fresh => return None,
        Kind::Pipelined => {
            "init = function(args)\n local one = wrk.format()\n all = string.rep(one, 16)\nend\n\
             request = function() return all end\n"
        }
        Kind::Miss => {
            // Numbers of more than fourteen digits lose their last ones in Lua.
            "local run, n = os.time(), 0\n\
             request = function()\n n = n + 1\n\
             return wrk.format(nil, \"/miss/\" .. run .. \"/\" .. n)\nend\n"
        }
    };
    let path: PathBuf = place.file(&format!("work{n}.lua"));
    fs::write(&path, text).unwrap();
    Some(path.display().to_string())
}

fn table(args: &HttpArgs, work: &Work, able: &[&Rival], script: Option<&str>) {
    let mut more = script.map_or_else(Vec::new, |script| vec!["-s", script]);
    if work.kind == Kind::Fresh {
        more.extend(["-H", "Connection: close"]);
    }
    let connections = work.connections.unwrap_or(args.connections);
    let mut costs: Vec<Vec<f64>> = able.iter().map(|_| Vec::new()).collect();
    let mut rates = costs.clone();
    for _ in 0..args.rounds {
        for (n, rival) in able.iter().enumerate() {
            let before = Cpu::exactly(rival.daemon.pid(), None);
            let page = (rival.host.as_str(), work.path);
            let run = wrk::run_with(rival.addr, page, connections, args.time, &more).unwrap();
            let cpu = Cpu::exactly(rival.daemon.pid(), None).since(before);
            for error in &run.errors {
                say(&format!("  {}: {error}\n", rival.name));
            }
            assert!(run.requests > 0, "{} answers nothing", rival.name);
            #[expect(clippy::cast_precision_loss, reason = "figures for people")]
            let requests = run.requests as f64;
            costs[n].push(cpu.total().as_secs_f64() * 1e6 / requests);
            rates[n].push(run.rate);
        }
    }
    say(&format!(
        "\n{}, {connections} connections, {} rounds of {:?}\n{:<30} {:>10} {:>10} {:>14} {:>12}\n",
        work.name, args.rounds, args.time, "", "us CPU", "least", "ours to it", "per second"
    ));
    let ours = median(&mut costs[0]);
    for (n, rival) in able.iter().enumerate() {
        let middle = median(&mut costs[n]);
        say(&format!(
            "{:<30} {middle:>10.2} {:>10.2} {:>14.2} {:>12.0}\n",
            rival.name,
            costs[n][0],
            ours / middle,
            median(&mut rates[n]),
        ));
    }
}

/// Resident memory of a connection that has asked once and waits.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn idle(rivals: &[Rival]) {
    say(&format!("\nidle connection after a hit, {IDLE} of them\n"));
    for rival in rivals {
        let held = |_: usize| {
            let mut stream = TcpStream::connect(rival.addr).ok()?;
            let request = format!("GET /1k HTTP/1.1\r\nHost: {}\r\n\r\n", rival.host);
            stream.write_all(request.as_bytes()).ok()?;
            let (mut buffer, mut read) = ([0; 4_096], 0);
            while read < 1_100 {
                let more = stream.read(&mut buffer).ok()?;
                read += if more == 0 { return None } else { more };
            }
            Some(stream)
        };
        let memory = || {
            family(rival.daemon.pid())
                .into_iter()
                .map(resident)
                .sum::<u64>()
        };
        // What is made once is not a connection's.
        drop((0..50).filter_map(held).collect::<Vec<_>>());
        let before = memory();
        let all: Vec<_> = (0..IDLE).filter_map(held).collect();
        let each = memory().saturating_sub(before) as f64 / all.len().max(1) as f64;
        say(&format!(
            "{:<30} {each:>10.0} bytes, {} held\n",
            rival.name,
            all.len()
        ));
    }
}
