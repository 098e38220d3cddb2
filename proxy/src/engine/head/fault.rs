//! What is wrong with the bytes of a head: the words for it, not where it is looked for.

/// What makes a head ambiguous or unreadable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeadFault {
    /// A CR that no LF follows: a line end to some (RFC 9112 §2.2).
    BareCr,
    /// A NUL byte.
    Nul,
    /// White space between field name and colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// A line that continues the one before (RFC 9112 §5.2).
    Folded,
    /// A field line without a colon, or whose name is no token.
    FieldName,
    /// The first line is not `method SP target SP HTTP/1.x`.
    RequestLine,
    /// A target that only OPTIONS may have.
    Asterisk,
    /// Not HTTP/1.0 or HTTP/1.1.
    Version,
    /// Content-Length and Transfer-Encoding at once (RFC 9112 §6.1).
    LengthAndCoding,
    /// More than one Content-Length.
    Lengths,
    /// A Content-Length that is not a plain decimal number.
    Length,
    /// A Transfer-Encoding that is not exactly `chunked`.
    Coding,
}

impl HeadFault {
    /// Every fault, for tables.
    pub const ALL: [Self; 12] = [
        Self::BareCr,
        Self::Nul,
        Self::SpaceBeforeColon,
        Self::Folded,
        Self::FieldName,
        Self::RequestLine,
        Self::Asterisk,
        Self::Version,
        Self::LengthAndCoding,
        Self::Lengths,
        Self::Length,
        Self::Coding,
    ];

    /// The word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BareCr => "bare_cr",
            Self::Nul => "nul",
            Self::SpaceBeforeColon => "space_before_colon",
            Self::Folded => "folded",
            Self::FieldName => "field_name",
            Self::RequestLine => "request_line",
            Self::Asterisk => "asterisk",
            Self::Version => "version",
            Self::LengthAndCoding => "length_and_coding",
            Self::Lengths => "lengths",
            Self::Length => "length",
            Self::Coding => "coding",
        }
    }

    /// What is wrong, as the end of the sentence "The request ...".
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::BareCr => "has a carriage return without a line feed",
            Self::Nul => "has a NUL byte",
            Self::SpaceBeforeColon => "has white space before a colon",
            Self::Folded => "has a folded line",
            Self::FieldName => "has a line that is no header field",
            Self::RequestLine => "has a first line that is not method, target and version",
            Self::Asterisk => "has * for a target, which only OPTIONS may have",
            Self::Version => "is not of HTTP/1.0 or HTTP/1.1",
            Self::LengthAndCoding => "has both Content-Length and Transfer-Encoding",
            Self::Lengths => "has more than one Content-Length",
            Self::Length => "has a Content-Length that is not a number",
            Self::Coding => "has a Transfer-Encoding other than chunked",
        }
    }
}
