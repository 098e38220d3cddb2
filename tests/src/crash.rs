//! A proxy that is killed at random moments under load, and what is on its disk afterwards.
//!
//! Every page's bytes follow from its number, so that whatever is served can be told to be right. After
//! each death the proxy is started again and asked, without leave to fetch, for what it has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::rng::Generator;

use crate::client::{Ask, Page};
use crate::cluster::{Proxy, set};
use crate::origin::{Origin, Reply};
use crate::place::Place;
use crate::wait;

/// Pages of the origin; every fiftieth is large.
const PAGES: usize = 500;

/// Clients at once.
const CLIENTS: usize = 4;

/// Pages looked at after each death.
const LOOKED_AT: usize = 60;

/// What was found over all deaths.
#[derive(Clone, Copy, Default, Debug)]
pub struct Found {
    /// Deaths.
    pub kills: usize,
    /// Pages that were there, byte for byte.
    pub whole: usize,
    /// Pages that were not.
    pub absent: usize,
    /// Anything else: wrong bytes, a part, an error.
    pub wrong: usize,
    /// Answers under load that were whole.
    pub served: usize,
    /// Answers under load that ended well and were not what they should be.
    pub served_wrong: usize,
}

/// The bytes of page `n`.
#[must_use]
pub fn body(n: usize) -> Vec<u8> {
    let length = if n.is_multiple_of(50) {
        1_200_000 + n * 3_000
    } else {
        100 + (n * 7_919) % 20_000
    };
    let text = format!("page {n} ");
    text.bytes().cycle().take(length).collect()
}

/// Kills a proxy so many times. `seed` says when, and who asks for what.
/// So much of a disk it has.
pub async fn kill(place: &Place, kills: usize, seed: u64, disk: &str) -> Found {
    let origin = Origin::start(place).await;
    for n in 0..PAGES {
        let path = format!("/{n}");
        origin.serves(&path, move |_| Reply::page(body(n)).fresh_for(3_600));
    }
    let sets = [
        set("store.memory", "4MiB"),
        set("store.disk", disk),
        set("client.requests_per_second", "0"),
    ];
    let mut proxy = Proxy::alone(place, &sets).await;
    let mut rng = Generator::from_seed(seed);
    let mut found = Found::default();
    for _ in 0..kills {
        let served = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let load: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let client = client(proxy.http, pages(&origin), rng.child(), Arc::clone(&served));
                tokio::spawn(client)
            })
            .collect();
        wait::pause(Duration::from_millis(20) + rng.jitter(Duration::from_millis(400))).await;
        proxy.daemon.kill();
        load.iter().for_each(tokio::task::JoinHandle::abort);
        found.kills += 1;
        found.served += served[0].load(Ordering::SeqCst);
        found.served_wrong += served[1].load(Ordering::SeqCst);
        proxy.daemon.start_again();
        proxy.until_up().await;
        look(&proxy, &origin, &mut rng, &mut found).await;
    }
    found
}

fn pages(origin: &Origin) -> Vec<Page> {
    (0..PAGES).map(|n| origin.page(&format!("/{n}"))).collect()
}

/// Asks for one page after another, some of them anew, until it is stopped.
async fn client(
    to: std::net::SocketAddr,
    pages: Vec<Page>,
    mut rng: Generator,
    served: Arc<[AtomicUsize; 2]>,
) {
    loop {
        let n = rng.below(PAGES);
        let mut ask = Ask::of(to, &pages[n]);
        if rng.below(8) == 0 {
            ask = ask.header("cache-control", "no-cache");
        }
        let Ok(answer) = ask.try_fetch().await else {
            // It is being killed.
            wait::pause(Duration::from_millis(1)).await;
            continue;
        };
        if answer.status == 200 && answer.broken.is_none() {
            let right = answer.body == body(n);
            served[usize::from(!right)].fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn look(proxy: &Proxy, origin: &Origin, rng: &mut Generator, found: &mut Found) {
    for _ in 0..LOOKED_AT {
        let n = rng.below(PAGES);
        let page = origin.page(&format!("/{n}"));
        let ask = proxy.ask(&page).header("cache-control", "only-if-cached");
        let answer = ask.fetch().await;
        match answer.status {
            200 if answer.broken.is_none() && answer.body == body(n) => found.whole += 1,
            504 => found.absent += 1,
            _ => found.wrong += 1,
        }
    }
}
