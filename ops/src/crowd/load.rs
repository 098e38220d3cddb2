//! The crowd itself: clients with a connection each, all starting at once.
//!
//! Every client asks for every object, in an order of its own, and compares each byte with what
//! the origin makes up for that path. Names of objects are new for every run, so all are cold.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, SystemClock};
use common::rng::Generator;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::cache_status::Source;
use super::report::{FailureReason, Report, Sample};
use crate::admin;
use crate::demo::content::{CROWD_SIZE, Content};
use crate::outcome::Failure;

/// Most clients of one crowd: a file descriptor and a task each.
pub const CLIENTS_MAX: usize = 20_000;

/// Most objects of one crowd.
pub const OBJECTS_MAX: usize = 10_000;

/// Largest object, in bytes. The crowd holds one copy of each to compare with.
pub const SIZE_MAX: u64 = 16 << 20;

/// Memory for those copies, in bytes.
const EXPECTED_MAX: u64 = 512 << 20;

/// For one request, from sending it to the last byte.
const DEADLINE: Duration = Duration::from_secs(30);

/// For connecting to a proxy on this machine.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Descriptors besides the clients'.
const SPARE_DESCRIPTORS: u64 = 64;

/// What a crowd does.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Clients, spread evenly over the proxies.
    pub clients: usize,
    /// Objects each of them asks for.
    pub objects: usize,
    /// Bytes of an object.
    pub size: u64,
    /// The origin's coralised host.
    pub host: String,
    /// The proxies.
    pub proxies: Vec<SocketAddr>,
    /// The origin's admin pages, which count what reached it.
    pub origin_admin: SocketAddr,
}

#[derive(Debug)]
struct Object {
    target: String,
    content: Vec<u8>,
}

/// What the clients of a run share.
#[derive(Debug)]
struct Run {
    host: String,
    objects: Vec<Object>,
    start: Barrier,
    clock: SystemClock,
}

impl Crowd {
    /// Checks the numbers and makes room for them.
    ///
    /// # Errors
    /// They are out of bounds, or the system's limit on descriptors is too low.
    pub fn check(&self) -> Result<(), Failure> {
        let within = |what: &str, number: u64, max: u64| {
            if number == 0 || number > max {
                let what = format!("{number} {what}");
                return Err(Failure::usage(what, format!("choose 1 to {max}")));
            }
            Ok(())
        };
        within("clients", self.clients as u64, CLIENTS_MAX as u64)?;
        within("objects", self.objects as u64, OBJECTS_MAX as u64)?;
        within("bytes an object", self.size, SIZE_MAX)?;
        within(
            "bytes in all objects",
            self.size * self.objects as u64,
            EXPECTED_MAX,
        )?;
        if self.proxies.is_empty() {
            return Err(Failure::failed(
                "there are no proxies",
                "start some with `atoll dev`",
            ));
        }
        let (held, wanted) = (raise_descriptors(), self.clients as u64 + SPARE_DESCRIPTORS);
        if held.is_some_and(|held| held < wanted) {
            let what = format!("{} clients need {wanted} file descriptors", self.clients);
            return Err(Failure::failed(
                what,
                "raise the limit with `ulimit -Hn`, or send fewer",
            ));
        }
        Ok(())
    }

    /// Sends the crowd and waits for the last of it.
    ///
    /// # Errors
    /// [`check`](Self::check) fails, or the system gives no random bytes.
    pub async fn run(&self, clock: SystemClock) -> Result<Report, Failure> {
        self.check()?;
        let mut rng = Generator::from_system().map_err(|error| {
            Failure::failed(
                format!("the system gives no random bytes: {error}"),
                "try again",
            )
        })?;
        let run = Arc::new(Run {
            host: self.host.clone(),
            objects: self.cold_objects(&mut rng),
            start: Barrier::new(self.clients + 1),
            clock,
        });
        let mut tasks = JoinSet::new();
        for proxy in self.proxies.iter().cycle().take(self.clients) {
            tasks.spawn(one_client(Arc::clone(&run), *proxy, rng.child()));
        }
        let before = origin_count(self.origin_admin).await;
        run.start.wait().await;
        let begin = clock.moment();
        let mut report = Report::new(self.clients, self.objects, self.size, self.proxies.len());
        while let Some(samples) = tasks.join_next().await {
            for sample in samples.into_iter().flatten() {
                report.add(sample);
            }
        }
        report.wall = clock.moment().since(begin);
        let after = origin_count(self.origin_admin).await;
        report.origin_fetches = before
            .zip(after)
            .map(|(before, after)| after.saturating_sub(before));
        Ok(report)
    }

    fn cold_objects(&self, rng: &mut Generator) -> Vec<Object> {
        let run = rng.u64();
        let query = if self.size == CROWD_SIZE {
            String::new()
        } else {
            format!("?size={}", self.size)
        };
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let object = |number: usize| {
            let path = format!("/crowd/{run:016x}/{number}.bin");
            let content = Content::of(&path).whole(size);
            Object {
                target: path + &query,
                content,
            }
        };
        (0..self.objects).map(object).collect()
    }
}

/// Raises the limit on descriptors as far as it goes; returns it, or `None` for no limit.
pub fn raise_descriptors() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum
        || setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
        .is_err()
    {
        return current;
    }
    maximum
}

/// Requests for crowd objects that the origin has counted.
async fn origin_count(admin: SocketAddr) -> Option<u64> {
    let page = admin::page(admin, "/state").await.ok()?;
    let state: serde_json::Value = serde_json::from_slice(&page.body).ok()?;
    state.get("requests")?.get("crowd")?.as_u64()
}

async fn one_client(run: Arc<Run>, proxy: SocketAddr, mut rng: Generator) -> Vec<Sample> {
    let mut order: Vec<usize> = (0..run.objects.len()).collect();
    // Fisher and Yates.
    for at in (1..order.len()).rev() {
        order.swap(at, rng.below(at + 1));
    }
    let mut connection = connect(proxy).await;
    run.start.wait().await;
    let mut samples = Vec::with_capacity(order.len());
    for object in order.into_iter().filter_map(|at| run.objects.get(at)) {
        let begin = run.clock.moment();
        if !connection.as_ref().is_ok_and(|sender| !sender.is_closed()) {
            connection = connect(proxy).await;
        }
        let (bytes, result) = match &mut connection {
            Ok(sender) => {
                let mut received = 0;
                let asked = ask(sender, &run.host, object, &mut received);
                let result = tokio::time::timeout(DEADLINE, asked).await;
                (received, result.unwrap_or(Err(FailureReason::Deadline)))
            }
            Err(reason) => (0, Err(*reason)),
        };
        // After a failure the connection may hold the rest of an answer.
        if result.is_err() {
            connection = Err(FailureReason::Connect);
        }
        samples.push(Sample {
            latency: run.clock.moment().since(begin),
            bytes,
            result,
        });
    }
    samples
}

type Sender = SendRequest<Empty<Bytes>>;

async fn connect(proxy: SocketAddr) -> Result<Sender, FailureReason> {
    let connected = tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(proxy)).await;
    let stream = connected
        .map_err(|_| FailureReason::Connect)?
        .map_err(|_| FailureReason::Connect)?;
    drop(stream.set_nodelay(true));
    let made = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = made.map_err(|_| FailureReason::Connect)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(
    sender: &mut Sender,
    host: &str,
    object: &Object,
    received: &mut u64,
) -> Result<Source, FailureReason> {
    sender.ready().await.map_err(|_| FailureReason::Broken)?;
    let request = Request::get(&object.target)
        .header(header::HOST, host)
        .body(Empty::new())
        .map_err(|_| FailureReason::Broken)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| FailureReason::Broken)?;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(FailureReason::Status(head.status.as_u16()));
    }
    compare(body, &object.content, received).await?;
    Ok(source(&head.headers))
}

/// Reads the body to its end and compares it with what it should be.
async fn compare(
    mut body: Incoming,
    expected: &[u8],
    received: &mut u64,
) -> Result<(), FailureReason> {
    let mut rest = expected;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| FailureReason::Broken)?;
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        *received += chunk.len() as u64;
        let Some((now, later)) = rest.split_at_checked(chunk.len()) else {
            return Err(FailureReason::Length);
        };
        if now != chunk {
            return Err(FailureReason::Content);
        }
        rest = later;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(FailureReason::Length)
    }
}

fn source(headers: &HeaderMap) -> Source {
    let fields = headers.get_all("cache-status").iter();
    let fields: Vec<&str> = fields.filter_map(|value| value.to_str().ok()).collect();
    Source::of(&fields.join(", "))
}
