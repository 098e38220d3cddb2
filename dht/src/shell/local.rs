//! The local socket: who may connect, how many at once, one HTTP/1.1 server per connection.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::shell::cli::StartError;
use common::shell::inherited::Inherited;
use common::shell::signals::Shutdown;
use common::shell::supervisor::Supervisor;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::orders::Engine;
use super::routes;

/// Connections at once. A proxy under a crowd has one per command under way.
const CONNECTIONS_MAX: usize = 2_048;

/// For a whole request header.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// Time connections have to send the answers they owe when the engine has ended.
const FLUSH: Duration = Duration::from_millis(300);

/// The listening socket; its file goes with it.
#[derive(Debug)]
pub(super) struct Local {
    listener: UnixListener,
    path: PathBuf,
    /// Another process listens on it too: its file stays.
    shared: bool,
}

impl Local {
    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Listens at `path`, for its owner only. The socket of a dead daemon is replaced; that of a
    /// live one, or any other kind of file, is not.
    pub(super) async fn bind(
        path: &Path,
        (inherited, supervisor): (&mut Inherited, &Supervisor),
    ) -> Result<Self, StartError> {
        let fail =
            |what: String| StartError::Runtime(format!("local.socket {}: {what}", path.display()));
        if let Some(listener) = inherited.unix(path, &aside(path)) {
            let listener = UnixListener::from_std(listener);
            let listener = listener.and_then(|listener| {
                supervisor.keep("local.socket", &listener)?;
                Ok(listener)
            });
            return Ok(Self {
                listener: listener.map_err(|error| fail(error.to_string()))?,
                path: path.to_owned(),
                shared: false,
            });
        }
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => {
                return Err(fail(
                    "a file that is no socket is there; choose another path".into(),
                ));
            }
            Ok(_) if UnixStream::connect(path).await.is_ok() => {
                let advice =
                    "an index daemon already answers there; stop it or choose another path";
                return Err(fail(advice.into()));
            }
            _ => {}
        }
        let listener = listen(path).map_err(|error| {
            fail(format!(
                "{error}; its directory must exist and the path be under 100 bytes"
            ))
        })?;
        let kept = supervisor.keep("local.socket", &listener);
        kept.map_err(|error| fail(error.to_string()))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            shared: false,
        })
    }

    /// Serves until the process drains.
    pub(super) async fn serve(mut self, engine: Engine, mut shutdown: Shutdown) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let orders = engine.orders.clone();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = shutdown.draining() => break,
                // The engine has left the network for good.
                () = orders.closed() => break,
            };
            let Ok((stream, _)) = accepted else {
                // Out of descriptors, most likely: give others a moment to return some.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                tracing::warn!("too many local connections; one was closed");
                continue;
            };
            let (engine, shutdown) = (engine.clone(), shutdown.clone());
            tokio::spawn(async move {
                connection(stream, engine, shutdown).await;
                drop(permit);
            });
        }
        self.shared = shutdown.is_relieved();
        let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
        engine.orders.closed().await;
        drop(timeout(2 * FLUSH, permits.acquire_many(all)).await);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if !self.shared {
            // Already gone is fine: somebody tidied up.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Bound aside with its mode set and then renamed: never there with another mode, and a stale
/// socket is replaced in one step.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let aside = aside(path);
    drop(fs::remove_file(&aside));
    let listener = UnixListener::bind(&aside)?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))?;
    fs::rename(&aside, path)?;
    Ok(listener)
}

/// Where a socket is made before it gets its name.
fn aside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    PathBuf::from(aside)
}

/// Serves one client until it leaves. When the daemon ends, an answer being made is still sent.
async fn connection(stream: UnixStream, engine: Engine, mut shutdown: Shutdown) {
    let orders = engine.orders.clone();
    let service = service_fn(move |request| {
        let engine = engine.clone();
        async move { Ok::<_, std::convert::Infallible>(routes::respond(&engine, request).await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE);
    let mut served = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.draining() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served.as_mut() => ended,
                () = orders.closed() => timeout(FLUSH, served).await.unwrap_or(Ok(())),
            }
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a local connection broke off");
    }
}
