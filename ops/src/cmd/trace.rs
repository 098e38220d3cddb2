//! `atoll trace URL`: sends one request that every node on its way keeps the spans of, and draws them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::clock::{Clock as _, SystemClock};
use common::name::Zone;
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::inject::{Asked, inject};
use super::whom::{Daemon, Whom};
use super::{LOCAL_ZONE, zone};
use crate::admin;
use crate::cluster::layout::Kind;
use crate::outcome::{Exit, Failure, Outcome};
use crate::say;
use crate::trace::{Page, Placed, draw, join, verdict};

const EXAMPLES: &str = "Exit codes: 0 answered, 3 answered with an error, 4 nobody to ask.

Examples:
  atoll trace http://example.com/page          through the first proxy of a running `atoll dev`
  atoll trace http://example.com/page --node node3 --svg trace.svg
  atoll trace --id 0123…                       a trace that is known already
  atoll trace                                  the traces kept last: failed, slow, one in a thousand

Of proxies and indexes that are named by --admin, the first proxy gets the request and all are asked
for what they kept.";

/// For the answer: a slow origin is what people trace.
const DEADLINE: Duration = Duration::from_secs(60);

/// Spans of a fetch are kept when its body is whole; looks for them, and the time between two.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `atoll trace`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct TraceArgs {
    /// The page, by its own URL or a coralised one
    url: Option<String>,
    /// Show this trace instead of sending a request
    #[arg(long, value_name = "ID", conflicts_with = "url")]
    id: Option<String>,
    /// The zone
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    /// The node that gets the request; without it the first
    #[arg(long, value_name = "NAME")]
    at: Option<String>,
    #[command(flatten)]
    whom: Whom,
    /// Write a picture there too
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the request came to.
struct Sent {
    trace: String,
    status: Option<StatusCode>,
    took: Duration,
    /// Which node got it.
    at: String,
}

/// Sends, gathers, draws.
///
/// # Errors
/// Nobody answers, or the URL has no coralised form.
pub async fn run(args: TraceArgs) -> Outcome {
    // The node that is named gets the request; spans are asked of all.
    let at = args.at.clone().or_else(|| args.whom.node.clone());
    let everybody = Whom {
        node: None,
        ..args.whom.clone()
    };
    let (daemons, _) = everybody.find().await?;
    if let Some(id) = &args.id {
        let spans = join(&gather(&daemons, id).await);
        let sent = Sent {
            trace: id.clone(),
            status: None,
            took: Duration::ZERO,
            at: String::new(),
        };
        return show(&args, &sent, &spans);
    }
    let Some(page) = &args.url else {
        return list(&args, &daemons).await;
    };
    let is_meant =
        |one: &&Daemon| one.kind == Kind::Proxy && at.as_ref().is_none_or(|at| *at == one.name);
    let proxy = daemons.iter().find(is_meant).ok_or_else(|| {
        Failure::usage(
            "there is no such proxy",
            "name one of the cluster with --node",
        )
    })?;
    let asked = Asked::of(page, &args.zone)?;
    let sent = send(proxy, &asked).await?;
    let mut spans = Vec::new();
    for _ in 0..LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let before = spans.len();
        spans = join(&gather(&daemons, &sent.trace).await);
        // Whole as soon as a second look finds no more, if somebody fetched it there is more to come.
        if !spans.is_empty() && spans.len() == before {
            break;
        }
    }
    show(&args, &sent, &spans)
}

/// Sends the request to where `proxy` serves everybody, or by its admin listener if that is all that is known.
async fn send(proxy: &Daemon, asked: &Asked) -> Result<Sent, Failure> {
    let unreachable = |error: admin::FetchError| {
        let what = format!("{}: {error}", proxy.name);
        Failure::unreachable(what, "is it running? name its admin listener with --admin")
    };
    let order = admin::order(proxy.admin, "/warrant", ("atoll-warrant", "wanted"));
    let warrant = order.await.map_err(unreachable)?.json();
    let text = |name: &str| warrant[name].as_str().map(str::to_owned);
    let (Some(trace), Some(field), Some(word)) = (text("trace"), text("field"), text("warrant"))
    else {
        return Err(Failure::failed(
            format!("{} gives no warrant for a trace", proxy.name),
            "use a proxy of this version",
        ));
    };
    let clock = SystemClock::new();
    let began = clock.moment();
    let status = match proxy.addr {
        Some(addr) => ask(addr, asked, (&field, &word))
            .await
            .map_err(unreachable)?,
        None => {
            let answer = inject(proxy.admin, asked, Some(&word)).await;
            let code = answer.map_err(unreachable)?["status"].as_u64();
            let code = code.and_then(|code| u16::try_from(code).ok());
            code.and_then(|code| StatusCode::from_u16(code).ok())
                .unwrap_or(StatusCode::BAD_GATEWAY)
        }
    };
    Ok(Sent {
        trace,
        status: Some(status),
        took: clock.moment().since(began),
        at: proxy.name.clone(),
    })
}

async fn ask(
    addr: SocketAddr,
    asked: &Asked,
    (field, word): (&str, &str),
) -> Result<StatusCode, admin::FetchError> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(&asked.target)
        .header("host", &asked.host)
        .header("connection", "close")
        .header(field, word)
        .body(Empty::new())?;
    Ok(admin::send(addr, request, DEADLINE).await?.status)
}

/// What each process kept of the trace.
async fn gather(daemons: &[Daemon], trace: &str) -> Vec<Page> {
    let mut looks = JoinSet::new();
    let seers = daemons
        .iter()
        .filter(|one| matches!(one.kind, Kind::Proxy | Kind::Dht));
    for (at, one) in seers.enumerate() {
        let (admin, path) = (one.admin, format!("/trace?id={trace}"));
        let node = format!("{} {}", one.kind.as_str(), one.name);
        looks.spawn(async move {
            let page = admin::page(admin, &path).await.ok()?.json();
            let spans = serde_json::from_value(page["spans"].clone()).ok()?;
            Some((at, Page { node, spans }))
        });
    }
    let mut pages: Vec<_> = looks.join_all().await.into_iter().flatten().collect();
    pages.sort_by_key(|(at, _)| *at);
    pages.into_iter().map(|(_, page)| page).collect()
}

fn show(args: &TraceArgs, sent: &Sent, spans: &[Placed]) -> Outcome {
    let verdict = verdict::of(spans);
    let status = sent.status.map(|status| status.as_u16());
    if let Some(path) = &args.svg {
        let title = format!("{}  {verdict}", args.url.as_deref().unwrap_or(&sent.trace));
        std::fs::write(path, draw::svg(spans, &title)).map_err(|error| {
            let what = format!("cannot write {}: {error}", path.display());
            Failure::failed(what, "name another file with --svg")
        })?;
    }
    if args.json {
        let all = json!({
            "trace": sent.trace, "status": status, "took_us": u64::try_from(sent.took.as_micros()).unwrap_or(0),
            "spans": spans, "verdict": verdict,
        });
        say::result(&serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        let answer = status.map_or_else(String::new, |status| {
            let took = crate::render::duration(sent.took);
            format!("  {status} from {} after {took}", sent.at)
        });
        let drawn = draw::text(spans);
        say::result(&format!(
            "trace {}{answer}\n\n{drawn}\n\n{verdict}",
            sent.trace
        ));
    }
    Ok(match sent.status {
        Some(status) if status.is_server_error() => Exit::Degraded,
        None if spans.is_empty() => Exit::Failed,
        _ => Exit::Ok,
    })
}

/// The traces that proxies kept last.
async fn list(args: &TraceArgs, daemons: &[Daemon]) -> Outcome {
    let mut all: Vec<(String, Value)> = Vec::new();
    for one in daemons.iter().filter(|one| one.kind == Kind::Proxy) {
        if let Ok(page) = admin::page(one.admin, "/trace").await {
            let page = page.json();
            let traces = page["traces"].as_array().cloned().unwrap_or_default();
            all.extend(traces.into_iter().map(|trace| (one.name.clone(), trace)));
        }
    }
    all.sort_by_key(|(_, trace)| trace["first"]["ago_us"].as_u64());
    if args.json {
        let rows: Vec<_> = all
            .iter()
            .map(|(node, trace)| json!({ "node": node, "trace": trace }))
            .collect();
        say::result(&serde_json::to_string_pretty(&rows).unwrap_or_default());
        return Ok(Exit::Ok);
    }
    let mut table = crate::render::Table::new(
        &["ago", "node", "kept", "took", "outcome", "trace", "what"]
            .map(|title| (title, crate::render::Align::Left)),
    );
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    for (node, trace) in all.iter().take(40) {
        let first = &trace["first"];
        let time = |name: &str| {
            let us = first[name].as_u64().unwrap_or(0);
            crate::render::duration(Duration::from_micros(us))
        };
        table.row([
            time("ago_us"),
            node.clone(),
            word(&trace["kept"]),
            time("took_us"),
            word(&first["outcome"]),
            word(&first["trace"]),
            word(&first["target"]),
        ]);
    }
    say::result(&table.to_text());
    Ok(Exit::Ok)
}
