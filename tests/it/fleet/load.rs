//! Clients of all nodes of a fleet at once, who take note of every request that fails.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::client::{Ask, Page};
use harness::fleet::Node;
use harness::place::Place;
use harness::wait;
use tokio::task::JoinSet;

/// Between two requests to a node, where nobody says otherwise.
pub(super) const PACE: Duration = Duration::from_millis(15);

/// Failures that are kept in words.
const KEPT: usize = 16;

/// Clients of all nodes, and how they fared.
pub(super) struct Clients {
    tasks: JoinSet<()>,
    over: Arc<AtomicBool>,
    count: Arc<Count>,
}

/// What is counted while the load lasts.
#[derive(Debug, Default)]
pub(super) struct Count {
    asked: AtomicU64,
    failed: AtomicU64,
    words: Mutex<Vec<String>>,
}

impl Count {
    /// One more request, and what was wrong with it if anything was.
    pub(super) fn note(&self, came: Result<(), String>) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if let Err(word) = came {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            if words.len() < KEPT {
                words.push(word);
            }
        }
    }
}

impl Clients {
    /// One client at each node, who asks for the pages in turn.
    pub(super) fn start(place: &Place, nodes: &[Node], (pages, pace): (&[Page], Duration)) -> Self {
        let mut clients = Self {
            tasks: JoinSet::new(),
            over: Arc::default(),
            count: Arc::default(),
        };
        for (node, first) in nodes.iter().zip(0..) {
            let (addr, pages) = (node.http(place), pages.to_vec());
            clients.also(async move |count, over| {
                for page in pages.iter().cycle().skip(first) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    count.note(fetch(addr, page).await);
                    wait::pause(pace).await;
                }
            });
        }
        clients
    }

    /// Another client, which is told when it is over.
    pub(super) fn also<F>(&mut self, client: impl FnOnce(Arc<Count>, Arc<AtomicBool>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let client = client(Arc::clone(&self.count), Arc::clone(&self.over));
        self.tasks.spawn(client);
    }

    /// How many requests there were so far, and how many failed.
    pub(super) fn so_far(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.count.asked), read(&self.count.failed))
    }

    /// What went wrong first.
    pub(super) fn words(&self) -> Vec<String> {
        let words = self.count.words.lock();
        words.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it.
    pub(super) async fn end(mut self) {
        self.over.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Pages that nobody has asked for before, each asked for at one node and a while later at another.
pub(super) struct Passing {
    pages: Vec<Page>,
    begun: AtomicUsize,
}

/// Between two pages that are passed on.
const PASSING: Duration = Duration::from_millis(60);

/// How many pages later the second node is asked, and how many nodes further on that is.
const LATER: usize = 15;
const FURTHER: usize = 3;

impl Passing {
    pub(super) fn new(pages: Vec<Page>) -> Arc<Self> {
        Arc::new(Self {
            pages,
            begun: AtomicUsize::new(0),
        })
    }

    /// How many pages were asked for.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Asks for them, until it is over.
    pub(super) async fn on(
        self: Arc<Self>,
        nodes: Vec<SocketAddr>,
        (count, over): (Arc<Count>, Arc<AtomicBool>),
    ) {
        for (n, page) in self.pages.iter().enumerate() {
            if over.load(Ordering::Relaxed) {
                return;
            }
            self.begun.fetch_add(1, Ordering::Relaxed);
            count.note(fetch(nodes[n % nodes.len()], page).await);
            if let Some(before) = n.checked_sub(LATER) {
                let other = nodes[(before + FURTHER) % nodes.len()];
                count.note(fetch(other, &self.pages[before]).await);
            }
            wait::pause(PASSING).await;
        }
        count.note(Err("no page is left".to_owned()));
    }
}

async fn fetch(addr: SocketAddr, page: &Page) -> Result<(), String> {
    let answer = Ask::of(addr, page).try_fetch().await?;
    if answer.status == 200 && answer.broken.is_none() {
        return Ok(());
    }
    let (status, broken) = (answer.status, &answer.broken);
    Err(format!("{addr} {}: {status}, {broken:?}", page.path))
}
