//! Values with units, read from text.
//!
//! Every source is text in the end, so one parser serves the file, the environment and `--set`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::name::Zone;

/// A type that a setting can have.
pub trait FromSetting: Sized {
    /// Reads one value.
    ///
    /// # Errors
    /// What was expected, in words.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads the items of a setting; only a list takes other than one.
    ///
    /// # Errors
    /// What was expected, in words.
    fn from_items(items: &[String]) -> Result<Self, String> {
        match items {
            [one] => Self::from_text(one),
            [] => Self::from_text(""),
            many => Self::from_text(&many.join(",")),
        }
    }
}

/// Splits the text of a list at commas; brackets and quotes around items are allowed, as in TOML.
pub(super) fn split_list(text: &str) -> Vec<String> {
    let trimmed = text.trim();
    let inner = trimmed
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    // An IPv6 address in brackets is no list: what is between them has colons and no quotes.
    let listed = inner.filter(|inner| inner.is_empty() || inner.contains(['"', ',', '\'']));
    let unquote = |item: &str| item.trim().trim_matches(['"', '\'']).to_owned();
    listed.unwrap_or(trimmed).split(',').map(unquote).collect()
}

impl<T: FromSetting> FromSetting for Vec<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_items(&split_list(text))
    }

    fn from_items(items: &[String]) -> Result<Self, String> {
        items
            .iter()
            .filter(|item| !item.is_empty())
            .map(|item| T::from_text(item))
            .collect()
    }
}

impl FromSetting for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromSetting for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl FromSetting for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            other => Err(format!("\"{other}\" is neither true nor false")),
        }
    }
}

impl FromSetting for SocketAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("\"{text}\" is not an address and port"))
    }
}

impl FromSetting for IpAddr {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| format!("\"{text}\" is not an IP address"))
    }
}

impl FromSetting for Zone {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| format!("\"{text}\" is not a zone: {error}"))
    }
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl FromSetting for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                text.replace('_', "").parse().map_err(|_| {
                    format!("\"{text}\" is not a whole number of at most {}", Self::MAX)
                })
            }
        }
    )*};
}

whole_number!(u8, u16, u32, u64, usize);

/// A duration with its unit: `250ms`, `30s`, `5m`, `1h`, `2d`. Zero needs no unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span(pub Duration);

impl FromSetting for Span {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a duration such as 250ms, 30s, 5m, 1h or 2d");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if number == 0 => 0,
            _ => return Err(wrong()),
        };
        number
            .checked_mul(millis)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(wrong)
    }
}

/// A number of bytes with its unit: `512`, `64KiB`, `256MiB`, `8GiB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ByteSize(pub u64);

impl FromSetting for ByteSize {
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a size such as 512, 64KiB, 256MiB or 8GiB");
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor: u64 = match unit.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1 << 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >> shift > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}B", self.0)
    }
}
