//! The demo origin's listener: carries out what [`route`](super::route) and
//! [`respond`](super::respond) decide.
//!
//! Bounds: [`CONNECTIONS_MAX`] connections, 10 s for a request header. A dead origin accepts
//! connections and closes them without a word, and cuts those it has.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::clock::{Clock as _, SystemClock};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::body::{Source, Stream};
use super::respond::{Head, Resource, media_type, respond};
use super::route::{RefusedReason, Route};
use super::state::State;

/// Connections at once; more are closed at once.
pub const CONNECTIONS_MAX: usize = 4_096;

/// For a whole request header.
const HEADER_DEADLINE: Duration = Duration::from_secs(10);

/// After an accept that failed, most likely for want of descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// What the origin serves.
#[derive(Debug)]
pub struct Site {
    root: PathBuf,
    /// When content is said to have been made: the start of the process, in Unix seconds.
    made: u64,
    state: Arc<State>,
}

impl Site {
    /// The site in directory `root`.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn new(root: &Path, clock: SystemClock, state: Arc<State>) -> io::Result<Self> {
        let made = u64::try_from(clock.wall().unix()).unwrap_or_default();
        let root = root.canonicalize()?;
        if root.is_dir() {
            Ok(Self { root, made, state })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>) -> Response<Stream> {
        let uri = request.uri();
        let route = Route::of(uri.path(), uri.query());
        self.state.count(route.class(), uri.path());
        let controls = self.state.controls();
        if !controls.delay.is_zero() {
            tokio::time::sleep(controls.delay).await;
        }
        let opened = match route {
            Route::Refused(reason) => Err(Miss::Refused(reason)),
            Route::Made { content, len, .. } => {
                let etag = content.etag(len);
                let media_type = media_type("made.bin");
                Ok((
                    Resource {
                        len,
                        etag,
                        modified: self.made,
                        media_type,
                    },
                    Source::Made(content),
                ))
            }
            Route::File(file) => self.open(&file).await,
        };
        match opened {
            Ok((resource, source)) => {
                let head = respond(request.method(), request.headers(), &resource);
                self.response(head, source, controls.rate)
            }
            Err(miss) => self.miss(request.method(), uri.path(), &miss),
        }
    }

    /// Opens a file below the root, following no link out of it.
    async fn open(&self, file: &Path) -> Result<(Resource, Source), Miss> {
        let path = tokio::fs::canonicalize(self.root.join(file))
            .await
            .map_err(|_| Miss::Missing)?;
        if !path.starts_with(&self.root) {
            return Err(Miss::Refused(RefusedReason::Traversal));
        }
        let opened = tokio::fs::File::open(&path)
            .await
            .map_err(|_| Miss::Missing)?;
        let metadata = opened.metadata().await.map_err(|_| Miss::Missing)?;
        if metadata.is_dir() {
            return Err(Miss::Directory);
        }
        let modified = u64::try_from(metadata.mtime()).unwrap_or_default();
        let len = metadata.len();
        let etag = format!("\"{modified:x}.{:x}-{len:x}\"", metadata.mtime_nsec());
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let media_type = media_type(&name.unwrap_or_default());
        Ok((
            Resource {
                len,
                etag,
                modified,
                media_type,
            },
            Source::File(opened),
        ))
    }

    fn response(&self, head: Head, source: Source, rate: Option<u64>) -> Response<Stream> {
        let mut response = Response::new(Stream::new(
            source,
            head.body,
            rate,
            Arc::clone(&self.state),
        ));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }

    fn miss(&self, method: &Method, path: &str, miss: &Miss) -> Response<Stream> {
        let mut headers = HeaderMap::new();
        let (status, text) = match miss {
            Miss::Refused(reason) => (reason.status(), format!("{}\n", reason.as_str())),
            Miss::Missing => (
                StatusCode::NOT_FOUND,
                "there is no such file here\n".to_owned(),
            ),
            Miss::Directory => {
                if let Ok(target) = HeaderValue::from_str(&format!("{path}/")) {
                    headers.insert(header::LOCATION, target);
                }
                (StatusCode::MOVED_PERMANENTLY, format!("{path}/\n"))
            }
        };
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, plain);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
        let length = if method == Method::HEAD {
            0
        } else {
            text.len() as u64
        };
        let head = Head {
            status,
            headers,
            body: 0..length,
        };
        self.response(head, Source::Text(Bytes::from(text)), None)
    }
}

/// Why there is nothing to serve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Miss {
    Refused(RefusedReason),
    Missing,
    /// A directory named without its final slash.
    Directory,
}

/// Serves `site` on `listener` for as long as the process runs.
pub async fn serve(listener: TcpListener, site: Arc<Site>) {
    let watch = site.state.watch();
    let dead = move || {
        let mut watch = watch.clone();
        async move {
            if watch.wait_for(|controls| controls.dead).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let answer = move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { site.answer(request).await }
    };
    accept(listener, answer, dead).await;
}

/// Accepts connections and answers their requests with `answer`, until `cut` completes for them.
pub(super) async fn accept<A, F, B, C, G>(listener: TcpListener, answer: A, cut: C)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error = io::Error> + Send + 'static,
    C: Fn() -> G,
    G: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            continue;
        };
        let (answer, cut) = (answer.clone(), cut());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = cut => {}
                () = connection(stream, answer) => {}
            }
            drop(permit);
        });
    }
}

async fn connection<A, F, B>(stream: TcpStream, answer: A)
where
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error = io::Error> + 'static,
{
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE);
    // A client that breaks off is its own affair.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}
