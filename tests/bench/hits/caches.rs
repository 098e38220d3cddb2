//! The caches that a trace is played to: ours, and other policies as published crates and papers have
//! them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use common::clock::{Moment, WallTime};
use common::rng::Generator;
use http::{HeaderMap, StatusCode};
use proxy::engine::http::fresh::FreshPolicy;
use proxy::engine::http::key::{PrimaryKey, Scheme};
use proxy::engine::store::object::{Object, Received};
use proxy::engine::store::{Budget, Store, Weight};

/// Something that keeps URLs within a number of bytes.
pub(crate) trait Cache {
    /// Asks for a URL of so many bytes; what is not here comes in. Whether it was here.
    fn ask(&mut self, url: u32, bytes: u32) -> bool;
}

/// Every cache with this room, and its name.
pub(crate) fn all(room: u64) -> Vec<(&'static str, Box<dyn Cache>)> {
    vec![
        ("atoll", Box::new(Ours::new(room))),
        ("LRU (lru)", Box::new(Lru::new(room))),
        ("S3-FIFO (the paper)", Box::new(S3Fifo::new(room))),
        ("quick_cache", Box::new(quick(room))),
        ("W-TinyLFU (moka)", Box::new(Moka::new(room))),
    ]
}

/// The proxy's store.
pub(crate) struct Ours {
    pub(crate) store: Store<()>,
    none: HeaderMap,
    policy: FreshPolicy,
    /// What an object weighs beside its body: the others count a URL's bytes with it.
    head: u64,
}

impl Ours {
    pub(crate) fn new(room: u64) -> Self {
        let store = |memory| Store::new(Budget { memory, disk: 0 }, Generator::from_seed(1));
        let mut ours = Self {
            store: store(u64::MAX >> 1),
            none: HeaderMap::new(),
            policy: FreshPolicy::default(),
            head: 0,
        };
        ours.ask(0, 0);
        ours.head = ours.store.used().memory;
        ours.store = store(room);
        ours
    }

    pub(crate) fn key(url: u32) -> PrimaryKey {
        PrimaryKey::new(Scheme::Http, "example.com", 80, &format!("/{url}"))
    }

    fn object(&self, key: PrimaryKey) -> Arc<Object<()>> {
        let received = Received {
            status: StatusCode::OK,
            headers: &self.none,
            at: Moment::ZERO,
            wall: WallTime::from_unix(0),
            delay: std::time::Duration::ZERO,
        };
        let (kept, request) = (HeaderMap::new(), &self.none);
        Arc::new(Object::new(
            key,
            &received,
            &kept,
            request,
            &self.policy,
            (),
        ))
    }
}

impl Cache for Ours {
    fn ask(&mut self, url: u32, bytes: u32) -> bool {
        let key = Self::key(url);
        // As the plain door does.
        let request = || self.none.clone();
        let here = self
            .store
            .find_at(key.as_str(), request, |_| true, |_| true);
        if here.is_none() {
            let memory = u64::from(bytes).saturating_sub(self.head);
            self.store
                .insert(self.object(key), Weight { memory, disk: 0 });
        }
        here.is_some()
    }
}

/// Least recently used, by bytes.
struct Lru {
    kept: lru::LruCache<u32, u32>,
    used: u64,
    room: u64,
}

impl Lru {
    fn new(room: u64) -> Self {
        Self {
            kept: lru::LruCache::unbounded(),
            used: 0,
            room,
        }
    }
}

impl Cache for Lru {
    fn ask(&mut self, url: u32, bytes: u32) -> bool {
        if self.kept.get(&url).is_some() {
            return true;
        }
        self.kept.put(url, bytes);
        self.used += u64::from(bytes);
        while self.used > self.room {
            let Some((_, bytes)) = self.kept.pop_lru() else {
                break;
            };
            self.used -= u64::from(bytes);
        }
        false
    }
}

/// By bytes, as quick_cache wants it told.
#[derive(Clone)]
struct Bytes;

impl quick_cache::Weighter<u32, u32> for Bytes {
    fn weight(&self, _: &u32, bytes: &u32) -> u64 {
        u64::from(*bytes)
    }
}

type Quick = quick_cache::unsync::Cache<u32, u32, Bytes>;

fn quick(room: u64) -> Quick {
    let about = usize::try_from(room / 50_000).unwrap();
    Quick::with_weighter(about, room, Bytes)
}

impl Cache for Quick {
    fn ask(&mut self, url: u32, bytes: u32) -> bool {
        let here = self.get(&url).is_some();
        if !here {
            self.insert(url, bytes);
        }
        here
    }
}

struct Moka {
    kept: moka::sync::Cache<u32, u32>,
    asked: u32,
}

impl Moka {
    fn new(room: u64) -> Self {
        // It weighs in 32 bits: in KiB.
        let kept = moka::sync::Cache::builder()
            .max_capacity(room >> 10)
            .weigher(|_: &u32, bytes: &u32| bytes.div_ceil(1 << 10))
            .build();
        Self { kept, asked: 0 }
    }
}

impl Cache for Moka {
    fn ask(&mut self, url: u32, bytes: u32) -> bool {
        self.asked = self.asked.wrapping_add(1);
        if self.asked.is_multiple_of(64) {
            self.kept.run_pending_tasks();
        }
        let here = self.kept.get(&url).is_some();
        if !here {
            self.kept.insert(url, bytes);
        }
        here
    }
}

/// S3-FIFO as its authors describe it (Yang and others, SOSP 2023), by bytes: a tenth for newcomers,
/// who go on to the main queue if asked for more than once more, and ghosts of nine tenths.
struct S3Fifo {
    kept: HashMap<u32, (u32, u8)>,
    small: Queue,
    main: Queue,
    ghosts: Queue,
    remembered: HashMap<u32, u32>,
    room: u64,
}

#[derive(Default)]
struct Queue {
    urls: VecDeque<u32>,
    bytes: u64,
}

impl Queue {
    fn push(&mut self, url: u32, bytes: u32) {
        self.urls.push_back(url);
        self.bytes += u64::from(bytes);
    }
}

impl S3Fifo {
    fn new(room: u64) -> Self {
        Self {
            kept: HashMap::new(),
            small: Queue::default(),
            main: Queue::default(),
            ghosts: Queue::default(),
            remembered: HashMap::new(),
            room,
        }
    }

    fn leave_small(&mut self) -> Option<()> {
        let url = self.small.urls.pop_front()?;
        let (bytes, uses) = self.kept.get_mut(&url)?;
        let bytes = *bytes;
        self.small.bytes -= u64::from(bytes);
        if *uses > 1 {
            *uses = 0;
            self.main.push(url, bytes);
            return Some(());
        }
        self.kept.remove(&url);
        self.ghosts.push(url, bytes);
        self.remembered.insert(url, bytes);
        while self.ghosts.bytes > self.room * 9 / 10 {
            let url = self.ghosts.urls.pop_front()?;
            if let Some(bytes) = self.remembered.remove(&url) {
                self.ghosts.bytes -= u64::from(bytes);
            }
        }
        Some(())
    }

    fn leave_main(&mut self) -> Option<()> {
        let url = self.main.urls.pop_front()?;
        let (bytes, uses) = self.kept.get_mut(&url)?;
        if *uses > 0 {
            *uses -= 1;
            self.main.urls.push_back(url);
            return Some(());
        }
        self.main.bytes -= u64::from(*bytes);
        self.kept.remove(&url);
        Some(())
    }
}

impl Cache for S3Fifo {
    fn ask(&mut self, url: u32, bytes: u32) -> bool {
        if let Some((_, uses)) = self.kept.get_mut(&url) {
            *uses = (*uses + 1).min(3);
            return true;
        }
        self.kept.insert(url, (bytes, 0));
        if let Some(bytes) = self.remembered.remove(&url) {
            self.ghosts.bytes -= u64::from(bytes);
            self.main.push(url, bytes);
        } else {
            self.small.push(url, bytes);
        }
        while self.small.bytes + self.main.bytes > self.room {
            let small = self.small.bytes > self.room / 10 || self.main.urls.is_empty();
            let went = if small {
                self.leave_small()
            } else {
                self.leave_main()
            };
            went.unwrap();
        }
        false
    }
}
