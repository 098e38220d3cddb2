//! Slots on a disk: which are used, which are removed, which are left alone.

use common::rng::Generator;

use super::*;
use crate::engine::document::key::SigningKey;

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Generator::from_seed(seed))
}

fn version() -> Version {
    Version::parse("1.0.0").unwrap()
}

/// A directory with a slot of release 1.0.0, signed by key number 1.
fn slot() -> (tempfile::TempDir, Home, Signed<Manifest>) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::at(dir.path());
    home.make().unwrap();
    let slot = home.slot(&version());
    fs::create_dir(&slot).unwrap();
    let program = slot.join(Program::Proxy.as_str());
    fs::write(&program, "program").unwrap();
    let manifest = Manifest {
        version: version(),
        generation: 2,
        binaries: BTreeMap::from([(Program::Proxy, measure(&program).unwrap())]),
        settings: BTreeMap::new(),
    };
    let manifest = Signed::seal(manifest, &key(1));
    fs::write(slot.join(MANIFEST), manifest.text()).unwrap();
    (dir, home, manifest)
}

/// Trusts key number `seed`; releases in force as given.
fn judge(seed: u64, followed: &[Digest]) -> Judge {
    Judge {
        followed: followed.iter().map(|digest| (version(), *digest)).collect(),
        trust: vec![key(seed).public()],
    }
}

#[test]
fn what_is_in_force_stays_when_its_signer_is_no_longer_trusted() {
    let (_dir, home, manifest) = slot();
    let after = judge(2, &[manifest.digest]);
    assert_eq!(list(&home, &after).len(), 1);
    assert!(program(&home, &version(), Program::Proxy, &after).is_ok());
    let asked = (&version(), manifest.digest);
    assert_eq!(here(&home, &after, asked), Some(manifest.clone()));
    // What never was in force is not used, and who trusts its signer again has it again.
    assert!(list(&home, &judge(2, &[])).is_empty());
    assert_eq!(here(&home, &judge(2, &[]), asked), None);
    assert_eq!(list(&home, &judge(1, &[])), [manifest]);
}

#[test]
fn what_cannot_be_read_now_is_left_alone() {
    let (_dir, home, manifest) = slot();
    let judge = judge(1, &[manifest.digest]);
    let path = home.slot(&version()).join(MANIFEST);
    fs::remove_file(&path).unwrap();
    // Reading a directory is an error of input and output.
    fs::create_dir(&path).unwrap();
    assert!(list(&home, &judge).is_empty());
    fs::remove_dir(&path).unwrap();
    let newer = manifest.text().replace("atoll-signed 1", "atoll-signed 2");
    fs::write(&path, newer).unwrap();
    assert!(list(&home, &judge).is_empty());
    fs::create_dir(home.slots().join("notes")).unwrap();
    fs::write(&path, manifest.text()).unwrap();
    assert_eq!(list(&home, &judge), [manifest]);
    assert!(home.slots().join("notes").exists());
}

#[test]
fn what_is_proven_wrong_or_half_made_is_removed() {
    for break_it in [
        |slot: &Path| fs::write(slot.join(Program::Proxy.as_str()), "other").unwrap(),
        |slot: &Path| fs::remove_file(slot.join(Program::Proxy.as_str())).unwrap(),
        |slot: &Path| fs::remove_file(slot.join(MANIFEST)).unwrap(),
        |slot: &Path| fs::write(slot.join(MANIFEST), "torn").unwrap(),
    ] {
        let (_dir, home, manifest) = slot();
        let slot = home.slot(&version());
        fs::create_dir(home.slots().join(".1.0.0")).unwrap();
        break_it(&slot);
        assert!(list(&home, &judge(1, &[manifest.digest])).is_empty());
        assert_eq!(fs::read_dir(home.slots()).unwrap().count(), 0);
    }
    let (_dir, home, _) = slot();
    let other = judge(1, &[Digest::of(b"other")]);
    assert!(list(&home, &other).is_empty() && !home.slot(&version()).exists());
}

/// A byte every so often, for ever.
struct Drip(std::pin::Pin<Box<tokio::time::Sleep>>);

/// Between two bytes: less than the silence that is borne.
const DRIP: Duration = Duration::from_millis(20);
const PATIENT: Pace = Pace {
    silence: Duration::from_secs(1),
    bytes_per_second: 1 << 20,
};

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        std::task::ready!(self.0.as_mut().poll(context));
        self.0.as_mut().reset(Instant::now() + DRIP);
        let frame = http_body::Frame::data(Bytes::from_static(b"x"));
        std::task::Poll::Ready(Some(Ok(frame)))
    }
}

#[tokio::test]
async fn a_program_that_comes_in_drops_is_given_up() {
    let drip = Drip(Box::pin(tokio::time::sleep(DRIP)));
    let file = || tempfile::tempfile().unwrap();
    let got = receive((drip, 1 << 20), file(), PATIENT).await;
    assert_eq!(got.unwrap_err().kind(), io::ErrorKind::TimedOut);
    let whole = http_body_util::Full::new(Bytes::from_static(b"program"));
    let got = receive((whole, 7), file(), PATIENT).await;
    assert_eq!(got.unwrap().length, 7);
}

#[test]
fn what_is_brought_takes_the_place_of_what_is_there() {
    let (_dir, home, _) = slot();
    let (aside, slot) = (home.slots().join(".1.0.0"), home.slot(&version()));
    for round in ["first", "second"] {
        fs::create_dir(&aside).unwrap();
        fs::write(aside.join(MANIFEST), round).unwrap();
        settle(&aside, &slot).unwrap();
        assert_eq!(fs::read_to_string(slot.join(MANIFEST)).unwrap(), round);
        assert!(!aside.exists());
        if round == "first" {
            fs::remove_dir_all(&slot).unwrap();
        }
    }
}
