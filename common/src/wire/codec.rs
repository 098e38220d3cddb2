//! Reading and writing fields of a datagram.
//!
//! A [`Reader`] never looks past its slice and never allocates; a length it reads is only ever a
//! claim, checked against the bytes that are there. A [`Writer`] stops at its budget, so a message
//! too long for a datagram is an error where it is built and not a truncated packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::ids::{ID_LEN, Key, NodeId};

/// What was expected, and where it was not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("expected {expected} at byte {offset}, {left} bytes left")]
pub struct DecodeError {
    /// The field.
    pub expected: &'static str,
    /// Offset from the start of the slice being read.
    pub offset: usize,
    /// Bytes after that offset.
    pub left: usize,
}

/// A field did not fit the space left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("message longer than its budget of {budget} bytes")]
pub struct TooLong {
    /// Most bytes the message may have.
    pub budget: usize,
}

/// Takes fields off the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    #[must_use]
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// The error for a field that is not what it should be.
    #[must_use]
    pub const fn error(&self, expected: &'static str) -> DecodeError {
        DecodeError {
            expected,
            offset: self.offset,
            left: self.bytes.len(),
        }
    }

    /// Bytes not yet read.
    #[must_use]
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether everything has been read.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    #[inline]
    pub fn take(&mut self, len: usize, expected: &'static str) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or_else(|| self.error(expected))?;
        self.bytes = rest;
        self.offset = self.offset.saturating_add(len);
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// Fewer are left.
    #[inline]
    pub fn array<const N: usize>(
        &mut self,
        expected: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N, expected)?;
        taken.try_into().map_err(|_| self.error(expected))
    }

    /// One byte.
    ///
    /// # Errors
    /// None is left.
    #[inline]
    pub fn u8(&mut self, expected: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    /// A big-endian 16-bit number.
    ///
    /// # Errors
    /// Fewer than two bytes are left.
    #[inline]
    pub fn u16(&mut self, expected: &'static str) -> Result<u16, DecodeError> {
        self.array(expected).map(u16::from_be_bytes)
    }

    /// A big-endian 32-bit number.
    ///
    /// # Errors
    /// Fewer than four bytes are left.
    pub fn u32(&mut self, expected: &'static str) -> Result<u32, DecodeError> {
        self.array(expected).map(u32::from_be_bytes)
    }

    /// A big-endian 64-bit number.
    ///
    /// # Errors
    /// Fewer than eight bytes are left.
    pub fn u64(&mut self, expected: &'static str) -> Result<u64, DecodeError> {
        self.array(expected).map(u64::from_be_bytes)
    }

    /// Bytes preceded by their 16-bit length, at most `max` of them.
    ///
    /// # Errors
    /// The length exceeds `max` or what is left.
    #[inline]
    pub fn bytes16(&mut self, max: usize, expected: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = usize::from(self.u16(expected)?);
        if len > max {
            return Err(self.error(expected));
        }
        self.take(len, expected)
    }

    /// A node id.
    ///
    /// # Errors
    /// Fewer than 20 bytes are left.
    pub fn node_id(&mut self, expected: &'static str) -> Result<NodeId, DecodeError> {
        self.array::<ID_LEN>(expected).map(NodeId::from_bytes)
    }

    /// A key.
    ///
    /// # Errors
    /// Fewer than 20 bytes are left.
    pub fn key(&mut self, expected: &'static str) -> Result<Key, DecodeError> {
        self.array::<ID_LEN>(expected).map(Key::from_bytes)
    }

    /// An address: family byte (4 or 6), octets, port.
    ///
    /// # Errors
    /// Another family, an IPv6 form of an IPv4 address (one address has one encoding), or too few
    /// bytes.
    pub fn addr(&mut self, expected: &'static str) -> Result<SocketAddr, DecodeError> {
        let ip = match self.u8(expected)? {
            4 => IpAddr::V4(Ipv4Addr::from(self.array::<4>(expected)?)),
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>(expected)?);
                if ip.to_ipv4_mapped().is_some() {
                    return Err(self.error(expected));
                }
                IpAddr::V6(ip)
            }
            _ => return Err(self.error(expected)),
        };
        Ok(SocketAddr::new(ip, self.u16(expected)?))
    }

    /// The end of the message.
    ///
    /// # Errors
    /// Bytes are left over.
    pub const fn finish(&self, expected: &'static str) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(self.error(expected))
        }
    }
}

/// Room that is made for a message at first: most bodies fit, and many are made a second.
const MESSAGE_LEN: usize = 256;

/// Appends fields to a message, up to a budget.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    budget: usize,
    overflowed: bool,
}

impl Writer {
    /// An empty message of at most `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self::sized(budget, MESSAGE_LEN.min(budget))
    }

    /// An empty message of at most `budget` bytes, for which room for `expected` is made at once.
    #[must_use]
    pub fn sized(budget: usize, expected: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(expected),
            budget,
            overflowed: false,
        }
    }

    /// Bytes that still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.budget.saturating_sub(self.bytes.len())
    }

    /// Bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Appends `bytes`, or marks the message too long and writes nothing more.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        if self.overflowed || bytes.len() > self.room() {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
        self
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    /// A big-endian 16-bit number.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    /// A big-endian 32-bit number.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    /// A big-endian 64-bit number.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_be_bytes())
    }

    /// Bytes preceded by their 16-bit length.
    pub fn bytes16(&mut self, bytes: &[u8]) -> &mut Self {
        match u16::try_from(bytes.len()) {
            Ok(len) => self.u16(len).put(bytes),
            Err(_) => {
                self.overflowed = true;
                self
            }
        }
    }

    /// An address: family byte (4 or 6), octets, port. An IPv4-mapped address is written as IPv4.
    pub fn addr(&mut self, addr: SocketAddr) -> &mut Self {
        match addr.ip().to_canonical() {
            IpAddr::V4(ip) => self.u8(4).put(&ip.octets()),
            IpAddr::V6(ip) => self.u8(6).put(&ip.octets()),
        };
        self.u16(addr.port())
    }

    /// The message.
    ///
    /// # Errors
    /// A field did not fit the budget.
    pub fn finish(self) -> Result<Vec<u8>, TooLong> {
        if self.overflowed {
            Err(TooLong {
                budget: self.budget,
            })
        } else {
            Ok(self.bytes)
        }
    }
}

/// Bytes that [`Writer::addr`] writes for `addr`.
#[must_use]
pub fn addr_len(addr: SocketAddr) -> usize {
    match addr.ip().to_canonical() {
        IpAddr::V4(_) => 7,
        IpAddr::V6(_) => 19,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fields_read_back(a: u8, b: u16, c: u32, d: u64, e in proptest::collection::vec(any::<u8>(), 0..100), port: u16, v6: u128) {
            let addr = SocketAddr::new(IpAddr::V6(Ipv6Addr::from(v6)).to_canonical(), port);
            let mut writer = Writer::new(200);
            writer.u8(a).u16(b).u32(c).u64(d).bytes16(&e).addr(addr);
            let bytes = writer.finish().unwrap();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u8("a"), Ok(a));
            prop_assert_eq!(reader.u16("b"), Ok(b));
            prop_assert_eq!(reader.u32("c"), Ok(c));
            prop_assert_eq!(reader.u64("d"), Ok(d));
            prop_assert_eq!(reader.bytes16(100, "e"), Ok(&e[..]));
            prop_assert_eq!(reader.addr("addr"), Ok(addr));
            prop_assert_eq!(reader.finish("end"), Ok(()));
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.addr("addr").is_ok() || reader.bytes16(9, "bytes").is_ok() {}
        }
    }

    #[test]
    fn a_length_is_checked_against_the_bound_and_the_bytes() {
        let mut reader = Reader::new(&[0, 5, 1, 2]);
        let error = DecodeError {
            expected: "value",
            offset: 2,
            left: 2,
        };
        assert_eq!(reader.bytes16(9, "value"), Err(error));
        assert!(Reader::new(&[0, 2, 1, 2]).bytes16(1, "value").is_err());
    }

    #[test]
    fn a_message_over_budget_is_an_error_not_a_truncation() {
        let mut writer = Writer::new(3);
        writer.u16(1).u16(2).u8(3);
        assert_eq!(writer.finish(), Err(TooLong { budget: 3 }));
    }

    #[test]
    fn a_mapped_address_has_no_second_encoding() {
        let mut bytes = vec![6];
        bytes.extend_from_slice(&"::ffff:1.2.3.4".parse::<Ipv6Addr>().unwrap().octets());
        bytes.extend_from_slice(&[0, 80]);
        assert!(Reader::new(&bytes).addr("addr").is_err());
    }
}
