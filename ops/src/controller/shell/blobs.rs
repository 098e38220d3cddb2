//! Programs, each in a file that is called after its BLAKE3.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;

use crate::engine::document::release::PROGRAM_MAX;
use crate::engine::document::words::Digest;

/// Bytes read and sent at a time.
const PIECE: usize = 64 << 10;

/// Pieces read ahead of the network.
const AHEAD: usize = 4;

/// The directory of programs.
#[derive(Clone, Debug)]
pub(super) struct Blobs(PathBuf);

impl Blobs {
    /// The directory at `path`, made if need be.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
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
        let aside = tempfile::NamedTempFile::new_in(&self.0)?;
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
        Ok(true)
    }

    /// Its length and its bytes, read as fast as they are taken.
    pub(super) fn get(&self, digest: Digest) -> io::Result<(u64, Body)> {
        let mut file = File::open(self.path(digest))?;
        let length = file.metadata()?.len();
        let (to, pieces) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = match file.read(&mut piece) {
                    Ok(0) => return,
                    Ok(read) => {
                        piece.truncate(read);
                        Ok(Bytes::from(piece))
                    }
                    Err(error) => Err(error),
                };
                let last = read.is_err();
                if to.blocking_send(read).is_err() || last {
                    return;
                }
            }
        });
        Ok((length, Body::new(Pieces(pieces))))
    }
}

/// A body that comes in pieces from another thread.
struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
