//! Why a node is not brought to a step.

use super::Step;
use super::seen::Wait;
use crate::engine::document::words::{DaemonName, Program, Version};

/// Why a node is not brought to a step. Whatever it is, nothing was ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is another step in between.
    Skips(Step, Step),
    /// It has an index of its own for more networks than two.
    ManyIndexes,
    /// It has two indexes, and no daemon that asks one of them.
    NobodyAsks,
    /// Its order is none that a step makes.
    Unclear,
    /// A daemon asks an index that the order does not have.
    AsksAnother(DaemonName),
    /// Its daemons are of more than one release.
    MixedReleases,
    /// A daemon has another file with the network's secret than the index.
    MixedSecrets(DaemonName),
    /// The index does not have a setting that is needed.
    Unset(&'static str),
    /// A setting of the index is no address.
    NoAddress(&'static str),
    /// With the offset a port is none.
    PortRange(&'static str),
    /// A daemon of the node has the port already.
    PortTaken(&'static str, DaemonName),
    /// A daemon of the node has the path already.
    PathTaken(&'static str, DaemonName),
    /// No Unix socket can have so long a path.
    SocketTooLong,
    /// Another daemon of the node has the name, or it is none.
    NameTaken(String),
    /// The controller does not have the release.
    UnknownRelease(Version),
    /// The release does not have a program that the node runs.
    NoSuchProgram(Program),
    /// The release is older than what the node runs.
    OlderRelease(Version),
    /// The new network would be the old one.
    SameNetwork,
    /// The node has not come to where it was ordered before.
    NotThere(Wait),
    /// Its old index has not looked for long enough to say who is left behind.
    Measuring,
    /// Proxies are in the old network alone, as far as its old index knows.
    Stragglers(Vec<String>, u64),
    /// Its old index is still asked.
    NotLeft,
}

impl Refusal {
    /// The word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Skips(..) => "skips_a_step",
            Self::ManyIndexes => "many_indexes",
            Self::NobodyAsks => "nobody_asks",
            Self::Unclear => "unclear",
            Self::AsksAnother(_) => "asks_another",
            Self::MixedReleases => "mixed_releases",
            Self::MixedSecrets(_) => "mixed_secrets",
            Self::Unset(_) => "unset",
            Self::NoAddress(_) => "no_address",
            Self::PortRange(_) => "port_range",
            Self::PortTaken(..) => "port_taken",
            Self::PathTaken(..) => "path_taken",
            Self::SocketTooLong => "socket_too_long",
            Self::NameTaken(_) => "name_taken",
            Self::UnknownRelease(_) => "unknown_release",
            Self::NoSuchProgram(_) => "no_such_program",
            Self::OlderRelease(_) => "older_release",
            Self::SameNetwork => "same_network",
            Self::NotThere(_) => "not_there",
            Self::Measuring => "measuring",
            Self::Stragglers(..) => "stragglers",
            Self::NotLeft => "not_left",
        }
    }

    /// What is wrong, for people.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Skips(from, to) => {
                format!(
                    "is {}, and {} is not the next step",
                    from.as_str(),
                    to.as_str()
                )
            }
            Self::ManyIndexes => "has more than two indexes".to_owned(),
            Self::NobodyAsks => "has two indexes and nobody who asks one".to_owned(),
            Self::Unclear => "has an order that is none of the steps".to_owned(),
            Self::AsksAnother(daemon) => {
                format!("{daemon} asks an index that the order does not have")
            }
            Self::MixedReleases => "runs more than one release".to_owned(),
            Self::MixedSecrets(daemon) => {
                format!("{daemon} has another network.secret_file than the index")
            }
            Self::Unset(setting) => format!("its index has no {setting}"),
            Self::NoAddress(setting) => format!("{setting} of its index is no address and port"),
            Self::PortRange(setting) => {
                format!("{setting} of the new index has no port with this offset")
            }
            Self::PortTaken(setting, daemon) => {
                format!("{setting} of the new index is where {daemon} listens")
            }
            Self::PathTaken(setting, daemon) => {
                format!("{setting} of the new index is {daemon}'s")
            }
            Self::SocketTooLong => {
                "the path of the new index's local.socket is too long".to_owned()
            }
            Self::NameTaken(name) => format!("{name} cannot be the name of the new index"),
            Self::UnknownRelease(version) => format!("the controller has no release {version}"),
            Self::NoSuchProgram(program) => format!("the release has no {}", program.as_str()),
            Self::OlderRelease(version) => format!("{version} is older than what it runs"),
            Self::SameNetwork => "the new network would be the old one".to_owned(),
            Self::NotThere(wait) => {
                format!("has not come to where it was ordered: {}", wait.text())
            }
            Self::Measuring => "its old index has yet to see who is left".to_owned(),
            Self::Stragglers(named, count) => {
                let more = count.saturating_sub(named.len() as u64);
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                format!("its old index knows stragglers: {}{more}", named.join(", "))
            }
            Self::NotLeft => "its old index has not left yet".to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Skips(..) => "bring it through the steps in between, one after the other",
            Self::ManyIndexes | Self::NobodyAsks | Self::Unclear => {
                "look at `atoll node show`, and order it by hand with `atoll node order`"
            }
            Self::AsksAnother(_) => "set its index.socket to the index's local.socket first",
            Self::MixedReleases => {
                "bring all its daemons to one release first, with `atoll rollout` or `atoll node order`"
            }
            Self::MixedSecrets(_) => "name the same file at both first",
            Self::Unset(_) | Self::NoAddress(_) => "set it in the order first",
            Self::PortRange(_) | Self::PortTaken(..) => "choose another --port-offset, or --set it",
            Self::PathTaken(..) | Self::SocketTooLong => "choose another with --set",
            Self::NameTaken(_) => "give that daemon another name in the order first",
            Self::UnknownRelease(_) => "publish it first with `atoll release publish`",
            Self::NoSuchProgram(_) => "sign and publish one that has all programs",
            Self::OlderRelease(_) => "add --downgrade if that is meant",
            Self::SameNetwork => {
                "name what is new: --secret-file, a --release of another wire generation, or --set index.kind=KIND"
            }
            Self::NotThere(_) => "wait for it with --patience, or add --anyway",
            Self::Measuring => {
                "wait a minute (the old index's retire.window), or let --patience wait"
            }
            Self::Stragglers(..) => {
                "bring them to dual, or let --patience wait; with --anyway what they keep is not found"
            }
            Self::NotLeft => "let --patience wait, or add --anyway: others still ask it",
        }
    }

    /// Whether time alone may mend it.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::NotThere(_) | Self::Measuring | Self::Stragglers(..) | Self::NotLeft
        )
    }
}
