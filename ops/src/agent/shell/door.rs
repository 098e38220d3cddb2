//! The socket for the operator: whoever may open it is told how the node is, and nothing more.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use super::happening::Happening;
use crate::agent::engine::report::View;

/// For an agent on this machine to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest view read, in bytes.
const VIEW_MAX: u64 = 1 << 20;

/// Opens the socket; one of an agent that is gone is replaced.
pub(super) fn open(path: &Path) -> io::Result<UnixListener> {
    // The directory is this process's alone, so nobody listens there.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => UnixListener::bind(path),
    }
}

/// Answers whoever asks, one after the other.
pub(super) async fn serve(listener: UnixListener, to: mpsc::Sender<Happening>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: wait until some are given back.
            tokio::time::sleep(PATIENCE).await;
            continue;
        };
        drop(tokio::time::timeout(PATIENCE, answer(stream, &to)).await);
    }
}

async fn answer(mut stream: UnixStream, to: &mpsc::Sender<Happening>) -> io::Result<()> {
    let (ask, told) = oneshot::channel();
    drop(to.send(Happening::Asked(ask)).await);
    if let Ok(view) = told.await {
        let text = serde_json::to_vec(&view)?;
        stream.write_all(&text).await?;
    }
    Ok(())
}

/// Asks the agent whose socket is `path` how it is.
///
/// # Errors
/// There is no agent, or it does not answer.
pub fn ask(path: &Path) -> io::Result<View> {
    let stream = StdUnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    stream.take(VIEW_MAX).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}
