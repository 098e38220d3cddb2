//! The agent's directory.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use common::clock::WallTime;
use common::shell::aside::{self, Outlives};
use rustix::fs::{FlockOperation, flock};

use crate::agent::engine::life::Berth;
use crate::agent::engine::record::{self, DamageReason, RECORD_MAX};
use crate::agent::engine::standing::Standing;
use crate::engine::document::words::{DaemonName, Version};

/// Longest text of a hold, in bytes.
const HOLD_MAX: usize = 200;

/// What was found on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The standing that counts, with its number.
    pub newest: Option<(u64, Standing)>,
    /// What is wrong with copies that are not whole.
    pub damage: Vec<(PathBuf, DamageReason)>,
}

impl Found {
    /// The standing to go on with, and its number. Where there is none, and none can have been, that is the
    /// first one.
    ///
    /// # Errors
    /// There is one that cannot be read, or not by this program. To go on without it would be to forget it.
    pub fn standing(self) -> Result<(u64, Standing), DamageReason> {
        let is = |reason| self.damage.iter().any(|(_, found)| *found == reason);
        if is(DamageReason::Content) {
            return Err(DamageReason::Content);
        }
        // Both copies were written for each standing, but where the disk failed before.
        match self.newest {
            None if is(DamageReason::Unreadable) => Err(DamageReason::Unreadable),
            newest => Ok(newest.unwrap_or_default()),
        }
    }
}

/// The directory of a node's agent.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The directory at `path`.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the directory and those in it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> io::Result<()> {
        for dir in ["", "slots", "run", "log"] {
            let dir = self.0.join(dir);
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        Ok(())
    }

    /// Takes the directory for this process alone, until it ends.
    ///
    /// # Errors
    /// Another agent has it.
    pub fn take(&self) -> io::Result<File> {
        let lock = File::options()
            .create(true)
            .append(true)
            .open(self.0.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(lock)
    }

    /// The node's private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.0.join("agent.key")
    }

    /// The socket for the operator.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> PathBuf {
        self.0.join("slots")
    }

    /// The slot of a version.
    #[must_use]
    pub fn slot(&self, version: &Version) -> PathBuf {
        self.slots().join(version.to_string())
    }

    /// A daemon's log.
    #[must_use]
    pub fn log(&self, name: &DaemonName) -> PathBuf {
        self.0.join("log").join(format!("{name}.log"))
    }

    /// The socket for what daemons say of themselves.
    #[must_use]
    pub fn notices(&self) -> PathBuf {
        self.0.join("run").join("notify")
    }

    /// The file whose lock a daemon's process holds, and the one that says which process it is.
    #[must_use]
    pub fn run_files(&self, name: &DaemonName, berth: Berth) -> (PathBuf, PathBuf) {
        let stem = match berth.number() {
            0 => name.to_string(),
            number => format!("{name}.{number}"),
        };
        let file = |extension: &str| self.0.join("run").join(format!("{stem}.{extension}"));
        (file("lock"), file("json"))
    }

    /// The names of daemons that ever ran here, and which of their processes did.
    pub fn daemons(&self) -> impl Iterator<Item = (DaemonName, Berth)> {
        let entries = fs::read_dir(self.0.join("run"))
            .into_iter()
            .flatten()
            .flatten();
        entries.filter_map(|entry| {
            let name = entry.file_name();
            let stem = name.to_str()?.strip_suffix(".json")?;
            let (name, number) = stem.split_once('.').unwrap_or((stem, "0"));
            let berth = Berth::new(number.parse().ok()?)?;
            Some((DaemonName::parse(name).ok()?, berth))
        })
    }

    /// Why the operator holds the node; `None` if nobody does.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        let file = File::open(self.0.join("hold")).ok()?;
        let mut bytes = Vec::new();
        // What cannot be read is a hold all the same.
        drop(file.take(HOLD_MAX as u64).read_to_end(&mut bytes));
        let why = String::from_utf8_lossy(&bytes);
        Some(words(why.trim()))
    }

    /// Holds the node.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn hold(&self, why: &str) -> io::Result<()> {
        aside::replace(&self.0.join("hold"), words(why).as_bytes(), Outlives::Power)
    }

    /// Lifts the hold: whether there was one.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn resume(&self) -> io::Result<bool> {
        match fs::remove_file(self.0.join("hold")) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn copies(&self) -> [PathBuf; 2] {
        [0, 1].map(|n| self.0.join(format!("state.{n}")))
    }

    /// The standing on the disk with its number, and what is wrong with copies that are not whole.
    #[must_use]
    pub fn load(&self) -> Found {
        let paths = self.copies();
        let bytes = paths.clone().map(|path| read(&path));
        let damage = paths.into_iter().zip(&bytes).filter_map(|(path, bytes)| {
            let reason = match bytes {
                Ok(bytes) => record::decode(bytes).err()?,
                Err(_) => DamageReason::Unreadable,
            };
            Some((path, reason))
        });
        let damage = damage.collect();
        let [one, two] = bytes.map(Result::unwrap_or_default);
        let newest = record::choose([&one, &two]);
        Found { newest, damage }
    }

    /// What an agent that starts goes on with, one start further; and the number under which it was written.
    ///
    /// # Errors
    /// As [`Found::standing`].
    pub fn begin(&self, today: WallTime) -> Result<(u64, Standing), DamageReason> {
        let found = self.load();
        for (path, reason) in &found.damage {
            let first = found.newest.is_none() && *reason == DamageReason::Missing;
            if !first {
                tracing::warn!(path = %path.display(), reason = reason.as_str(), "a copy of the state is not whole");
            }
        }
        let (sequence, standing) = found.standing()?;
        let standing = standing.begin(u64::try_from(today.unix()).unwrap_or_default());
        if let Err(error) = self.keep(sequence + 1, &standing) {
            // The next start may have this number again, unless the calendar went on.
            tracing::warn!(%error, "the state cannot be written");
        }
        Ok((sequence + 1, standing))
    }

    /// Writes the standing down, twice: the second copy is touched once the first is on the disk. One copy is
    /// enough, since the next start would follow it.
    ///
    /// # Errors
    /// It cannot be written, and the next start finds the standing of before.
    pub fn keep(&self, sequence: u64, standing: &Standing) -> io::Result<()> {
        let bytes = record::encode(sequence, standing);
        let [one, two] = self
            .copies()
            .map(|path| aside::replace(&path, &bytes, Outlives::Power));
        let Err(error) = one.and(two) else {
            return Ok(());
        };
        let newest = self.load().newest.map(|(newest, _)| newest);
        if newest != Some(sequence) {
            return Err(error);
        }
        tracing::warn!(%error, "only one copy of the state was written");
        Ok(())
    }
}

/// What of a text fits into a report.
fn words(text: &str) -> String {
    let mut words = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if words.len() + c.len_utf8() > HOLD_MAX {
            break;
        }
        words.push(c);
    }
    words
}

/// The bytes of a copy; none if there is no such file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(RECORD_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_damaged_copy_is_told_and_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(home.load().newest, None);
        home.keep(4, &Standing::default()).unwrap();
        home.keep(5, &Standing::default()).unwrap();
        fs::write(dir.path().join("state.0"), "atoll").unwrap();
        let Found { newest, damage } = home.load();
        assert_eq!(newest, Some((5, Standing::default())));
        assert_eq!(damage, [(dir.path().join("state.0"), DamageReason::Head)]);
    }

    #[test]
    fn a_state_that_cannot_be_read_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!(home.load().standing(), Ok((0, Standing::default())));
        let [one, two] = home.copies();
        // Reading a directory is an error of input and output.
        fs::create_dir(&one).unwrap();
        assert_eq!(home.load().standing(), Err(DamageReason::Unreadable));
        fs::write(&two, record::encode(4, &Standing::default())).unwrap();
        assert_eq!(home.load().standing(), Ok((4, Standing::default())));
        fs::remove_dir(&one).unwrap();
        let json = "{\"novel\":1}";
        let digest = blake3::hash(format!("5\n{json}").as_bytes());
        fs::write(&one, format!("atoll-agent-state 1 5 {digest}\n{json}\n")).unwrap();
        assert_eq!(home.load().standing(), Err(DamageReason::Content));
    }

    #[test]
    fn each_start_has_a_higher_number_also_after_the_state_was_lost() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let today = WallTime::from_unix(1_800_000_000);
        let (sequence, first) = home.begin(today).unwrap();
        assert_eq!((sequence, first.boot), (1, 1_800_000_000));
        let yesterday = WallTime::from_unix(1_799_900_000);
        let (sequence, second) = home.begin(yesterday).unwrap();
        assert_eq!((sequence, second.boot), (2, first.boot + 1));
        home.copies()
            .iter()
            .for_each(|copy| fs::remove_file(copy).unwrap());
        let (_, third) = home.begin(WallTime::from_unix(1_800_000_060)).unwrap();
        assert!(third.boot > second.boot);
        // A disk that takes nothing is no reason not to look after what runs.
        fs::remove_file(&home.copies()[0]).unwrap();
        fs::create_dir(&home.copies()[0]).unwrap();
        assert!(home.begin(today).unwrap().1.boot > third.boot);
    }

    #[test]
    fn what_the_next_start_would_follow_is_kept_and_nothing_else() {
        let standing = |boot| Standing {
            boot,
            ..Standing::default()
        };
        for blocked in [&["state.0"][..], &["state.1"], &["state.0", "state.1"]] {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::at(dir.path());
            home.keep(1, &standing(1)).unwrap();
            // A directory is in the way of the file that is written aside.
            for name in blocked {
                fs::create_dir(dir.path().join(format!("{name}.aside"))).unwrap();
            }
            let kept = home.keep(2, &standing(2)).is_ok();
            let (_, found) = home.load().standing().unwrap();
            assert_eq!(kept, found.boot == 2, "{blocked:?}");
            assert_eq!(kept, blocked.len() == 1, "{blocked:?}");
        }
    }

    #[test]
    fn one_directory_has_one_agent() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let taken = home.take().unwrap();
        assert!(home.take().is_err());
        drop(taken);
        assert!(home.take().is_ok());
    }

    #[test]
    fn a_hold_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        assert_eq!((home.held(), home.resume().unwrap()), (None, false));
        home.hold("disk\nbeing\nreplaced").unwrap();
        assert_eq!(home.held().as_deref(), Some("diskbeingreplaced"));
        assert!(home.resume().unwrap());
        assert_eq!(home.held(), None);
        // Written by hand, it is cut to what a report may say.
        fs::write(
            dir.path().join("hold"),
            [b"two\nlines\xff".as_slice(), &[0xff; 300]].concat(),
        )
        .unwrap();
        let held = home.held().unwrap();
        assert!(
            held.starts_with("twolines") && held.len() <= HOLD_MAX,
            "{held}"
        );
    }
}
