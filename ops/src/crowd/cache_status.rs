//! Where the answering proxy had a response from, by its Cache-Status field (RFC 9211). Pure.
//!
//! The field is a list with a member for each cache on the way, the one nearest to the client last
//! (§2). Only that one is read: what happened further away was its business.

/// Where the proxy that answered had the response from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Source {
    /// Its own cache, or a fetch it had already under way.
    Local,
    /// Another proxy.
    Peer,
    /// The origin.
    Origin,
    /// It does not say.
    Unknown,
}

impl Source {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Local, Self::Peer, Self::Origin, Self::Unknown];

    /// The word for tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Peer => "peer",
            Self::Origin => "origin",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the value of the field; several fields are joined with commas beforehand.
    #[must_use]
    pub fn of(field: &str) -> Self {
        let Some(member) = split(field, b',').pop() else {
            return Self::Unknown;
        };
        let parameters = split(member, b';');
        let mut source = Self::Unknown;
        for parameter in parameters.iter().skip(1) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, "?1"));
            match (name.trim(), value.trim()) {
                // Whoever waited for a fetch under way asked nobody.
                ("hit" | "collapsed", "?1") => return Self::Local,
                ("detail", detail) => source = of_detail(detail.trim_matches('"')),
                _ => {}
            }
        }
        source
    }
}

fn of_detail(detail: &str) -> Source {
    match detail {
        peer if peer.starts_with("peer") => Source::Peer,
        "origin" => Source::Origin,
        _ => Source::Unknown,
    }
}

/// Splits at `separator`, except inside quoted strings (RFC 9651 §3.3.3); parts are trimmed and
/// empty ones left out.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_member_nearest_to_the_client_decides() {
        let cases = [
            ("atoll; hit", Source::Local),
            ("atoll;hit;ttl=37", Source::Local),
            ("node1; fwd=miss; detail=origin", Source::Origin),
            ("node1; fwd=miss; detail=\"origin\"; stored", Source::Origin),
            ("node1; fwd=miss; detail=peer-L2", Source::Peer),
            ("node1; fwd=uri-miss; collapsed; detail=peer", Source::Local),
            ("node1; fwd=miss; collapsed=?0; detail=peer", Source::Peer),
            (
                "node1; fwd=miss; detail=origin, node2; fwd=miss; detail=peer",
                Source::Peer,
            ),
            ("node1; hit, node2; fwd=miss; detail=peer-L0", Source::Peer),
            ("\"a, b; hit\"; fwd=miss; detail=origin", Source::Origin),
            ("a; detail=\"x\\\"; hit\"; fwd=miss", Source::Unknown),
            ("a; fwd=miss", Source::Unknown),
            ("hit", Source::Unknown),
            ("", Source::Unknown),
            (",,;;=", Source::Unknown),
            ("a; hit=?0; detail=\"unterminated", Source::Unknown),
        ];
        for (field, source) in cases {
            assert_eq!(Source::of(field), source, "{field}");
        }
    }
}
