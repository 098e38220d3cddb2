//! Documents that an agent is given: number 9 is the node's key, number 1 the one that it trusts.

use std::collections::BTreeMap;

use common::rng::Generator;

use crate::engine::document::Signed;
use crate::engine::document::intent::{Intent, Wanted};
use crate::engine::document::key::SigningKey;
use crate::engine::document::release::{Binary, Manifest};
use crate::engine::document::words::{DaemonName, Digest, Program, RunState, Version};

/// Key number `seed`.
pub(super) fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&mut Generator::from_seed(seed))
}

/// The release of this version, with a proxy in it.
pub(super) fn manifest(version: &Version) -> Signed<Manifest> {
    let program = Binary {
        blake3: Digest::of(version.to_string().as_bytes()),
        length: 1,
    };
    let manifest = Manifest {
        version: version.clone(),
        generation: 2,
        binaries: BTreeMap::from([(Program::Proxy, program)]),
        settings: BTreeMap::new(),
    };
    Signed::seal(manifest, &key(1))
}

/// An intent for the node: a proxy of this release.
pub(super) fn intent(serial: u64, release: &str) -> Intent {
    let version = Version::parse(release).unwrap();
    let wanted = Wanted {
        program: Program::Proxy,
        release: version.clone(),
        state: RunState::Run,
        settings: BTreeMap::new(),
    };
    Intent {
        node: key(9).public(),
        serial,
        releases: BTreeMap::from([(version.clone(), manifest(&version).digest)]),
        daemons: BTreeMap::from([(DaemonName::parse("proxy").unwrap(), wanted)]),
        downgrade: false,
    }
}

/// The text of `intent`, signed by key number `seed`; the node trusts number 1.
pub(super) fn signed_by(seed: u64, intent: Intent) -> String {
    Signed::seal(intent, &key(seed)).text().to_owned()
}
