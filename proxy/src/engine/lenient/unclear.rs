//! Why a response cannot be understood: a closed list whose words reach log, metric and answer.

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unclear {
    /// It begins neither as HTTP nor, plainly, as a page of HTTP/0.9.
    NotHttp,
    /// The status is not three digits from 100 to 999.
    Status,
    /// It switched to a protocol that nobody asked for.
    Switched,
    /// More interim responses than a final one needs.
    Interims,
    /// The head is larger than is read.
    HeadTooLarge,
    /// More fields than are read.
    TooManyFields,
    /// A NUL or a carriage return without its line feed: parsers disagree where such a line ends.
    ControlByte,
    /// A line that may have been meant to say where the body ends, and cannot be read.
    FramingField,
    /// A Content-Length that is no number.
    Length,
    /// Several Content-Lengths that differ.
    Lengths,
    /// A transfer coding that was not asked for and has no other name in the response.
    Coding,
    /// The chunks are broken.
    Chunk,
    /// "Not modified", although no condition was sent.
    NotModified,
    /// A part, although the whole was asked for, and not its beginning.
    Part,
}

impl Unclear {
    /// All of them, for documents and tests.
    pub const ALL: [Self; 14] = [
        Self::NotHttp,
        Self::Status,
        Self::Switched,
        Self::Interims,
        Self::HeadTooLarge,
        Self::TooManyFields,
        Self::ControlByte,
        Self::FramingField,
        Self::Length,
        Self::Lengths,
        Self::Coding,
        Self::Chunk,
        Self::NotModified,
        Self::Part,
    ];

    /// The word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotHttp => "not_http",
            Self::Status => "bad_status",
            Self::Switched => "switched_protocol",
            Self::Interims => "too_many_interims",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyFields => "too_many_fields",
            Self::ControlByte => "control_byte",
            Self::FramingField => "unreadable_framing",
            Self::Length => "bad_length",
            Self::Lengths => "lengths_differ",
            Self::Coding => "transfer_coding",
            Self::Chunk => "bad_chunk",
            Self::NotModified => "unasked_not_modified",
            Self::Part => "unasked_part",
        }
    }

    /// What the site did, to follow its name in a sentence.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NotHttp => "does not speak HTTP on this port",
            Self::Status => "sent an answer without a status that can be read",
            Self::Switched => "switched to another protocol without being asked",
            Self::Interims => "sent one preliminary answer after another and no final one",
            Self::HeadTooLarge => "sent a larger header than is read (256 KiB)",
            Self::TooManyFields => "sent more header fields than are read (1,000)",
            Self::ControlByte => "sent control characters in its header",
            Self::FramingField | Self::Length | Self::Lengths => {
                "did not say clearly how long its answer is"
            }
            Self::Coding => "coded its answer in a way that was not asked for",
            Self::Chunk => "sent an answer whose parts do not fit together",
            Self::NotModified => "called its page unchanged, although it was asked for all of it",
            Self::Part => "sent a part of the page, although it was asked for all of it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> =
            Unclear::ALL.iter().map(|why| why.as_str()).collect();
        assert_eq!(words.len(), Unclear::ALL.len());
    }
}
