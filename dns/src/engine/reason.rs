//! Why a reply says what it says, and why a proxy is not named. Closed, for logs, metrics and tests.

use std::fmt;

/// Why a reply looks as it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// Addresses of proxies that are alive and of the asker's inner cluster, as measured.
    Hinted2,
    /// Addresses of proxies that are alive and of the asker's outer cluster, as measured.
    Hinted1,
    /// Addresses of the nearest proxies that are alive, as measured; none is very near.
    Hinted0,
    /// Addresses of proxies that are alive and, by the map, within the inner threshold of the asker, of
    /// whom nobody has measured anything.
    Mapped2,
    /// The same within the outer threshold.
    Mapped1,
    /// The same, the nearest there are.
    Mapped0,
    /// Addresses of proxies that are alive and of this server's own inner cluster: where the asker is
    /// is not known.
    Own2,
    /// Addresses of proxies that are alive and of this server's own outer cluster.
    Own1,
    /// Addresses of proxies that are alive, wherever they are.
    Live,
    /// Nobody is alive: addresses of the last that were.
    LastVerified,
    /// Nobody is alive: the configured anchors.
    Anchors,
    /// Nobody is alive and nothing stands in for them.
    NobodyAlive,
    /// Data of the zone itself: SOA, NS, addresses of name servers.
    ZoneData,
    /// A static record of the configuration.
    Static,
    /// An alias that leads out of the zones.
    Alias,
    /// A minimal answer to ANY (RFC 8482 §4.2).
    AnyMinimal,
    /// The name exists, the type does not (RFC 2308 §2.2).
    NoData,
    /// The name exists only because names below it do (RFC 8020, RFC 4592 §2.2.2).
    EmptyNonTerminal,
    /// No such name, and none below it (RFC 8020).
    NoSuchName,
    /// The name is not under the zone.
    OutOfZone,
    /// A class other than IN.
    Class,
    /// A zone transfer, which nobody gets.
    Transfer,
    /// An operation other than QUERY.
    Operation,
    /// Not exactly one question, or a question about OPT.
    Malformed,
    /// An EDNS version above 0 (RFC 6891 §6.1.3).
    EdnsVersion,
    /// As many signatures as allowed were made in this second.
    SigningLimit,
    /// No question but a cookie: the client wants one (RFC 7873 §5.4).
    CookieOnly,
    /// The neighbourhood has had its share: ask again by TCP.
    Limited,
    /// The stages contradicted each other; a fault of this program.
    Unsound,
}

impl Reason {
    /// Every reason, in the order of the counters.
    pub const ALL: [Self; 29] = [
        Self::Hinted2,
        Self::Hinted1,
        Self::Hinted0,
        Self::Mapped2,
        Self::Mapped1,
        Self::Mapped0,
        Self::Own2,
        Self::Own1,
        Self::Live,
        Self::LastVerified,
        Self::Anchors,
        Self::NobodyAlive,
        Self::ZoneData,
        Self::Static,
        Self::Alias,
        Self::AnyMinimal,
        Self::NoData,
        Self::EmptyNonTerminal,
        Self::NoSuchName,
        Self::OutOfZone,
        Self::Class,
        Self::Transfer,
        Self::Operation,
        Self::Malformed,
        Self::EdnsVersion,
        Self::SigningLimit,
        Self::CookieOnly,
        Self::Limited,
        Self::Unsound,
    ];

    /// Whether the answer would be better if it were known where the asker is.
    #[must_use]
    pub const fn is_a_choice(self) -> bool {
        matches!(
            self,
            Self::Hinted2
                | Self::Hinted1
                | Self::Hinted0
                | Self::Mapped2
                | Self::Mapped1
                | Self::Mapped0
                | Self::Own2
                | Self::Own1
                | Self::Live
        )
    }

    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hinted2 => "hinted_l2",
            Self::Hinted1 => "hinted_l1",
            Self::Hinted0 => "hinted_l0",
            Self::Mapped2 => "mapped_l2",
            Self::Mapped1 => "mapped_l1",
            Self::Mapped0 => "mapped_l0",
            Self::Own2 => "own_l2",
            Self::Own1 => "own_l1",
            Self::Live => "live",
            Self::LastVerified => "last_verified",
            Self::Anchors => "anchors",
            Self::NobodyAlive => "nobody_alive",
            Self::ZoneData => "zone_data",
            Self::Static => "static",
            Self::Alias => "alias",
            Self::AnyMinimal => "any_minimal",
            Self::NoData => "no_data",
            Self::EmptyNonTerminal => "empty_non_terminal",
            Self::NoSuchName => "no_such_name",
            Self::OutOfZone => "out_of_zone",
            Self::Class => "class",
            Self::Transfer => "transfer",
            Self::Operation => "operation",
            Self::Malformed => "malformed",
            Self::EdnsVersion => "edns_version",
            Self::SigningLimit => "signing_limit",
            Self::CookieOnly => "cookie_only",
            Self::Limited => "limited",
            Self::Unsound => "unsound",
        }
    }
}

/// Why a message gets no reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Silence {
    /// Too short to have a header: whom to reply to is not known.
    Short,
    /// It claims to be an answer; answering it makes two servers talk for ever.
    Response,
    /// The neighbourhood has had its share of replies.
    Limited,
}

impl Silence {
    /// Every silence, in the order of the counters.
    pub const ALL: [Self; 3] = [Self::Short, Self::Response, Self::Limited];

    /// The word for metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Response => "response",
            Self::Limited => "limited",
        }
    }
}

/// What a proxy was taken out for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fault {
    /// Its index missed two pings in a row.
    PingMissed,
    /// Its index answers but lists it no longer: the proxy's process is gone.
    ServiceGone,
    /// No connection to it could be opened.
    Connect,
    /// It did not answer a request in time.
    Timeout,
    /// It broke the connection off, or what it sent is no HTTP.
    Broken,
    /// It answered with a status other than 200.
    Status,
    /// It answered, but not with what the check page says.
    Body,
    /// It serves, but much more slowly than others and than it used to.
    Slow,
    /// It asked to be left alone.
    Draining,
    /// It serves, but not everybody.
    NotPublic,
}

impl Fault {
    /// Every fault, in the order of the counters.
    pub const ALL: [Self; 10] = [
        Self::PingMissed,
        Self::ServiceGone,
        Self::Connect,
        Self::Timeout,
        Self::Broken,
        Self::Status,
        Self::Body,
        Self::Slow,
        Self::Draining,
        Self::NotPublic,
    ];

    /// Whether the proxy wished it so, and is not broken.
    #[must_use]
    pub const fn is_wish(self) -> bool {
        matches!(self, Self::Draining | Self::NotPublic)
    }

    /// Whether it may be named for a while when nobody else is left: not if it asked to be left alone
    /// or is known to be gone.
    #[must_use]
    pub const fn may_stand_in(self) -> bool {
        !self.is_wish() && !matches!(self, Self::ServiceGone)
    }

    /// The word for logs, metrics and the state page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PingMissed => "ping_missed",
            Self::ServiceGone => "service_gone",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Status => "status",
            Self::Body => "body",
            Self::Slow => "slow",
            Self::Draining => "draining",
            Self::NotPublic => "not_public",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
