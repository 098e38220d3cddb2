//! Whoever looks after this process: systemd or the agent. What it is told (`sd_notify(3)`), what it
//! keeps for the process that comes next, and whether there is a process before this one that still
//! serves.
//!
//! What is told is soft: readiness and sockets are told anew with each sign of life, so that a
//! supervisor that was itself started anew knows them again. Without a supervisor nothing is told.
//!
//! **Changing places.** A process that is started beside its predecessor is given that one's sockets and
//! its process id. It prepares all that two processes can have at once, says [`Supervisor::prepared`],
//! and gets what only one can have (a lock, the reading of a socket) once the predecessor was asked to
//! give it up. Then it serves and says so; only then is the predecessor relieved.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sendmsg_addr, socket_with,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::{ClockId, clock_gettime};

use super::signals::Shutdown;

/// What a predecessor's process id is passed in.
pub const PREDECESSOR: &str = "ATOLL_PREDECESSOR";

/// What is said when only what the predecessor has is missing. systemd does not know it and ignores it.
pub const PREPARED: &str = "X_ATOLL_STAGE=prepared";

/// Sockets that are kept elsewhere, at most: one descriptor in each message.
pub const KEPT_MAX: usize = 128;

/// For the supervisor to take a message.
const LISTENS: Duration = Duration::from_millis(100);

/// Signs of life, where nobody asks for them at an interval of their own.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Signs of life within the time in which one is due.
const SIGNS: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub struct Supervisor {
    door: Option<Door>,
    every: Duration,
    predecessor: Option<OwnedFd>,
    kept: Mutex<Vec<(String, OwnedFd)>>,
    is_ready: AtomicBool,
}

#[derive(Debug)]
struct Door {
    socket: OwnedFd,
    to: SocketAddrUnix,
}

impl Supervisor {
    /// The one that the environment names, if it names one.
    #[must_use]
    pub fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let door = std::env::var("NOTIFY_SOCKET").ok();
        let asked = number("WATCHDOG_USEC").filter(|_| {
            let whose = number("WATCHDOG_PID");
            whose.is_none_or(|pid| pid == u64::from(std::process::id()))
        });
        let asked = asked.map(|micros| Duration::from_micros(micros) / SIGNS);
        let predecessor = number(PREDECESSOR).and_then(|pid| {
            let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
            // One that is gone already left everything.
            pidfd_open(pid, PidfdFlags::empty()).ok()
        });
        Self {
            door: door.and_then(|path| Door::open(&path).ok()),
            every: asked.unwrap_or(SIGN_OF_LIFE).min(SIGN_OF_LIFE),
            predecessor,
            ..Self::default()
        }
    }

    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether a process serves whose place this one is to take.
    #[must_use]
    pub const fn has_predecessor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Has a copy of this socket kept for the process that comes next, once this one is ready.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn keep(&self, name: &str, socket: impl AsFd) -> io::Result<()> {
        if self.door.is_none() {
            return Ok(());
        }
        let copy = socket.as_fd().try_clone_to_owned()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            let number = kept.iter().filter(|(other, _)| stem(other) == name).count();
            kept.push((format!("{name}.{number}"), copy));
        }
        Ok(())
    }

    /// Says that sockets of these names are not wanted any more.
    pub fn forget(&self, names: &[String]) {
        for name in names.iter().filter(|name| !name.is_empty()) {
            let _ = self.tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), None);
        }
    }

    /// Says that everything is prepared that a predecessor need not give up.
    pub fn prepared(&self) {
        if self.predecessor.is_some() {
            let _ = self.tell(PREPARED, None);
        }
    }

    /// Waits until the predecessor has ended, no longer than `patience`. Whether it has; that there was
    /// none is the same.
    pub async fn alone(&self, patience: Duration) -> bool {
        let Some(predecessor) = &self.predecessor else {
            return true;
        };
        let Ok(process) = predecessor.try_clone() else {
            return false;
        };
        let wait = tokio::task::spawn_blocking(move || ended(&process, patience));
        wait.await.unwrap_or(false)
    }

    /// Says that this process serves, and hands over what is to be kept.
    pub fn ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
        let _ = self.tell("READY=1", None);
        self.tell_sockets();
    }

    /// Says that this process is about to end.
    pub fn stopping(&self) {
        let _ = self.tell("STOPPING=1", None);
    }

    /// Says that settings are being read again; [`ready`](Self::ready) ends that.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec / 1_000);
        let _ = self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"), None);
    }

    /// Gives signs of life while the process serves, each after `work`, which is to go the way that the
    /// daemon's own work goes and says whether it could: if that hangs or fails, there is no sign.
    pub async fn live(&self, mut shutdown: Shutdown, mut work: impl FnMut() -> bool + Send) {
        if self.door.is_none() {
            return;
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = shutdown.draining() => return,
            }
            if work() {
                self.sign();
            }
        }
    }

    /// How often a sign of life is due; `None` if nobody waits for any.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        self.door.as_ref().map(|_| self.every)
    }

    /// One sign of life.
    pub fn sign(&self) {
        if self.is_ready.load(Ordering::Relaxed) {
            let _ = self.tell("WATCHDOG=1\nREADY=1", None);
            self.tell_sockets();
        } else {
            let _ = self.tell("WATCHDOG=1", None);
        }
    }

    fn tell_sockets(&self) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = kept.iter();
        // One that does not listen is not waited for once for each.
        let heard =
            all.all(|(name, socket)| self.tell(&format!("FDSTORE=1\nFDNAME={name}"), Some(socket)));
        if !heard {
            tracing::debug!("not all sockets are kept; they are offered again");
        }
    }

    /// Whether the supervisor was told. One that does not listen does no harm.
    fn tell(&self, text: &str, with: Option<&OwnedFd>) -> bool {
        let sent = self.door.as_ref().map(|door| door.send(text, with));
        if let Some(Err(error)) = &sent {
            tracing::debug!(%error, "the supervisor was not told");
        }
        matches!(sent, Some(Ok(())))
    }
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Whether the process ended within `patience`.
fn ended(process: &OwnedFd, patience: Duration) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    poll(&mut fds, patience.as_ref()).is_ok_and(|ended| ended > 0)
}

impl Door {
    fn open(path: &str) -> io::Result<Self> {
        let to = match path.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
            None => SocketAddrUnix::new(Path::new(path))?,
        };
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
        // Few messages wait in such a socket: sockets to keep may be more.
        set_socket_timeout(&socket, Timeout::Send, Some(LISTENS))?;
        Ok(Self { socket, to })
    }

    fn send(&self, text: &str, with: Option<&OwnedFd>) -> io::Result<()> {
        let with: Vec<_> = with.into_iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !with.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&with));
        }
        let bytes = [IoSlice::new(text.as_bytes())];
        let flags = SendFlags::NOSIGNAL;
        sendmsg_addr(&self.socket, &self.to, &bytes, &mut control, flags)?;
        Ok(())
    }
}
