//! A store whose writer takes its turns by hand, on a disk that has moods.

use super::*;

pub(super) const BUDGET: u64 = 16 << 20;

/// What a bad disk does.
pub(super) const GOOD: u8 = 0;
pub(super) const FULL: u8 = 1;
pub(super) const READ_ONLY: u8 = 2;
pub(super) const NO_READS: u8 = 3;
pub(super) const SHORT: u8 = 4;
pub(super) const LYING: u8 = 5;
pub(super) const NO_FILES: u8 = 6;

/// A file system that does as it is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Moody(Arc<AtomicU8>);

impl Moody {
    pub(super) fn is(&self, mood: u8) -> bool {
        self.0.load(Ordering::SeqCst) == mood
    }

    pub(super) fn set(&self, mood: u8) {
        self.0.store(mood, Ordering::SeqCst);
    }
}

impl Medium for Moody {
    fn create(&self, path: &Path) -> io::Result<File> {
        if self.is(READ_ONLY) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if self.is(NO_FILES) {
            return Err(rustix::io::Errno::MFILE.into());
        }
        Machine.create(path)
    }

    fn write_at(&self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
        if self.is(FULL) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.is(SHORT) {
            return Machine.write_at(file, &bytes[..bytes.len().min(1_000)], at);
        }
        if self.is(LYING) {
            return Machine.write_at(file, &vec![0; bytes.len()], at);
        }
        Machine.write_at(file, bytes, at)
    }

    fn read_at(&self, file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        if self.is(NO_READS) {
            return Err(io::Error::other("input/output error"));
        }
        Machine.read_at(file, bytes, at)
    }

    fn link(&self, file: &File, path: &Path) -> io::Result<()> {
        if self.is(READ_ONLY) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        Machine.link(file, path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Machine.remove(path)
    }
}

#[derive(Debug, Default)]
pub(super) struct Shelves(Mutex<Shelf>);

impl HasShelf for Shelves {
    fn with_shelf(&self, act: &mut dyn FnMut(&mut Shelf)) {
        act(&mut self.0.lock().unwrap());
    }
}

/// A store and its writer.
pub(super) struct Rig {
    pub(super) store: Arc<DiskStore>,
    pub(super) shelves: Arc<Shelves>,
    pub(super) writer: Writer,
    pub(super) inbox: Receiver<Job>,
    pub(super) room: Arc<Room>,
    pub(super) space: Arc<SpillSpace>,
    pub(super) mood: Moody,
}

impl Rig {
    pub(super) fn new(dir: &Path) -> Self {
        Self::with(dir, BUDGET)
    }

    pub(super) fn with(dir: &Path, budget: u64) -> Self {
        let mood = Moody::default();
        let space = Arc::new(SpillSpace::new(dir.to_owned(), 1 << 30));
        let store = DiskStore::new(
            (dir, budget),
            Box::new(mood.clone()),
            Arc::clone(&space),
            SystemClock::new(),
            &mut Registry::default(),
        );
        let mut recovered = store.open().unwrap();
        let shelf = std::mem::take(&mut recovered.shelf);
        let shelves = Arc::new(Shelves(Mutex::new(shelf)));
        shelves.0.lock().unwrap().switch(true);
        let inbox = store.inbox.lock().unwrap().take().unwrap();
        let weak: Weak<Shelves> = Arc::downgrade(&shelves);
        let retry = (Duration::from_millis(1), Duration::from_millis(4));
        let rng = Generator::from_seed(1);
        Self {
            writer: Writer::new(Arc::clone(&store), weak, Some(recovered), retry, rng),
            store,
            shelves,
            inbox,
            room: Arc::new(Room::new(1 << 30)),
            space,
            mood,
        }
    }

    pub(super) fn ask<R>(&self, question: impl FnOnce(&mut Shelf) -> R) -> R {
        ask(&*self.shelves, question).unwrap()
    }

    /// Offers a response, as a fill that has ended does.
    pub(super) fn keep(&self, object: &Arc<Response>, in_memory: u64) -> Result<(), NotShelved> {
        let candidate = Candidate {
            key: &object.key,
            bytes: object.body.length().unwrap_or(0),
            fresh: Duration::from_secs(60),
            asked: 1,
            room: false,
        };
        let which = (name_of(&object.key), variant_of(object));
        let ticket = self.ask(|shelf| shelf.offer(which, &candidate))?;
        assert!(self.store.put(ticket, object, in_memory));
        Ok(())
    }

    /// The writer's turn.
    pub(super) fn turn(&mut self) {
        let first: Option<Write> = match self.inbox.try_recv() {
            Ok(Job::Put(write)) => Some(write),
            _ => None,
        };
        let shelves = Arc::clone(&self.shelves);
        self.writer.work(&*shelves, first, &self.inbox);
    }

    pub(super) fn put(&mut self, n: usize, body: &[u8]) {
        let object = self.object(n, body);
        self.keep(&object, body.len() as u64).unwrap();
        self.turn();
    }

    pub(super) fn object(&self, n: usize, body: &[u8]) -> Arc<Response> {
        let digest = *blake3::hash(body).as_bytes();
        let body = SharedBody::whole(body.into(), digest, &self.room);
        response(n, body)
    }

    /// A body in a file of its own.
    pub(super) fn large(&self, n: usize, body: &[u8]) -> Arc<Response> {
        let spill = Spill::create(&self.space).unwrap();
        spill.write(body, 0).unwrap();
        let digest = *blake3::hash(body).as_bytes();
        let length = body.len() as u64;
        let body = SharedBody::filed(Arc::new(spill), length, digest, &self.room);
        response(n, body)
    }

    /// What is read back of a URL: `None` if it is not there, or not right.
    pub(super) fn read(&self, n: usize) -> Option<Vec<u8>> {
        let key = key(n);
        let place = *self.ask(|shelf| shelf.read(name_of(&key))).first()?;
        let object = self.store.object(&self.room, &key, &place).ok()?;
        assert!(object.remaining(self.store.clock.moment(), Heat::Quiet) > Duration::from_secs(50));
        let content = object.body.content().unwrap();
        if let Some(pieces) = content.pieces.filter(|_| content.file.is_none()) {
            return Some(pieces.concat());
        }
        let length = usize::try_from(content.length).unwrap();
        content.file.unwrap().read(0, length).ok().map(Into::into)
    }
}

pub(super) fn key(n: usize) -> PrimaryKey {
    PrimaryKey::new(Scheme::Http, "example.com", 80, &format!("/{n}"))
}

pub(super) fn response(n: usize, body: Arc<SharedBody>) -> Arc<Response> {
    let mut headers = HeaderMap::new();
    headers.insert("cache-control", "max-age=60".parse().unwrap());
    let received = Received {
        status: StatusCode::OK,
        headers: &headers,
        at: SystemClock::new().moment(),
        wall: WallTime::from_unix(1_000_000),
        delay: Duration::ZERO,
    };
    let policy = FreshPolicy::default();
    let request = HeaderMap::new();
    let kept = headers.clone();
    Arc::new(Object::new(
        key(n),
        &received,
        &kept,
        &request,
        &policy,
        body,
    ))
}

pub(super) fn body(n: usize) -> Vec<u8> {
    let byte = u8::try_from(n % 251).unwrap();
    vec![byte; 3_000 + n % 100]
}

pub(super) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("v1")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.is_file());
    files
}
