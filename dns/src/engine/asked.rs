//! The name of a question as text: lower case, labels joined by dots, on the stack.
//!
//! A label may hold any byte, a dot too, and then joining by dots is not reversible. Bytes that no
//! host name has are written as NUL, which no zone and no coralised name has either: such a name
//! lies where its other labels say and is nothing there.

use std::fmt;

/// Most bytes of a name in text, without the final dot (RFC 1035 §3.1: 255 on the wire).
pub const TEXT_MAX: usize = 253;

/// What bytes that host names do not have are written as.
const ODD: u8 = 0;

/// A name in lower case (RFC 4343).
#[derive(Clone, Copy)]
pub struct AskedName {
    text: [u8; TEXT_MAX],
    length: usize,
}

impl AskedName {
    /// The name of `labels`, without the root. `None` if they are longer than a name can be.
    #[must_use]
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut name = Self {
            text: [0; TEXT_MAX],
            length: 0,
        };
        for label in labels {
            if name.length > 0 {
                *name.text.get_mut(name.length)? = b'.';
                name.length += 1;
            }
            name.push(label)?;
        }
        Some(name)
    }

    fn push(&mut self, label: &[u8]) -> Option<()> {
        let end = self.length.checked_add(label.len())?;
        let room = self.text.get_mut(self.length..end)?;
        for (to, from) in room.iter_mut().zip(label) {
            *to = LOWER.get(usize::from(*from)).copied().unwrap_or(ODD);
        }
        self.length = end;
        Some(())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..self.length).unwrap_or_default();
        // Only ASCII was written.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for AskedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What each byte is written as.
static LOWER: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            table[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// Whether `text` has a byte that host names do not have.
#[must_use]
pub fn is_odd(text: &str) -> bool {
    text.bytes().any(|byte| byte == ODD)
}
