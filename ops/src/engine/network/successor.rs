//! The index of a new network beside that of the old one: its release, its secret, its place.
//!
//! An index has two places on a node, and networks take them in turn: NAME and NAME-b, with the paths and ports to match.
//! So a second move comes back to the ports of before the first one.

use std::net::SocketAddr;

use super::refusal::Refusal;
use super::stand::{ASKS, Named, SOCKET, Stand, setting};
use super::{Daemons, Releases};
use crate::engine::document::intent::{SettingsMap, Wanted};
use crate::engine::document::words::{DaemonName, Program, RunState, Version};

/// What the second place has more in its names than the first.
const SECOND: &str = "-b";

/// Ports between the two places, unless an operator says otherwise.
const PORTS: i32 = 100;

/// Longest path of a Unix socket, in bytes (unix(7)).
const SOCKET_MAX: usize = 107;

/// The file with the secret of a daemon's network.
pub(super) const SECRET: &str = "network.secret_file";

/// Where other indexes reach one.
const UDP: &str = "udp.listen";

/// Where an index's pages are.
const ADMIN: &str = "admin.listen";

/// Where an index keeps what it is to know after a restart.
const STATE: &str = "state.dir";

/// Whom an index joins through.
const SEEDS: &str = "join.seeds";

/// Settings of an index that are addresses, beside its seeds.
const ADDRESSES: [&str; 3] = [UDP, "udp.advertise", ADMIN];

/// What the new network is, as an operator says it. What is left out is as in the old one.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Successor {
    /// The release of its programs.
    pub release: Option<Version>,
    /// The file with its secret, on every node.
    pub secret_file: Option<String>,
    /// Nodes to join through; those of the old one at their new ports, if nobody says.
    pub seeds: Vec<SocketAddr>,
    /// How many ports further on the new index is; 100 from the first place to the second, and back.
    pub port_offset: Option<i32>,
    /// More settings of the new index.
    pub settings: SettingsMap,
    /// Whether an older release than runs is meant.
    pub downgrade: bool,
}

impl Successor {
    /// The new index of a node that stands so.
    pub(super) fn beside(
        &self,
        stand: &Stand<'_>,
        daemons: &Daemons,
        releases: &Releases,
    ) -> Result<(DaemonName, Wanted), Refusal> {
        let (old_name, old) = stand.old;
        self.fits(stand, daemons, releases)?;
        let text = other_name(old_name.as_str());
        let name = DaemonName::parse(&text).map_err(|_| Refusal::NameTaken(text.clone()))?;
        let is_it = stand.new.is_some_and(|(new, _)| *new == name);
        if daemons.contains_key(&name) && !is_it {
            return Err(Refusal::NameTaken(text));
        }
        let release = self.release.as_ref().unwrap_or(&old.release);
        let wanted = Wanted {
            program: Program::Dht,
            release: release.clone(),
            state: RunState::Run,
            settings: self.settings(old_name, old, releases)?,
        };
        let others = daemons.iter().filter(|(other, _)| **other != name);
        is_free(&wanted, others, releases)?;
        Ok((name, wanted))
    }

    /// Whether this node can go there at all.
    fn fits(
        &self,
        stand: &Stand<'_>,
        daemons: &Daemons,
        releases: &Releases,
    ) -> Result<(), Refusal> {
        let old = stand.old.1;
        let others = daemons
            .iter()
            .filter(|(name, _)| stand.new.is_none_or(|new| new.0 != *name));
        let release = self.release.as_ref().unwrap_or(&old.release);
        let manifest = releases.get(release);
        let manifest = manifest.ok_or_else(|| Refusal::UnknownRelease(release.clone()))?;
        let secret = setting(old, releases, SECRET).ok_or(Refusal::Unset(SECRET))?;
        for (name, wanted) in others {
            if wanted.release != old.release {
                return Err(Refusal::MixedReleases);
            }
            if !manifest.binaries.contains_key(&wanted.program) {
                return Err(Refusal::NoSuchProgram(wanted.program));
            }
            let theirs = setting(wanted, releases, SECRET);
            let asks = setting(wanted, releases, ASKS).is_some();
            if asks && theirs.is_some_and(|theirs| theirs != secret) {
                return Err(Refusal::MixedSecrets(name.clone()));
            }
        }
        if *release < old.release && !self.downgrade {
            return Err(Refusal::OlderRelease(release.clone()));
        }
        let before = releases.get(&old.release);
        let before = before.ok_or_else(|| Refusal::UnknownRelease(old.release.clone()))?;
        let kind = self.settings.get("index.kind").map(String::as_str);
        let other_kind = kind
            .is_some_and(|kind| kind != setting(old, releases, "index.kind").unwrap_or("sloppy"));
        let other_secret = self
            .secret_file
            .as_deref()
            .is_some_and(|file| file != secret);
        if other_kind || other_secret || before.generation != manifest.generation {
            Ok(())
        } else {
            Err(Refusal::SameNetwork)
        }
    }

    /// The settings of the new index: the old one's, in the other place.
    fn settings(
        &self,
        name: &DaemonName,
        old: &Wanted,
        releases: &Releases,
    ) -> Result<SettingsMap, Refusal> {
        let mut settings = old.settings.clone();
        settings.retain(|name, _| !name.starts_with("retire."));
        let is_second = name.as_str().ends_with(SECOND);
        let usual = if is_second { -PORTS } else { PORTS };
        let offset = self.port_offset.unwrap_or(usual);
        for name in ADDRESSES {
            if let Some(addr) = setting(old, releases, name) {
                settings.insert(name.to_owned(), shifted(addr, offset, name)?);
            }
        }
        for name in [SOCKET, STATE] {
            if let Some(path) = setting(old, releases, name) {
                settings.insert(name.to_owned(), other_path(path));
            }
        }
        let seeds = match (setting(old, releases, SEEDS), self.seeds.is_empty()) {
            (_, false) => Some(self.seeds.iter().map(ToString::to_string).collect()),
            (None, true) => None,
            (Some(seeds), true) => {
                let each = seeds
                    .split(',')
                    .map(|seed| shifted(seed.trim(), offset, SEEDS));
                Some(each.collect::<Result<Vec<_>, _>>()?)
            }
        };
        if let Some(seeds) = seeds {
            settings.insert(SEEDS.to_owned(), seeds.join(","));
        }
        let secret = self
            .secret_file
            .as_deref()
            .or(setting(old, releases, SECRET));
        settings.insert(SECRET.to_owned(), secret.unwrap_or_default().to_owned());
        let more = self.settings.iter();
        settings.extend(more.map(|(name, value)| (name.clone(), value.clone())));
        for needed in [UDP, SOCKET] {
            if settings.get(needed).is_none_or(String::is_empty) {
                return Err(Refusal::Unset(needed));
            }
        }
        Ok(settings)
    }
}

/// Whether nobody else on the node has the ports and paths of the new index.
fn is_free<'a>(
    new: &Wanted,
    others: impl Iterator<Item = Named<'a>>,
    releases: &Releases,
) -> Result<(), Refusal> {
    let socket = new.settings.get(SOCKET).map(String::len);
    if socket.is_some_and(|length| length > SOCKET_MAX) {
        return Err(Refusal::SocketTooLong);
    }
    for (name, other) in others {
        let manifest = releases.get(&other.release);
        let of_release = manifest.and_then(|manifest| manifest.settings.get(&other.program));
        let names = other
            .settings
            .keys()
            .chain(of_release.into_iter().flat_map(SettingsMap::keys));
        for their in names {
            let Some(theirs) = setting(other, releases, their) else {
                continue;
            };
            let ours = |name: &str| new.settings.get(name).map(String::as_str);
            for port in [UDP, ADMIN] {
                if their.ends_with(".listen") && ours(port).is_some_and(|ours| meet(ours, theirs)) {
                    return Err(Refusal::PortTaken(port, name.clone()));
                }
            }
            // Whoever asks there is told of it by this very move.
            let owns = their == SOCKET || their.ends_with(".dir");
            for path in [SOCKET, STATE] {
                if owns
                    && ours(path).is_some_and(|ours| {
                        ours.trim_end_matches('/') == theirs.trim_end_matches('/')
                    })
                {
                    return Err(Refusal::PathTaken(path, name.clone()));
                }
            }
        }
    }
    Ok(())
}

/// Whether two listeners want one port of one address.
fn meet(one: &str, two: &str) -> bool {
    let parse = |text: &str| -> Vec<SocketAddr> {
        text.split(',')
            .filter_map(|addr| addr.trim().parse().ok())
            .collect()
    };
    let two = parse(two);
    parse(one).iter().any(|one| {
        two.iter().any(|two| {
            let any = one.ip().is_unspecified() || two.ip().is_unspecified();
            one.port() != 0 && one.port() == two.port() && (any || one.ip() == two.ip())
        })
    })
}

/// The address so many ports further on. Port 0 is any.
fn shifted(addr: &str, offset: i32, name: &'static str) -> Result<String, Refusal> {
    let mut addr: SocketAddr = addr.parse().map_err(|_| Refusal::NoAddress(name))?;
    if addr.port() != 0 {
        let port = i32::from(addr.port()).checked_add(offset);
        let port = port
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0);
        addr.set_port(port.ok_or(Refusal::PortRange(name))?);
    }
    Ok(addr.to_string())
}

/// The name of the other place.
fn other_name(name: &str) -> String {
    match name.strip_suffix(SECOND) {
        Some(first) => first.to_owned(),
        None => format!("{name}{SECOND}"),
    }
}

/// The path of the other place: `/run/index.sock` is `/run/index-b.sock` there.
fn other_path(path: &str) -> String {
    let path = path.trim_end_matches('/');
    let (dir, file) = path
        .rsplit_once('/')
        .map_or(("", path), |(dir, file)| (dir, file));
    let slash = if path.contains('/') { "/" } else { "" };
    match file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{dir}{slash}{}.{extension}", other_name(stem)),
        None => format!("{dir}{slash}{}", other_name(file)),
    }
}
