//! `atoll inject`: a request that enters at a given node by its admin listener, whoever may reach its public
//! port; its answer is shown with its fields.

use std::net::SocketAddr;
use std::time::Duration;

use common::name::Zone;
use http::{Method, Request};
use http_body_util::Empty;
use serde_json::Value;

use super::whom::Whom;
use super::{LOCAL_ZONE, form, zone};
use crate::admin::{self, FetchError};
use crate::cluster::layout::Kind;
use crate::outcome::{Exit, Failure, Outcome};
use crate::render;
use crate::say;

const EXAMPLES: &str =
    "Exit codes: 0 answered, 3 answered with an error, 4 the node does not answer.

Examples:
  atoll inject --node node3 GET http://example.com/page
  atoll inject --admin 192.0.2.7:8082 HEAD http://example.com/page --json";

/// For the whole answer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Arguments of `atoll inject`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct InjectArgs {
    /// The method: GET or HEAD
    #[arg(value_parser = ["GET", "HEAD"])]
    method: String,
    /// The page, by its own URL or a coralised one
    url: String,
    /// The zone
    #[arg(long, default_value = LOCAL_ZONE, value_parser = zone)]
    zone: Zone,
    #[command(flatten)]
    whom: Whom,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// The coralised host.
    pub(super) host: String,
    pub(super) target: String,
}

impl Asked {
    /// A GET of `page`.
    pub(super) fn of(page: &str, zone: &Zone) -> Result<Self, Failure> {
        let (host, target) = form::parts(page, zone)?;
        Ok(Self {
            method: "GET".to_owned(),
            host,
            target,
        })
    }
}

/// Has it sent by the proxy whose admin listener is `admin`, traced if there is a `warrant`.
pub(super) async fn inject(
    admin: SocketAddr,
    asked: &Asked,
    warrant: Option<&str>,
) -> Result<Value, FetchError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/inject")
        .header("host", admin.to_string())
        .header("connection", "close")
        .header("atoll-inject", &asked.method)
        .header("atoll-inject-host", &asked.host)
        .header("atoll-inject-target", &asked.target);
    if let Some(warrant) = warrant {
        request = request.header("atoll-warrant", warrant);
    }
    let page = admin::send(admin, request.body(Empty::new())?, DEADLINE).await?;
    Ok(page.json())
}

/// Injects, and shows what came of it.
///
/// # Errors
/// The node does not answer, or the URL has no coralised form.
pub async fn run(args: InjectArgs) -> Outcome {
    let proxies = args.whom.of_kind(Kind::Proxy).await?;
    let Some(proxy) = proxies.first() else {
        return Err(Failure::usage("no proxy is named", "name one with --node"));
    };
    let asked = Asked {
        method: args.method,
        ..Asked::of(&args.url, &args.zone)?
    };
    let answer = inject(proxy.admin, &asked, None).await.map_err(|error| {
        let what = format!("{}: {error}", proxy.name);
        Failure::unreachable(what, "is the proxy running?")
    })?;
    let Some(status) = answer["status"].as_u64() else {
        let what = answer["refused"].as_str().unwrap_or("no answer to show");
        let advice = "use a proxy of this version";
        return Err(Failure::failed(what, advice));
    };
    if args.json {
        say::result(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        say::result(&text(&proxy.name, &answer));
    }
    Ok(if status >= 500 {
        Exit::Degraded
    } else {
        Exit::Ok
    })
}

fn text(node: &str, answer: &Value) -> String {
    let us = |name: &str| {
        let us = answer[name].as_u64().unwrap_or(0);
        render::duration(Duration::from_micros(us))
    };
    let mut lines = vec![format!(
        "{node}: {} after {}, all of it after {}",
        answer["status"],
        us("head_us"),
        us("took_us")
    )];
    for field in answer["fields"].as_array().into_iter().flatten() {
        let word = |at: usize| field[at].as_str().unwrap_or_default().to_owned();
        lines.push(format!("{}: {}", word(0), word(1)));
    }
    let bytes = answer["bytes"].as_u64().unwrap_or(0);
    lines.push(String::new());
    lines.push(format!(
        "{}{}, BLAKE3 {}",
        render::bytes(bytes),
        if answer["whole"] == true { "" } else { ", CUT" },
        answer["digest"].as_str().unwrap_or("-")
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_fields_and_digest_are_shown_and_a_cut_body_is_called_so() {
        let answer = json!({
            "status": 200, "head_us": 1_500, "took_us": 2_000, "bytes": 41_000, "whole": false,
            "digest": "ab", "fields": [["via", "1.1 node1"]],
        });
        assert_eq!(
            text("node1", &answer),
            "node1: 200 after 1.50 ms, all of it after 2.00 ms\nvia: 1.1 node1\n\n41.0 kB, CUT, BLAKE3 ab"
        );
    }
}
