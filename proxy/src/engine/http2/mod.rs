//! What HTTP/2 (RFC 9113) adds to a request, judged without any socket: the price of frames that ask
//! for nothing, and the request as the rest of the proxy knows it.

pub mod plain;
pub mod purse;
pub mod request;

/// Bounds of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Requests under way at once.
    pub streams: u32,
    /// Requests that may be taken back, beside half of all.
    pub resets: u32,
    /// Frames that ask for nothing, beside those that requests and answers pay for.
    pub frames: u32,
}
