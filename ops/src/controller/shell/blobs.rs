//! Programs, each in a file that is called after its BLAKE3.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::engine::document::release::PROGRAM_MAX;
use crate::engine::document::words::Digest;

/// Bytes read and sent at a time.
const PIECE: usize = 256 << 10;

/// Names of files that are not whole begin so.
const ASIDE: &str = ".tmp";

/// The directory of programs.
#[derive(Clone, Debug)]
pub(super) struct Blobs(PathBuf);

impl Blobs {
    /// The directory at `path`, made if need be. What was on its way when a controller was killed is removed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        for entry in fs::read_dir(path)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                drop(fs::remove_file(entry.path()));
            }
        }
        Ok(Self(path.to_owned()))
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.0.join(digest.to_string())
    }

    /// Whether it is here.
    pub(super) fn has(&self, digest: Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Takes a program in: whether its bytes are those of `digest`. Only then it is here.
    pub(super) async fn put(&self, digest: Digest, mut body: Body) -> io::Result<bool> {
        let aside = tempfile::Builder::new()
            .prefix(ASIDE)
            .tempfile_in(&self.0)?;
        let mut file = aside.as_file();
        let mut hasher = blake3::Hasher::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(io::Error::other)?.into_data() else {
                continue;
            };
            length += data.len() as u64;
            if length > PROGRAM_MAX {
                return Ok(false);
            }
            hasher.update(&data);
            file.write_all(&data)?;
        }
        if Digest::finish(&hasher) != digest {
            return Ok(false);
        }
        file.sync_all()?;
        aside.persist(self.path(digest))?;
        File::open(&self.0)?.sync_all()?;
        Ok(true)
    }

    /// Its length and its bytes, read as fast as they are taken.
    pub(super) fn get(&self, digest: Digest) -> io::Result<(u64, Body)> {
        let file = File::open(self.path(digest))?;
        let left = file.metadata()?.len();
        let next = Next::Idle(Some(file));
        Ok((left, Body::new(Pieces { left, next })))
    }
}

/// A file as a body. No thread waits for whoever takes it.
struct Pieces {
    left: u64,
    next: Next,
}

/// The next piece.
enum Next {
    Idle(Option<File>),
    Read(JoinHandle<io::Result<(File, Bytes)>>),
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = loop {
            match &mut self.next {
                // Idle ⇒ Read
                Next::Idle(file) => match file.take() {
                    Some(file) => self.next = Next::Read(spawn_blocking(|| piece(file))),
                    None => return Poll::Ready(None),
                },
                // Read ⇒ Idle
                Next::Read(read) => break ready!(Pin::new(read).poll(context)),
            }
        };
        self.next = Next::Idle(None);
        match piece.map_err(io::Error::other).flatten() {
            Ok((_, bytes)) if bytes.is_empty() => Poll::Ready(None),
            Ok((file, bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                self.next = Next::Idle(Some(file));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn piece(mut file: File) -> io::Result<(File, Bytes)> {
    let mut piece = vec![0; PIECE];
    let read = file.read(&mut piece)?;
    piece.truncate(read);
    Ok((file, Bytes::from(piece)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_here_once_it_is_whole_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let left = dir.path().join(".tmpleft");
        fs::write(&left, "half").unwrap();
        let bytes = vec![7; 3 * PIECE / 2];
        let digest = Digest::of(&bytes);
        let blobs = Blobs::open(dir.path()).unwrap();
        assert!(!left.exists());
        assert!(!blobs.put(digest, Body::from("other")).await.unwrap());
        assert!(!blobs.has(digest));
        assert!(blobs.put(digest, Body::from(bytes.clone())).await.unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let (length, body) = blobs.get(digest).unwrap();
        let got = body.collect().await.unwrap().to_bytes();
        assert_eq!((length, got), (bytes.len() as u64, Bytes::from(bytes)));
        assert!(Blobs::open(dir.path()).unwrap().has(digest));
    }
}
