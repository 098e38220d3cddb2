//! Kept spans on their way to a collector: a bounded queue, batches, a deadline, and a count of what was lost
//! and why. A collector that is slow, full or down costs a metric and nothing else.
//!
//! Each request has a connection of its own: at a batch in two seconds it is not worth more.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::clock::{Clock as _, SystemClock};
use crate::rng::Generator;
use crate::telemetry::Metric;
use crate::trace::Span;
use crate::trace::otlp::{self, Collector, Now, Origin};

/// Spans that wait at most; at 400 bytes each 800 KiB.
const QUEUE_MAX: usize = 2_048;

/// Spans of a request: some 150 KiB of JSON, under a millisecond to write.
const BATCH_MAX: usize = 256;

/// Between two looks whether there is something to send.
const EVERY: Duration = Duration::from_secs(2);

/// For a whole exchange.
const DEADLINE: Duration = Duration::from_secs(5);

/// After the first failure, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

/// Largest answer read, in bytes; what it says beyond that is not listened to.
const ANSWER_MAX: usize = 64 << 10;

/// Why a batch did not get there. It is tried again, unless the collector said that it never will take it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExportReason {
    /// Nobody accepts connections there, or its name is not known.
    Connect,
    /// No answer in time.
    Late,
    /// The connection broke, or what came was no answer.
    Broken,
    /// The collector says that it cannot now: 429, 502, 503 or 504.
    Busy,
    /// It says that it will not: any other status.
    Refused,
}

impl ExportReason {
    const ALL: [Self; 5] = [
        Self::Connect,
        Self::Late,
        Self::Broken,
        Self::Busy,
        Self::Refused,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Late => "late",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::Refused => "refused",
        }
    }

    /// Whether the same batch would come to the same end again (OTLP specification, "Failures").
    const fn is_final(self) -> bool {
        matches!(self, Self::Refused)
    }
}

/// Why a span was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LossReason {
    /// As many waited as may.
    Full,
    /// Its batch was refused.
    Refused,
    /// The collector took the batch but for it.
    Rejected,
}

impl LossReason {
    const ALL: [Self; 3] = [Self::Full, Self::Refused, Self::Rejected];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
        }
    }
}

/// What a daemon calls the exporter's metrics.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Spans that a collector took.
    pub exported: &'static str,
    /// Spans lost, by reason.
    pub lost: &'static str,
    /// Batches that did not get there, by reason.
    pub failures: &'static str,
}

/// See the module.
#[derive(Debug)]
pub struct Exporter {
    collector: Collector,
    of: Origin,
    queue: Mutex<VecDeque<Span>>,
    exported: AtomicU64,
    lost: [AtomicU64; LossReason::ALL.len()],
    failures: [AtomicU64; ExportReason::ALL.len()],
}

impl Exporter {
    /// One whose task sends what it is offered to `collector`, for as long as the runtime lives.
    #[must_use]
    pub fn start(
        collector: Collector,
        of: Origin,
        (clock, rng): (SystemClock, Generator),
    ) -> Arc<Self> {
        let exporter = Self::new(collector, of);
        tokio::spawn(Arc::clone(&exporter).run(clock, rng));
        exporter
    }

    /// One that sends nothing before it [runs](Self::run).
    fn new(collector: Collector, of: Origin) -> Arc<Self> {
        Arc::new(Self {
            collector,
            of,
            queue: Mutex::default(),
            exported: AtomicU64::new(0),
            lost: Default::default(),
            failures: Default::default(),
        })
    }

    /// These spans are kept here, and are to go.
    pub fn offer(&self, spans: &[Span]) {
        let mut queue = self.queue();
        let room = QUEUE_MAX.saturating_sub(queue.len()).min(spans.len());
        queue.extend(spans[..room].iter().cloned());
        drop(queue);
        self.lose(LossReason::Full, spans.len() - room);
    }

    /// Sends what is offered, for as long as it is polled.
    async fn run(self: Arc<Self>, clock: SystemClock, mut rng: Generator) {
        let mut backoff = Backoff::new(AGAIN.0, AGAIN.1);
        loop {
            let batch = self.batch();
            if batch.is_empty() {
                sleep(EVERY).await;
                continue;
            }
            while let Err(reason) = self.deliver(&batch, clock).await {
                self.failures[reason as usize].fetch_add(1, Ordering::Relaxed);
                if backoff.failures() == 0 {
                    let (to, why) = (&self.collector.authority, reason.as_str());
                    tracing::warn!(%to, why, "the collector of traces does not take them");
                }
                let wait = backoff.fail(&mut rng);
                if reason.is_final() {
                    self.lose(LossReason::Refused, batch.len());
                    sleep(wait).await;
                    break;
                }
                sleep(wait).await;
            }
        }
    }

    fn batch(&self) -> Vec<Span> {
        let mut queue = self.queue();
        let most = queue.len().min(BATCH_MAX);
        queue.drain(..most).collect()
    }

    async fn deliver(&self, batch: &[Span], clock: SystemClock) -> Result<(), ExportReason> {
        let now = Now {
            moment: clock.moment(),
            unix_nanos: clock.unix_nanos(),
        };
        let text = otlp::request(&self.of, batch, now).to_string();
        let answer = timeout(DEADLINE, self.post(text)).await;
        let rejected = otlp::rejected(&answer.unwrap_or(Err(ExportReason::Late))?);
        let rejected = usize::try_from(rejected)
            .unwrap_or(usize::MAX)
            .min(batch.len());
        self.lose(LossReason::Rejected, rejected);
        let taken = batch.len() - rejected;
        self.exported.fetch_add(taken as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn post(&self, text: String) -> Result<Bytes, ExportReason> {
        let Collector { authority, path } = &self.collector;
        let stream = TcpStream::connect(authority).await;
        let stream = stream.map_err(|_| ExportReason::Connect)?;
        let request = Request::post(path.as_str())
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(text)));
        let request = request.map_err(|_| ExportReason::Broken)?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|_| ExportReason::Broken)?;
        let driver = Driver(tokio::spawn(async { drop(connection.await) }));
        let response = sender.send_request(request).await;
        let response = response.map_err(|_| ExportReason::Broken)?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => return Err(ExportReason::Busy),
            _ => return Err(ExportReason::Refused),
        }
        let body = Limited::new(response.into_body(), ANSWER_MAX)
            .collect()
            .await;
        drop(driver);
        // It has said that it took them; what it says beside may be lost.
        Ok(body
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default())
    }

    fn lose(&self, reason: LossReason, spans: usize) {
        self.lost[reason as usize].fetch_add(spans as u64, Ordering::Relaxed);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Span>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self, names: Names) -> Vec<Metric> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lost = LossReason::ALL.map(|why| (why.as_str(), load(&self.lost[why as usize])));
        let failures =
            ExportReason::ALL.map(|why| (why.as_str(), load(&self.failures[why as usize])));
        vec![
            Metric::plain(
                names.exported,
                "Spans that the collector of trace.export took",
                crate::telemetry::Kind::Counter,
                load(&self.exported),
            ),
            Metric::counters(
                names.lost,
                "Spans that did not get to the collector; they are in this node's ring all the same",
                "reason",
                lost,
            ),
            Metric::counters(
                names.failures,
                "Batches that the collector did not take; they are sent again but for refused",
                "reason",
                failures,
            ),
        ]
    }
}

/// A connection that ends with its exchange.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::clock::Moment;
    use crate::trace::{Ids, What};

    fn spans(count: usize) -> Vec<Span> {
        let mut ids = Ids::new([1; 8]);
        let mut one = || Span {
            trace: ids.trace().0,
            id: ids.span(),
            parent: None,
            what: What::Request,
            target: "http://a.example/".to_owned(),
            began: Moment::from_millis(1),
            took: Duration::from_millis(3),
            outcome: "hit",
            failed: false,
        };
        (0..count).map(|_| one()).collect()
    }

    fn exporter(authority: &str) -> Arc<Exporter> {
        let collector = Collector {
            authority: authority.to_owned(),
            path: "/v1/traces".to_owned(),
        };
        Exporter::new(collector, Origin::new("atoll-test", "n"))
    }

    const NAMES: Names = Names {
        exported: "exported",
        lost: "lost",
        failures: "failures",
    };

    fn count(exporter: &Exporter, metric: usize, sample: usize) -> u64 {
        exporter.metrics(NAMES)[metric].samples[sample].value
    }

    /// A collector that answers each request with this.
    async fn collector(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = vec![0; 1 << 20];
                let read = stream.read(&mut bytes).await.unwrap();
                assert!(bytes[..read].starts_with(b"POST /v1/traces HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        addr
    }

    #[test]
    fn more_than_may_wait_is_lost_and_counted() {
        let exporter = exporter("127.0.0.1:1");
        exporter.offer(&spans(QUEUE_MAX - 1));
        exporter.offer(&spans(3));
        assert_eq!(
            (exporter.queue().len(), count(&exporter, 1, 0)),
            (QUEUE_MAX, 2)
        );
        assert_eq!(exporter.batch().len(), BATCH_MAX);
    }

    #[tokio::test]
    async fn each_answer_of_a_collector_has_its_end() {
        let clock = SystemClock::new();
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", Ok(())),
            (
                "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
                Err(ExportReason::Busy),
            ),
            (
                "HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n",
                Err(ExportReason::Refused),
            ),
            ("what?", Err(ExportReason::Broken)),
        ] {
            let exporter = exporter(&collector(answer).await);
            assert_eq!(
                exporter.deliver(&spans(2), clock).await,
                expected,
                "{answer}"
            );
            let taken = if expected.is_ok() { 2 } else { 0 };
            assert_eq!(count(&exporter, 0, 0), taken);
        }
        let gone = exporter("127.0.0.1:1").deliver(&spans(1), clock).await;
        assert_eq!(gone, Err(ExportReason::Connect));
        let partial = "HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}";
        let exporter = exporter(&collector(partial).await);
        assert_eq!(exporter.deliver(&spans(3), clock).await, Ok(()));
        assert_eq!((count(&exporter, 0, 0), count(&exporter, 1, 2)), (2, 1));
    }
}
