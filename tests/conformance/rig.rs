//! One origin, one proxy, and sites that tests make up: what the wire tests of this target share.
//!
//! All tests that run at a time use the same proxy process, each with a site of its own, so that
//! they neither wait for each other nor see each other's copies or heat. Nothing waits for time to
//! pass: a response is made old by the Age that its origin gives it.
//!
//! ```text
//! let site = Site::with("cache-control: max-age=60");
//! site.get().is("200 stored").origin(1);
//! site.ask("cache-control: max-age=0").is("revalidated").origin(2);
//! ```

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use harness::client::{self, Answer, Ask, Page};
use harness::cluster::{Proxy, set};
use harness::metrics;
use harness::origin::{Origin, Reply, Request, ZONE};
use harness::place::{Place, host};
use harness::resolver::Hosts;
use harness::wait;
use http::Method;
use tokio::runtime::{Builder, Handle};

/// Names the resolver knows: more than this target has tests.
const SITES: usize = 2_000;

/// What all tests of the process share while any of them runs.
struct Rig {
    /// Where clients connect.
    http: SocketAddr,
    admin: SocketAddr,
    origin: Arc<Origin>,
    runtime: Handle,
    /// Gone, it tells the keeper to clear up.
    wanted: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

static RIG: Mutex<Weak<Rig>> = Mutex::new(Weak::new());
static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Rig {
    fn shared() -> Arc<Self> {
        // A test that fails while it starts the rig leaves nothing half done here.
        let mut slot = RIG.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rig) = slot.upgrade() {
            return rig;
        }
        let rig = Arc::new(Self::start());
        *slot = Arc::downgrade(&rig);
        rig
    }

    /// Starts everything on a thread of its own: the kernel ends the proxy with the thread that
    /// started it, which must not be that of the test that happens to be first.
    fn start() -> Self {
        let (started, ready) = channel();
        let (wanted, unwanted) = channel();
        let keeper = std::thread::spawn(move || {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            let parts = runtime.block_on(async {
                let place = Place::shared().await;
                let origin = Arc::new(Origin::start(&place).await);
                let ip = place.ip(host::ORIGIN);
                let names: Vec<_> = (0..SITES).map(site_name).collect();
                let names: Vec<_> = names.iter().map(|name| (name.as_str(), ip)).collect();
                let hosts = Hosts::start(&place, &names).await;
                let sets = [set("origin.resolvers", hosts.addr)];
                let proxy = Proxy::alone(&place, &sets).await;
                let handles = (
                    proxy.http,
                    proxy.admin,
                    Arc::clone(&origin),
                    Handle::current(),
                );
                started.send(handles).unwrap();
                (proxy, hosts, origin, place)
            });
            let _nobody: Result<(), _> = unwanted.recv();
            let _entered = runtime.enter();
            drop(parts);
        });
        let (http, admin, origin, runtime) = ready.recv().unwrap();
        Self {
            http,
            admin,
            origin,
            runtime,
            wanted: Some(wanted),
            keeper: Some(keeper),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.wanted = None;
        let ended = self.keeper.take().map(JoinHandle::join);
        let failed = ended.is_some_and(|ended| ended.is_err());
        assert!(
            !failed || std::thread::panicking(),
            "the rig ended badly: see its log"
        );
    }
}

fn site_name(n: usize) -> String {
    format!("www.site{n}.com")
}

/// A site of a test's own, with one page and, below it, others.
pub(crate) struct Site {
    rig: Arc<Rig>,
    n: usize,
}

impl Site {
    /// A site whose page nobody has written yet: 404.
    pub(crate) fn new() -> Self {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(n < SITES, "the resolver knows no more sites");
        Self {
            rig: Rig::shared(),
            n,
        }
    }

    /// A site whose page is always `page <nth>` with these fields, one a line.
    pub(crate) fn with(fields: &str) -> Self {
        Self::new().replies(&[fields])
    }

    /// A site whose page is each time the next of these: fields, one a line, of a 200 `page <nth>`,
    /// or of another status when the first line is a number.
    pub(crate) fn replies(self, replies: &[&str]) -> Self {
        let replies: Vec<_> = replies.iter().map(|text| (*text).to_owned()).collect();
        self.serves(move |request| {
            let at = request.nth.min(replies.len()) - 1;
            reply(&replies[at], request.nth)
        })
    }

    /// A site whose page is made by `make`.
    pub(crate) fn serves(self, make: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        self.serves_at("", make)
    }

    /// A site with a page at `below` of its page, made by `make`.
    pub(crate) fn serves_at(
        self,
        below: &str,
        make: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        self.rig.origin.serves(&self.path(below), make);
        self
    }

    fn path(&self, below: &str) -> String {
        format!("/t{}{below}", self.n)
    }

    /// The page as a client names it.
    pub(crate) fn page(&self, below: &str) -> Page {
        let port = self.rig.origin.addr.port();
        let host = format!("{}.{port}.{ZONE}", site_name(self.n));
        Page::new(&host, &self.path(below))
    }

    /// A plain GET.
    pub(crate) fn get(&self) -> Got<'_> {
        self.ask("")
    }

    /// A GET with these fields, one a line.
    pub(crate) fn ask(&self, fields: &str) -> Got<'_> {
        self.send("GET", "", fields)
    }

    /// Any request for the page at `below`, with these fields, one a line.
    pub(crate) fn send(&self, method: &str, below: &str, fields: &str) -> Got<'_> {
        let mut ask = Ask::of(self.rig.http, &self.page(below));
        ask = ask.method(method.parse::<Method>().unwrap());
        for (name, value) in lines(fields) {
            ask = ask.header(name, value);
        }
        let answer = self.rig.runtime.block_on(ask.fetch());
        let got = Got { site: self, answer };
        if got.cache().contains("fwd=") {
            self.settle();
        }
        got
    }

    /// Waits until what was fetched is stored: the last byte may be here a moment before.
    pub(crate) fn settle(&self) {
        let admin = self.rig.admin;
        let settled = wait::until("fetches have ended", wait::SOON, async || {
            metrics::value(admin, "atoll_proxy_fills").await == 0
        });
        self.rig.runtime.block_on(settled);
    }

    /// Sends these bytes as they are, with `{host}` and `{path}` filled in, and gives all that
    /// comes back until the connection ends.
    pub(crate) fn raw(&self, request: &str) -> String {
        let page = self.page("");
        let request = request
            .replace("{host}", &page.host)
            .replace("{path}", &page.path);
        let to = self.rig.http;
        self.rig
            .runtime
            .block_on(client::raw(to, request.as_bytes()))
    }

    /// How often the origin was asked for the page.
    pub(crate) fn count(&self) -> usize {
        self.rig.origin.count(&self.path(""))
    }

    /// The `nth` request for the page, from 1.
    pub(crate) fn seen(&self, nth: usize) -> Request {
        self.rig.origin.seen(&self.path(""))[nth - 1].clone()
    }

    /// Waits until the origin was asked `count` times.
    pub(crate) fn until_asked(&self, count: usize) {
        self.run(self.wait_for_requests(count));
    }

    /// Waits until the origin was asked `count` times.
    pub(crate) async fn wait_for_requests(&self, count: usize) {
        wait::until("the origin is asked", wait::SOON, async || {
            self.count() >= count
        })
        .await;
    }

    /// The proxy's admin pages.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.rig.admin
    }

    /// Runs `work` on the rig's runtime.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.rig.runtime.block_on(work)
    }

    /// Where the proxy listens.
    pub(crate) fn proxy(&self) -> SocketAddr {
        self.rig.http
    }
}

/// An answer, to be looked at. Every check gives it back for the next one.
pub(crate) struct Got<'a> {
    site: &'a Site,
    pub(crate) answer: Answer,
}

impl Got<'_> {
    /// Every word of `expected` is so: a number is the status; `hit`, `stored` or `fwd=...` stands in
    /// our member of Cache-Status, `!stored` does not; `revalidated`, `origin` and others are its detail.
    #[track_caller]
    pub(crate) fn is(self, expected: &str) -> Self {
        let own = self.cache();
        for word in expected.split_ascii_whitespace() {
            let (absent, word) = match word.strip_prefix('!') {
                Some(word) => (true, word),
                None => (false, word),
            };
            let found = word == self.answer.status.to_string()
                || own
                    .split(';')
                    .map(str::trim)
                    .any(|part| part == word || part.strip_prefix("detail=") == Some(word));
            let shown = (self.answer.status, &own);
            assert!(found != absent, "{expected}: {word} of {shown:?}");
        }
        self
    }

    /// Our member of Cache-Status: the last one.
    pub(crate) fn cache(&self) -> String {
        let all = self.answer.field("cache-status");
        all.rsplit(", ").next().unwrap_or_default().to_owned()
    }

    /// The origin has been asked `count` times so far.
    #[track_caller]
    pub(crate) fn origin(self, count: usize) -> Self {
        let asked = self.site.count();
        assert_eq!(asked, count, "requests at the origin; {}", self.cache());
        self
    }

    /// The body is `text`, to its proper end.
    #[track_caller]
    pub(crate) fn text(self, text: &str) -> Self {
        assert_eq!(self.answer.broken, None);
        assert_eq!(self.answer.text(), text);
        self
    }

    /// The field has this value; empty means that it is not there.
    #[track_caller]
    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        assert_eq!(self.answer.field(name), value, "{name}");
        self
    }

    /// The Age, which has to be there.
    #[track_caller]
    pub(crate) fn age(&self) -> u64 {
        let age = self.answer.field("age");
        age.parse().unwrap_or_else(|_| panic!("Age: {age:?}"))
    }
}

/// A reply from text: fields, one a line, after a line with the status if it is not 200; an empty
/// line begins the body, which is `page <nth>` otherwise.
pub(crate) fn reply(text: &str, nth: usize) -> Reply {
    let (head, body) = match text.split_once("\n\n") {
        Some((head, body)) => (head, body.to_owned()),
        None => (text, format!("page {nth}")),
    };
    let (status, fields) = match head.split_once('\n') {
        Some((first, rest)) if first.parse::<u16>().is_ok() => (first.parse().unwrap(), rest),
        None if head.parse::<u16>().is_ok() => (head.parse().unwrap(), ""),
        _ => (200, head),
    };
    let body = if status == 304 { String::new() } else { body };
    let reply = Reply::status(status, &body);
    lines(fields).fold(reply, |reply, (name, value)| reply.header(name, value))
}

fn lines(fields: &str) -> impl Iterator<Item = (&str, &str)> {
    fields
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (name, value) = line.trim().split_once(':').unwrap();
            (name, value.trim())
        })
}
