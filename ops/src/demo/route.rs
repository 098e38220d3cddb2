//! What a request's target means. Pure: no file is looked at.
//!
//! `/crowd/<anything>/<i>.bin` and `/big/<n>MiB` are made up; everything else is a file below the
//! site's directory, or refused if it tries to leave it.

use std::path::PathBuf;

use common::config::{ByteSize, FromSetting as _};

use super::content::{CROWD_SIZE, Content};

/// Largest content made up: 100 GiB, in bytes. More is a typing error.
pub const BIG_MAX: u64 = 100 << 30;

/// Longest path, in bytes.
pub const PATH_MAX: usize = 2_048;

/// The classes that requests are counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// A file of the site.
    Site,
    /// An object of a crowd.
    Crowd,
    /// A large download.
    Big,
    /// None of them.
    Refused,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Site, Self::Crowd, Self::Big, Self::Refused];

    /// The word for counters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Crowd => "crowd",
            Self::Big => "big",
            Self::Refused => "refused",
        }
    }
}

/// Where a request goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// A file, relative to the site's directory; a path ending in a slash means its `index.html`.
    File(PathBuf),
    /// Content made up.
    Made {
        /// What for.
        class: Class,
        /// The content.
        content: Content,
        /// Its length in bytes.
        len: u64,
    },
    /// Nowhere.
    Refused(RefusedReason),
}

/// Why a target means nothing here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RefusedReason {
    /// Longer than [`PATH_MAX`].
    TooLong,
    /// Not a path, or badly percent-encoded.
    BadPath,
    /// It would leave the site's directory.
    Traversal,
    /// A size that is none, or too large.
    BadSize,
}

impl RefusedReason {
    /// The word for logs and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "the path is too long",
            Self::BadPath => "the path is not one",
            Self::Traversal => "the path leaves the site",
            Self::BadSize => "sizes are written 41KiB, 8MiB, 1GiB, up to 100GiB",
        }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub const fn status(self) -> http::StatusCode {
        match self {
            Self::TooLong => http::StatusCode::URI_TOO_LONG,
            Self::BadPath | Self::BadSize => http::StatusCode::BAD_REQUEST,
            Self::Traversal => http::StatusCode::FORBIDDEN,
        }
    }
}

impl Route {
    /// The route of `path` and `query`, both as they came.
    #[must_use]
    pub fn of(path: &str, query: Option<&str>) -> Self {
        Self::parse(path, query).unwrap_or_else(Self::Refused)
    }

    /// The class it is counted by.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::File(_) => Class::Site,
            Self::Made { class, .. } => *class,
            Self::Refused(_) => Class::Refused,
        }
    }

    fn parse(path: &str, query: Option<&str>) -> Result<Self, RefusedReason> {
        if path.len() > PATH_MAX {
            return Err(RefusedReason::TooLong);
        }
        let below = path.strip_prefix('/').ok_or(RefusedReason::BadPath)?;
        if below.starts_with("crowd/") && path.ends_with(".bin") {
            let asked = query.and_then(|query| query.strip_prefix("size="));
            let len = asked.map_or(Ok(CROWD_SIZE), size)?;
            return Ok(Self::Made {
                class: Class::Crowd,
                content: Content::of(path),
                len,
            });
        }
        if let Some(asked) = below.strip_prefix("big/") {
            let len = size(asked)?;
            return Ok(Self::Made {
                class: Class::Big,
                content: Content::of(path),
                len,
            });
        }
        file(below).map(Self::File)
    }
}

fn size(text: &str) -> Result<u64, RefusedReason> {
    let size = ByteSize::from_text(text)
        .map_err(|_| RefusedReason::BadSize)?
        .0;
    if size > BIG_MAX {
        Err(RefusedReason::BadSize)
    } else {
        Ok(size)
    }
}

/// The file of a path without its first slash. Each segment is decoded once and must then name
/// something inside the directory above it.
fn file(below: &str) -> Result<PathBuf, RefusedReason> {
    let mut file = PathBuf::new();
    let mut segments = below.split('/').peekable();
    while let Some(segment) = segments.next() {
        let name = decode(segment)?;
        let last = segments.peek().is_none();
        match &*name {
            "" if last => file.push("index.html"),
            "" | "." => {}
            ".." => return Err(RefusedReason::Traversal),
            // A decoded slash or backslash would name a directory; a dot file is nobody's business.
            hidden if hidden.starts_with('.') => return Err(RefusedReason::Traversal),
            odd if odd.contains(['/', '\\', '\0']) => return Err(RefusedReason::Traversal),
            name => file.push(name),
        }
    }
    Ok(file)
}

fn decode(segment: &str) -> Result<String, RefusedReason> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(RefusedReason::BadPath);
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| RefusedReason::BadPath)?);
    }
    String::from_utf8(bytes).map_err(|_| RefusedReason::BadPath)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> RefusedReason {
        match Route::of(path, None) {
            Route::Refused(reason) => reason,
            other => panic!("{path} leads to {other:?}"),
        }
    }

    #[test]
    fn paths_lead_to_files_and_directories_to_their_index() {
        let cases = [
            ("/", "index.html"),
            ("/a.txt", "a.txt"),
            ("/dir/", "dir/index.html"),
            ("/dir/b%20c.txt", "dir/b c.txt"),
            ("//a.txt", "a.txt"),
            ("/./a.txt", "a.txt"),
        ];
        for (path, file) in cases {
            assert_eq!(
                Route::of(path, Some("q")),
                Route::File(PathBuf::from(file)),
                "{path}"
            );
        }
    }

    #[test]
    fn no_path_leaves_the_site() {
        let paths = [
            "/..",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/%2E%2e%2fx",
            "/a/..%2f..%2fx",
            "/..%5cx",
            "/%00",
            "/.git/config",
            "/a%2fb",
        ];
        for path in paths {
            assert_eq!(refused(path), RefusedReason::Traversal, "{path}");
        }
    }

    #[test]
    fn damaged_paths_are_refused() {
        for path in ["/%", "/%4", "/%zz", "/%ff", "", "*"] {
            assert_eq!(refused(path), RefusedReason::BadPath, "{path}");
        }
        assert_eq!(
            refused(&format!("/{}", "a".repeat(PATH_MAX))),
            RefusedReason::TooLong
        );
    }

    #[test]
    fn crowd_objects_have_their_size_and_the_query_another() {
        let len = |path, query| match Route::of(path, query) {
            Route::Made {
                class: Class::Crowd,
                len,
                ..
            } => len,
            other => panic!("{other:?}"),
        };
        assert_eq!(len("/crowd/run7/0.bin", None), CROWD_SIZE);
        assert_eq!(len("/crowd/run7/0.bin", Some("size=1MiB")), 1 << 20);
    }

    #[test]
    fn large_downloads_are_bounded() {
        let big = |path| Route::of(path, None);
        assert!(
            matches!(big("/big/1GiB"), Route::Made { class: Class::Big, len, .. } if len == 1 << 30)
        );
        assert!(matches!(
            big("/big/100GiB"),
            Route::Made { len: BIG_MAX, .. }
        ));
        for path in [
            "/big/101GiB",
            "/big/",
            "/big/x",
            "/big/-1",
            "/big/99999999999999999999TiB",
        ] {
            assert_eq!(refused(path), RefusedReason::BadSize, "{path}");
        }
    }
}
