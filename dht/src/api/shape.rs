//! Keys and bytes as JSON carries them, and what is wrong with a request that does not hold together.

use common::ids::Key;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// A request did not hold together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// Neither `key` nor `text`, or both.
    #[error("give either \"key\" (40 hexadecimal digits) or \"text\"")]
    Key,
    /// Neither `value` nor `value_base64`, or both.
    #[error("give either \"value\" or \"value_base64\"")]
    Value,
    /// `value_base64` is not base64.
    #[error("\"value_base64\" is not base64")]
    Base64,
    /// Too many addresses to ping.
    #[error("at most 64 addresses are pinged at once")]
    Pings,
    /// A round trip of more than two seconds.
    #[error("\"rtt_us\" is at most 2000000: farther is not near")]
    Rtt,
    /// The name of a service is empty, too long or has bytes outside `[a-z0-9-]`.
    #[error("a service name has 1 to 16 bytes of a-z, 0-9 and -")]
    ServiceName,
}

/// Which key: given, or the hash of a text.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct KeyDoc {
    /// 40 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// Text whose hash is the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl KeyDoc {
    /// The document naming `key`.
    #[must_use]
    pub const fn of(key: Key) -> Self {
        Self {
            key: Some(key),
            text: None,
        }
    }

    /// The key meant.
    ///
    /// # Errors
    /// Not exactly one of the two is given.
    pub fn resolve(&self) -> Result<Key, ShapeError> {
        match (&self.key, &self.text) {
            (Some(key), None) => Ok(*key),
            (None, Some(text)) => Ok(Key::of(text.as_bytes())),
            _ => Err(ShapeError::Key),
        }
    }
}

/// Bytes as JSON carries them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BytesDoc {
    /// The bytes, if they are UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The bytes in base64 with padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
}

impl BytesDoc {
    /// The document carrying `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self {
                value: Some(text.to_owned()),
                value_base64: None,
            },
            Err(_) => Self {
                value: None,
                value_base64: Some(BASE64.encode(bytes)),
            },
        }
    }

    /// The bytes meant.
    ///
    /// # Errors
    /// Not exactly one of the two is given, or it is not base64.
    pub fn resolve(&self) -> Result<Vec<u8>, ShapeError> {
        match (&self.value, &self.value_base64) {
            (Some(text), None) => Ok(text.clone().into_bytes()),
            (None, Some(text)) => BASE64
                .decode(text.as_bytes())
                .map_err(|_| ShapeError::Base64),
            _ => Err(ShapeError::Value),
        }
    }
}
