//! A server with more visitors than it can serve.
//!
//! An open loop: visitors come at a rate, whatever became of those before. Each comes from a
//! neighbourhood of its own, on a connection of its own, for a page that nobody asked for before, and
//! leaves when its patience is over. Goodput is what was answered whole by then. The server has a
//! part of a core, so that the load, which has a whole one, can want many times what it gives; each
//! line tells how much of its core the load used, to show that it was not the bottleneck.
//!
//! The peak is the best goodput of steps at rising rates, each much longer than visitors are patient,
//! for what is only queued would count as served in a short one.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::exec;
use harness::place::{Place, Port};
use harness::wait::{now, pause};
use harness::web::WebServer;
use tokio::task::JoinSet;

use super::cpu::{Cpu, family, pin, resident};
use super::quota::Quota;
use super::tally::Tally;
use super::upstreams::{self, Sites, Upstream};
use super::visitor::{End, from, visit};
use super::{say, span};

/// Cores of the server and of everything else.
const SERVER: usize = 0;
const LOAD: usize = 1;

/// Between two looks at who is due.
const TICK: Duration = Duration::from_millis(5);
const TICKS: usize = 200;

/// Of the modest site's visitors, one of each kind comes every so many ticks: 50 a second.
const MODEST_EVERY: usize = 4;

/// Visitors at once: they have to fit the descriptors that a process may have. One of the greedy
/// site's that finds no place is counted as late.
const VISITORS_MAX: usize = 18_000;

/// How often resident memory is printed.
const LOOK: Duration = Duration::from_secs(10);

/// Arguments of `bench http-flood`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FloodArgs {
    /// How long the flood at twice the peak lasts
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = span)]
    time: Duration,
    /// How long all others last
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = span)]
    others: Duration,
    /// How long each step of the search for the peak lasts
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = span)]
    step: Duration,
    /// How long a visitor waits
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = span)]
    patience: Duration,
    /// Visitors a second of the first step
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    from: usize,
    /// Percent of a core for the server
    #[arg(long, value_name = "NUMBER", default_value_t = 25)]
    quota: u32,
    /// Servers: atoll, nginx, haproxy, varnish
    #[arg(long = "server", value_name = "NAME", default_values = ["atoll", "nginx", "haproxy", "varnish"])]
    servers: Vec<String>,
    /// Settings for our proxy, such as bounds to be compared
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// Measures and prints.
pub(crate) fn run(args: &FloodArgs) {
    exec::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        for name in &args.servers {
            Box::pin(server(args, name)).await;
        }
    });
}

async fn server(args: &FloodArgs, name: &str) {
    let place = Place::alone().await;
    let root = place.file("site");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("page"), [b'x'; 1_024]).unwrap();
    // Two sites to the proxy, one server to the machine.
    let modest = place.at(99, Port::Web);
    let directives = format!(
        "listen {modest}; root {}; add_header Cache-Control max-age=3600;\n\
         keepalive_requests 1000000;",
        root.display()
    );
    pin(None, LOAD);
    let Some(site) = WebServer::nginx_with(&place, &directives).await else {
        return;
    };
    let sites = Sites {
        greedy: site.addr,
        modest,
    };
    pin(None, SERVER);
    let started = upstreams::start(name, &place, sites, &args.sets).await;
    pin(None, LOAD);
    let Some(server) = started else { return };
    let quota = Quota::give(&family(server.daemon.pid()), args.quota);
    let part = match &quota {
        Some(_) => format!("{} % of a core", args.quota),
        None => {
            "a whole core, for this process may not set a quota: the load may be the bottleneck"
                .to_owned()
        }
    };
    say(&format!(
        "{} with {part}; visitors wait {:?}\n",
        server.name, args.patience
    ));
    let mut flood = Flood {
        server: &server,
        patience: args.patience,
        next: 0,
    };
    let peak = peak(&mut flood, args).await;
    let all = [
        ("twice the peak", peak * 2, args.time),
        // Machines are not as fast at all times.
        ("the peak, again", peak, args.others / 2),
        ("five times the peak", peak * 5, args.others),
        ("a tenth of the peak", peak / 10, args.others / 2),
        ("ten times that, one site", peak, args.others),
    ];
    for (name, rate, time) in all.into_iter().filter(|(.., time)| !time.is_zero()) {
        let goodput = flood.run(name, rate, time, true).await;
        let wanted = rate.min(peak).max(1);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let part = goodput * 100.0 / wanted as f64;
        say(&format!("  {part:.1} % of what it can serve of that\n"));
    }
}

/// Raises the rate until much is not served; gives the best goodput.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people, and all of them small and positive"
)]
async fn peak(flood: &mut Flood<'_>, args: &FloodArgs) -> usize {
    let (mut rate, mut best) = (args.from, 0.0_f64);
    loop {
        let goodput = flood.run("step", rate, args.step, false).await;
        best = best.max(goodput);
        if goodput < rate as f64 * 0.75 {
            say(&format!("  the peak is {best:.0} a second\n"));
            return best as usize;
        }
        rate = rate * 5 / 4;
    }
}

/// Visitors of pages that nobody asked for before, and of hot ones, at so many a second.
struct Flood<'a> {
    server: &'a Upstream,
    patience: Duration,
    next: usize,
}

impl Flood<'_> {
    /// `misses` a second of the greedy site's pages, and 50 a second each of a hot and of a new page
    /// of the modest one. Gives the goodput of the greedy site, a second.
    async fn run(&mut self, name: &str, misses: usize, time: Duration, watch: bool) -> f64 {
        let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
        let (began, mut visits) = (now(), JoinSet::new());
        let (used, own) = (self.used(), Cpu::of(std::process::id()));
        let (mut due, mut ticks, mut memory) = (0, 0, vec![self.mebibytes()]);
        while now().since(began) < time {
            ticks += 1;
            let until = misses * ticks / TICKS;
            let modest = if ticks % MODEST_EVERY == 0 { 1 } else { 0 };
            let kinds = std::iter::repeat_n(Kind::Greedy, until - due)
                .chain([Kind::Hot, Kind::New].into_iter().take(2 * modest));
            for kind in kinds {
                if !self.start(&mut visits, kind) {
                    tallies.entry(kind).or_default().count(End::Late);
                }
            }
            due = until;
            while let Some(Ok((kind, end))) = visits.try_join_next() {
                tallies.entry(kind).or_default().count(end);
            }
            if watch && now().since(began) >= LOOK * u32::try_from(memory.len()).unwrap() {
                memory.push(self.mebibytes());
            }
            let next = TICK * u32::try_from(ticks).unwrap();
            pause(next.saturating_sub(now().since(began))).await;
        }
        let took = now().since(began);
        let part = |used: Duration| used.as_secs_f64() * 100.0 / took.as_secs_f64();
        let used = self.used().since(used);
        let (user, system) = (part(used.user), part(used.system));
        let load = part(Cpu::of(std::process::id()).since(own).total());
        while let Some(Ok((kind, end))) = visits.join_next().await {
            tallies.entry(kind).or_default().count(end);
        }
        memory.push(self.mebibytes());
        say(&format!(
            "{name}: {misses} a second for {:.0} s; server {user:.1} and {system:.1} % of a core (user, system), load {load:.0} %; MiB {memory:.0?}\n",
            took.as_secs_f64()
        ));
        for (kind, tally) in &mut tallies {
            tally.show(kind.as_str(), took);
        }
        let greedy = tallies.get(&Kind::Greedy);
        greedy.map_or(0.0, |tally| tally.goodput(took))
    }

    fn used(&self) -> Cpu {
        Cpu::of_family(self.server.daemon.pid())
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn mebibytes(&self) -> f64 {
        let each = family(self.server.daemon.pid()).into_iter().map(resident);
        each.sum::<u64>() as f64 / 1_048_576.0
    }

    /// Whether there was a place for one more.
    fn start(&mut self, visits: &mut JoinSet<(Kind, End)>, kind: Kind) -> bool {
        self.next += 1;
        if kind == Kind::Greedy && visits.len() >= VISITORS_MAX {
            return false;
        }
        let (n, to, patience) = (self.next, self.server.addr, self.patience);
        let (host, path) = match kind {
            Kind::Greedy => (&self.server.greedy, format!("/page?{n}")),
            Kind::Hot => (&self.server.modest, "/page".to_owned()),
            Kind::New => (&self.server.modest, format!("/page?{n}")),
        };
        let host = host.clone();
        visits.spawn(async move { (kind, visit(from(n), to, &host, &path, patience).await) });
        true
    }
}

/// What a visitor is here for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// A new page of the greedy site.
    Greedy,
    /// A hot page of the modest one.
    Hot,
    /// A new page of the modest one.
    New,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Greedy => "greedy, new",
            Self::Hot => "modest, hot",
            Self::New => "modest, new",
        }
    }
}
