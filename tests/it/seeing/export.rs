//! Kept spans that go to a collector: a small one of the test's own, which reads what comes as strictly as the OTLP
//! specification lets it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use harness::cluster::{Cluster, Proxy, set};
use harness::dev::atoll;
use harness::exec;
use harness::origin::{Origin, Reply};
use harness::place::{Place, Port, host};
use harness::skip;
use harness::wait::{self, EVENTUALLY};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;

/// `ExportTraceServiceRequest` and what is in it, by the JSON names of opentelemetry-proto. What else there is would be
/// an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Exported {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Span {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute>,
    status: Status,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    code: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    key: String,
    value: Text,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Text {
    string_value: String,
}

fn attribute<'a>(all: &'a [Attribute], key: &str) -> &'a str {
    let found = all.iter().find(|one| one.key == key);
    found.map_or("", |one| &one.value.string_value)
}

/// A span as it came.
#[derive(Clone, Debug)]
struct Came {
    service: String,
    trace: String,
    id: String,
    parent: Option<String>,
    name: String,
    outcome: String,
    failed: bool,
}

/// Reads a request as a collector does; panics where it is not by the book.
fn read(body: &[u8]) -> Vec<Came> {
    let exported: Exported = serde_json::from_slice(body).unwrap();
    let hex = |text: &str, digits: usize| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == digits && text.bytes().all(hex) && text.bytes().any(|byte| byte != b'0')
    };
    let mut came = Vec::new();
    for resource in exported.resource_spans {
        let service = attribute(&resource.resource.attributes, "service.name").to_owned();
        assert!(!attribute(&resource.resource.attributes, "service.instance.id").is_empty());
        for scope in resource.scope_spans {
            assert_eq!(scope.scope.name, "atoll");
            for span in scope.spans {
                assert!(
                    hex(&span.trace_id, 32) && hex(&span.span_id, 16),
                    "{}",
                    span.trace_id
                );
                assert!(span.parent_span_id.as_ref().is_none_or(|id| hex(id, 16)));
                let nanos = |text: &str| text.parse::<u64>().unwrap();
                let (start, end) = (
                    nanos(&span.start_time_unix_nano),
                    nanos(&span.end_time_unix_nano),
                );
                // Some day between 2020 and 2100, by nanoseconds.
                assert!(
                    start <= end
                        && (1_577_836_800..4_102_444_800).contains(&(start / 1_000_000_000))
                );
                assert!((1..=3).contains(&span.kind) && [0, 2].contains(&span.status.code));
                came.push(Came {
                    service: service.clone(),
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    name: span.name,
                    outcome: attribute(&span.attributes, "atoll.outcome").to_owned(),
                    failed: span.status.code == 2,
                });
            }
        }
    }
    came
}

/// A collector that remembers what it took.
#[derive(Clone)]
struct Collector {
    taken: Arc<Mutex<Vec<Came>>>,
    bodies: Arc<Mutex<Vec<Bytes>>>,
    /// The status it answers with.
    status: Arc<AtomicU16>,
}

impl Collector {
    fn new() -> Self {
        Self {
            taken: Arc::default(),
            bodies: Arc::default(),
            status: Arc::new(AtomicU16::new(200)),
        }
    }

    async fn listen(&self, addr: SocketAddr) {
        let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
        let all = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let one = all.clone();
                let service = service_fn(move |request| one.clone().answer(request));
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let by_the_book = request.method() == "POST"
            && request.uri().path() == "/v1/traces"
            && request.headers()["content-type"] == "application/json";
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let status = if by_the_book {
            self.status.load(Ordering::SeqCst)
        } else {
            400
        };
        if status == 200 {
            self.taken.lock().unwrap().extend(read(&body));
            self.bodies.lock().unwrap().push(body);
        }
        let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap();
        Ok(answer)
    }

    fn taken(&self) -> Vec<Came> {
        self.taken.lock().unwrap().clone()
    }
}

async fn count(proxy: &Proxy, series: &str) -> u64 {
    proxy.metric(&format!("atoll_proxy_trace_{series}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_comes_to_the_collector_and_one_that_is_down_costs_a_metric() {
    let place = Place::shared().await;
    let addr = place.at(host::RESOLVER, Port::Web);
    let export = set("trace.export", format!("http://{addr}"));
    let wish = Cluster::of(3)
        .proxies_with(export.clone())
        .indexes_with(export);
    let cluster = wish.start(&place).await;
    let origin = Origin::start(&place).await;
    origin.serves("/broken", |_| Reply::status(500, "no"));
    origin.serves("/page", |_| Reply::page("page").fresh_for(600));
    let proxy = &cluster.proxies[0];

    // Nobody is there yet. Requests do not notice, and nothing is lost.
    assert_eq!(proxy.get(&origin.page("/broken")).await.status, 500);
    wait::until("the collector is missed", EVENTUALLY, async || {
        count(proxy, "export_failures_total{reason=\"connect\"}").await >= 1
    })
    .await;
    assert_eq!(proxy.get(&origin.page("/page")).await.text(), "page");
    let collector = Collector::new();
    collector.listen(addr).await;
    wait::until("the failed request comes", EVENTUALLY, async || {
        let taken = collector.taken();
        taken
            .iter()
            .any(|came| came.name == "request" && came.failed)
    })
    .await;

    of_an_operator(&place, proxy, &origin, &collector).await;
    is_busy_and_refuses(proxy, &origin, &collector).await;
    let exported = count(proxy, "exported_total").await;
    skip::say(&format!(
        "{exported} spans of one proxy taken, {} of all in {} batches\n",
        collector.taken().len(),
        collector.bodies.lock().unwrap().len()
    ));
    // For other readers, one request a line.
    if let Some(file) = std::env::var_os("IT_OTLP_TO") {
        let bodies = collector.bodies.lock().unwrap();
        std::fs::write(file, bodies.join(&b"\n"[..])).unwrap();
    }
}

/// An operator's trace comes from proxy and index, with its causes.
async fn of_an_operator(place: &Place, proxy: &Proxy, origin: &Origin, collector: &Collector) {
    let admin = proxy.admin.to_string();
    origin.serves("/new", |_| Reply::page("new").fresh_for(600));
    let url = format!("http://{}/new", origin.addr);
    let args = ["trace", &url, "--admin", &admin, "--json"];
    let ran = exec::run(&mut atoll(place, &args)).await;
    let shown: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let trace = shown["trace"].as_str().unwrap().to_owned();
    let of = |service: &str, name: &str| {
        let all = collector.taken();
        let mut all = all.into_iter().filter(|came| came.trace == trace);
        all.find(|came| came.service == service && came.name == name)
    };
    wait::until("proxy and index tell of it", EVENTUALLY, async || {
        let proxy = ["request", "index", "origin", "first_byte"];
        proxy.iter().all(|name| of("atoll-proxy", name).is_some())
            && of("atoll-dht", "hop").is_some()
            && of("atoll-dht", "answer").is_some()
    })
    .await;
    let (request, index, hop) = (
        of("atoll-proxy", "request").unwrap(),
        of("atoll-proxy", "index").unwrap(),
        of("atoll-dht", "hop").unwrap(),
    );
    assert_eq!((request.parent, index.parent), (None, Some(request.id)));
    assert_eq!(hop.parent, Some(index.id));
    assert!(!request.failed && !request.outcome.is_empty());
}

/// Busy is tried again, refused is not.
async fn is_busy_and_refuses(proxy: &Proxy, origin: &Origin, collector: &Collector) {
    for (status, reason, lost) in [(503, "busy", 0), (400, "refused", 1)] {
        collector.status.store(status, Ordering::SeqCst);
        let (failed, before) = (
            format!("export_failures_total{{reason=\"{reason}\"}}"),
            count(proxy, "export_lost_total{reason=\"refused\"}").await,
        );
        let broken = format!("/broken/{status}");
        origin.serves(&broken, |_| Reply::status(500, "no"));
        assert_eq!(proxy.get(&origin.page(&broken)).await.status, 500);
        wait::until(&format!("it is {reason}"), EVENTUALLY, async || {
            count(proxy, &failed).await >= 1
        })
        .await;
        let refused = count(proxy, "export_lost_total{reason=\"refused\"}").await;
        assert_eq!(u64::from(refused > before), lost, "{reason}");
        if lost == 0 {
            let taken = collector.taken().len();
            collector.status.store(200, Ordering::SeqCst);
            wait::until("it comes after all", EVENTUALLY, async || {
                collector.taken().len() > taken
            })
            .await;
        }
    }
}
