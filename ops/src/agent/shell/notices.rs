//! What daemons say of themselves: the receiving side of `sd_notify(3)`, for this agent's own daemons.
//!
//! The kernel says which process a message is from. Whoever it is has been let into the agent's directory,
//! which is its user's alone; a message of a process that the agent does not know is dropped all the same.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::path::Path;

use common::shell::supervisor::PREPARED;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

use super::happening::{Happening, Message};
use crate::agent::engine::life::Notice;

/// Longest message read, in bytes; daemons say a few words.
const MESSAGE_MAX: usize = 4 << 10;

/// Descriptors of one message, at most.
const SOCKETS_MAX: usize = 4;

/// Opens the socket; one of an agent that is gone is replaced.
pub(super) fn open(path: &Path) -> io::Result<UnixDatagram> {
    drop(std::fs::remove_file(path));
    let socket = StdUnixDatagram::bind(path)?;
    set_socket_passcred(&socket, true)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// Tells the loop what daemons say.
pub(super) async fn serve(socket: UnixDatagram, to: mpsc::Sender<Happening>) {
    loop {
        let read = socket.async_io(Interest::READABLE, || receive(&socket));
        match read.await {
            Ok(Some(message)) => drop(to.send(Happening::Told(message)).await),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "daemons are not heard any more");
                return;
            }
        }
    }
}

/// The next message; `None` for one that does not say whose it is.
fn receive(socket: &UnixDatagram) -> io::Result<Option<Message>> {
    let mut bytes = [0; MESSAGE_MAX];
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let read = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        flags,
    )?;
    let (mut pid, mut sockets) = (None, Vec::new());
    for part in control.drain() {
        match part {
            RecvAncillaryMessage::ScmCredentials(from) => {
                pid = u32::try_from(from.pid.as_raw_nonzero().get()).ok();
            }
            RecvAncillaryMessage::ScmRights(rights) => sockets.extend(rights),
            _ => {}
        }
    }
    let text = bytes.get(..read.bytes).unwrap_or_default();
    let message = pid.map(|pid| understood(pid, &String::from_utf8_lossy(text), sockets));
    Ok(message)
}

fn understood(pid: u32, text: &str, sockets: Vec<OwnedFd>) -> Message {
    let has = |word: &str| text.lines().any(|line| line == word);
    let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
    let name = name.filter(|name| !name.contains(':')).map(str::to_owned);
    let stored = has("FDSTORE=1").then(|| name.clone()).flatten();
    let keep = stored.zip(sockets.into_iter().next());
    let said = [
        (PREPARED, Notice::Prepared),
        ("READY=1", Notice::Ready),
        ("WATCHDOG=1", Notice::Alive),
    ];
    let said = said.into_iter().filter(|(word, _)| has(word));
    let mut notices: Vec<_> = said.map(|(_, notice)| notice).collect();
    notices.extend(keep.is_some().then_some(Notice::Keeps));
    Message {
        pid,
        notices,
        keep,
        forget: name.filter(|_| has("FDSTOREREMOVE=1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_sd_notify() {
        let said = understood(7, "WATCHDOG=1\nREADY=1\nSTATUS=READY=1 soon", Vec::new());
        assert_eq!(said.notices, [Notice::Ready, Notice::Alive]);
        let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let kept = understood(7, "FDSTORE=1\nFDNAME=http.listen.0", vec![file()]);
        assert_eq!(kept.keep.unwrap().0, "http.listen.0");
        assert_eq!(kept.notices, [Notice::Keeps]);
        let gone = understood(7, "FDSTOREREMOVE=1\nFDNAME=a.0", Vec::new());
        assert_eq!(
            (gone.forget.as_deref(), gone.keep.is_none()),
            (Some("a.0"), true)
        );
        assert!(
            understood(7, "FDSTORE=1\nFDNAME=a:b", vec![file()])
                .keep
                .is_none()
        );
    }

    #[tokio::test]
    async fn a_message_says_whose_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = open(&path).unwrap();
        let from = StdUnixDatagram::unbound().unwrap();
        from.send_to(b"READY=1", &path).unwrap();
        let (tell, mut heard) = mpsc::channel(1);
        tokio::spawn(serve(socket, tell));
        let Some(Happening::Told(message)) = heard.recv().await else {
            panic!("something else happened");
        };
        assert_eq!(message.pid, std::process::id());
        assert_eq!(message.notices, [Notice::Ready]);
    }
}
