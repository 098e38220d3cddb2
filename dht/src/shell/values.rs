//! The file of stored values: written when the daemon ends, read by the one that follows it.
//!
//! For the time between two processes alone: lives are counted by the machine's boot clock, and after a
//! boot, as after a crash, there is nothing to read. The values are then put again by those who put them,
//! as the protocol provides. A damaged or foreign file is a start without values.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use common::limits::VALUE_MAX;
use common::shell::aside::{self, Outlives};
use common::shell::boot;
use common::wire::codec::{DecodeError, Reader, Writer};

use crate::engine::store::Held;

const FILE: &str = "values";

/// What such a file begins with: its kind and version.
const MAGIC: &[u8; 8] = b"atollv1\n";

/// Largest file, in bytes: a full store of 64 MiB with as much again for keys.
const FILE_MAX: usize = 128 << 20;

/// Bytes of the check at the end.
const CHECK: usize = 32;

/// Writes `held` down in `dir`, which is made if it is missing.
///
/// # Errors
/// What the file system said, or that there is no clock to count by.
pub(super) fn save(dir: &Path, held: &[Held]) -> io::Result<()> {
    let (boot, since) = boot::now().ok_or_else(|| io::Error::other("no boot clock"))?;
    let bytes = encode(held, boot, since)?;
    fs::create_dir_all(dir)?;
    // What the machine loses with its power is of no use after it.
    aside::replace(&dir.join(FILE), &bytes, Outlives::Process)
}

/// The values that were written down in `dir` in this boot of the machine, less the time that has passed.
/// They are read once: the file is gone then.
pub(super) fn load(dir: &Path) -> Vec<Held> {
    let path = dir.join(FILE);
    let read = read(&path);
    drop(fs::remove_file(&path));
    match read {
        Ok(held) => held,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "stored values not read; going on without");
            Vec::new()
        }
    }
}

fn read(path: &Path) -> io::Result<Vec<Held>> {
    let mut bytes = Vec::new();
    let most = FILE_MAX as u64 + 1;
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_MAX {
        return Err(io::Error::other("larger than any such file"));
    }
    let Some((boot, now)) = boot::now() else {
        return Ok(Vec::new());
    };
    decode(&bytes, boot, now).map_err(io::Error::other)
}

fn encode(held: &[Held], boot: [u8; 16], since: Duration) -> io::Result<Vec<u8>> {
    let mut writer = Writer::sized(FILE_MAX - CHECK, 0);
    writer.put(MAGIC).put(&boot).u64(millis(since));
    for value in held {
        writer
            .put(value.key.as_bytes())
            .put(value.publisher.as_bytes())
            .u64(millis(value.left))
            .bytes16(&value.bytes);
    }
    let mut bytes = writer.finish().map_err(io::Error::other)?;
    let check = blake3::hash(&bytes);
    bytes.extend_from_slice(check.as_bytes());
    Ok(bytes)
}

/// The values in the bytes of such a file; none if they are of another boot.
fn decode(bytes: &[u8], boot: [u8; 16], now: Duration) -> Result<Vec<Held>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let Some((bytes, check)) = bytes.split_last_chunk::<CHECK>() else {
        return Err(reader.error("a check"));
    };
    if *blake3::hash(bytes).as_bytes() != *check {
        return Err(reader.error("the check that belongs to it"));
    }
    reader = Reader::new(bytes);
    if reader.array::<8>("a kind of file")? != *MAGIC {
        return Err(reader.error("values"));
    }
    if reader.array::<16>("a boot")? != boot {
        return Ok(Vec::new());
    }
    let written = Duration::from_millis(reader.u64("a time")?);
    let passed = now.saturating_sub(written);
    let mut held = Vec::new();
    while !reader.rest().is_empty() {
        let (key, publisher) = (reader.key("a key")?, reader.node_id("a publisher")?);
        let left = Duration::from_millis(reader.u64("a life")?).saturating_sub(passed);
        let bytes = reader.bytes16(VALUE_MAX, "a value")?.into();
        if !left.is_zero() {
            held.push(Held {
                key,
                publisher,
                left,
                bytes,
            });
        }
    }
    Ok(held)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use common::ids::{Key, NodeId};

    use super::*;

    const BOOT: [u8; 16] = [7; 16];

    fn held() -> Vec<Held> {
        let value = |n: u8| Held {
            key: Key::of(&[n]),
            publisher: NodeId::of(([127, 0, 0, n], 1).into()),
            left: Duration::from_secs(u64::from(n) * 10),
            bytes: vec![n; usize::from(n)].into(),
        };
        (1..=3).map(value).collect()
    }

    #[test]
    fn values_come_back_with_what_is_left_of_them() {
        let at = |seconds| Duration::from_secs(seconds);
        let bytes = encode(&held(), BOOT, at(100)).unwrap();
        let mut expected = held().split_off(1);
        for value in &mut expected {
            value.left -= at(10);
        }
        assert_eq!(decode(&bytes, BOOT, at(110)).unwrap(), expected);
        assert_eq!(decode(&bytes, [8; 16], at(110)).unwrap(), []);
    }

    #[test]
    fn a_file_that_is_not_whole_is_none() {
        let bytes = encode(&held(), BOOT, Duration::ZERO).unwrap();
        for cut in [0, 10, 40, bytes.len() - 1] {
            assert!(decode(&bytes[..cut], BOOT, Duration::ZERO).is_err());
        }
        let mut damaged = bytes;
        damaged[50] ^= 1;
        assert!(decode(&damaged, BOOT, Duration::ZERO).is_err());
    }

    #[test]
    fn what_is_kept_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(dir.path()).is_empty());
        save(dir.path(), &held()).unwrap();
        assert_eq!(load(dir.path()).len(), 3);
        assert!(load(dir.path()).is_empty());
    }
}
