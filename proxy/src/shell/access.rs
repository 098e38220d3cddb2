//! The access log on its way to its file: lines gather in memory, a thread of its own writes them.
//!
//! Nobody who serves ever waits for the disk, nor wakes anybody: the thread looks ten times a second.
//! What it cannot write in time is dropped beyond a bound, and counted. A rotated file is let go of
//! on request, after what was gathered for it has been written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use common::clock::{Clock as _, Moment, SystemClock};
use prometheus_client::metrics::counter::Counter;

use crate::engine::access::{Asked, Ended, Ending, Form};

/// Bytes of lines that wait at most; beyond it they are dropped. About 20,000 lines.
const GATHERED_MAX: usize = 4 << 20;

/// For the last lines when the process ends; a disk that hangs has no longer than this.
const LAST_LINES: Duration = Duration::from_secs(5);

/// Between two looks of the thread.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(crate) struct AccessLog {
    form: Form,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gathered: Mutex<Gathered>,
    /// Somebody wants the thread at once.
    called: Condvar,
    /// The thread has ended.
    ended: Condvar,
    dropped: Counter,
}

#[derive(Default, Debug)]
struct Gathered {
    text: String,
    lines: u64,
    reopen: bool,
    over: bool,
    ended: bool,
}

/// A request whose answer is on its way; the line is due when it ends.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) log: Arc<AccessLog>,
    pub(crate) asked: Asked,
    pub(crate) began: Moment,
}

impl Due {
    /// The answer is over.
    pub(crate) fn ended(self, clock: &SystemClock, sent: u64, ending: Ending) {
        let ended = Ended {
            at: clock.wall(),
            after: clock.moment().since(self.began),
            sent,
            ending,
        };
        self.log.write(&self.asked, &ended);
    }
}

impl AccessLog {
    /// Starts the thread that writes to `file`, or to standard output. `dropped` counts lines that
    /// were lost.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no thread to be had.
    pub(crate) fn start(
        form: Form,
        file: Option<PathBuf>,
        dropped: Counter,
    ) -> io::Result<Arc<Self>> {
        let sink = Sink::open(file)?;
        let shared = Arc::new(Shared {
            gathered: Mutex::default(),
            called: Condvar::new(),
            ended: Condvar::new(),
            dropped,
        });
        let writing = Arc::clone(&shared);
        // It ends when it is told to: nobody joins it.
        drop(
            thread::Builder::new()
                .name("access-log".to_owned())
                .spawn(move || writing.write_all(sink))?,
        );
        Ok(Arc::new(Self { form, shared }))
    }

    fn write(&self, asked: &Asked, ended: &Ended) {
        let mut gathered = self.shared.lock();
        if gathered.text.len() >= GATHERED_MAX {
            self.shared.dropped.inc();
            return;
        }
        asked.line(self.form, ended, &mut gathered.text);
        gathered.lines += 1;
    }

    /// Lets go of the file, which may have been renamed, and opens it anew.
    pub(crate) fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.called.notify_one();
    }

    /// Writes what is gathered and ends the thread; waits for it, but not for ever.
    pub(crate) fn close(&self) {
        let mut gathered = self.shared.lock();
        gathered.over = true;
        self.shared.called.notify_one();
        let waited = self
            .shared
            .ended
            .wait_timeout_while(gathered, LAST_LINES, |gathered| !gathered.ended);
        let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
        if !ended {
            tracing::warn!("the last lines of the access log were not taken in time");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: writes what has gathered, again and again.
    fn write_all(&self, mut sink: Sink) {
        let mut spare = String::new();
        loop {
            let mut gathered = self.lock();
            if !gathered.reopen && !gathered.over {
                let waited = self.called.wait_timeout(gathered, LOOK_EVERY);
                gathered = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            std::mem::swap(&mut gathered.text, &mut spare);
            let lines = std::mem::take(&mut gathered.lines);
            let reopen = std::mem::take(&mut gathered.reopen);
            let over = gathered.over;
            drop(gathered);
            if let Err(error) = sink.write(spare.as_bytes()) {
                self.dropped.inc_by(lines);
                tracing::warn!(%error, lines, "the access log cannot be written");
            }
            spare.clear();
            if reopen && let Err(error) = sink.reopen() {
                tracing::warn!(%error, "the access log cannot be opened anew: the old file goes on");
            }
            if over {
                self.lock().ended = true;
                self.ended.notify_all();
                return;
            }
        }
    }
}

/// Where the lines go.
#[derive(Debug)]
enum Sink {
    Stdout,
    File(PathBuf, File),
}

impl Sink {
    fn open(path: Option<PathBuf>) -> io::Result<Self> {
        match path {
            None => Ok(Self::Stdout),
            Some(path) => append(&path).map(|file| Self::File(path, file)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File(_, file) => file.write_all(bytes),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, file) = self {
            *file = append(path)?;
        }
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use common::clock::WallTime;
    use http::StatusCode;

    use super::*;
    use crate::engine::access::Fields;

    fn asked() -> Asked {
        Asked {
            client: "192.0.2.7".parse().unwrap(),
            scheme: crate::engine::http::key::Scheme::Http,
            request: None,
            fields: Fields::default(),
            status: StatusCode::OK,
            first_byte: Duration::ZERO,
            outcome: "hit",
            reason: "",
        }
    }

    const ENDED: Ended = Ended {
        at: WallTime::from_unix(0),
        after: Duration::ZERO,
        sent: 0,
        ending: Ending::Complete,
    };

    #[test]
    fn what_was_gathered_is_written_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let dropped = Counter::default();
        let log = AccessLog::start(Form::Json, Some(path.clone()), dropped.clone()).unwrap();
        for _ in 0..100 {
            log.write(&asked(), &ENDED);
        }
        log.close();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn a_disk_that_hangs_costs_lines_and_not_memory() {
        // Without a thread nobody writes.
        let log = AccessLog {
            form: Form::Combined,
            shared: Arc::new(Shared {
                gathered: Mutex::default(),
                called: Condvar::new(),
                ended: Condvar::new(),
                dropped: Counter::default(),
            }),
        };
        let mut one = String::new();
        asked().line(Form::Combined, &ENDED, &mut one);
        let room = GATHERED_MAX.div_ceil(one.len());
        for _ in 0..room + 7 {
            log.write(&asked(), &ENDED);
        }
        assert_eq!(log.shared.dropped.get(), 7);
        let held = log.shared.lock().text.len();
        assert!(held < GATHERED_MAX + one.len());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        let full = Path::new("/dev/full");
        let dropped = Counter::default();
        let log = AccessLog::start(Form::Json, Some(full.to_owned()), dropped.clone()).unwrap();
        log.write(&asked(), &ENDED);
        log.close();
        assert_eq!(dropped.get(), 1);
    }
}
