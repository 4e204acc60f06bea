//! How a key becomes bytes. Parts follow each other in the schema's order: an int64 is 8 bytes little-endian; a string is
//! its UTF-8 bytes, preceded by its length as u16 little-endian unless it is the last part. So a single string key is
//! just its bytes, and no two different keys share an encoding.

use crate::{limits::KEY_BYTES_MAX, schema::KeyType};

#[cfg(test)]
mod tests;

/// Builds an encoded key part by part, in the schema's order, into a reused buffer.
#[derive(Debug)]
pub struct KeyWriter<'k> {
    types: &'k [KeyType],
    next: usize,
    out: &'k mut Vec<u8>,
    start: usize,
}

impl<'k> KeyWriter<'k> {
    /// Appends a key to `out`; what was there before stays.
    pub fn new(types: &'k [KeyType], out: &'k mut Vec<u8>) -> Self {
        let start = out.len();
        Self { types, next: 0, out, start }
    }

    /// The next part, which must be an int64.
    pub fn int64(&mut self, value: i64) {
        debug_assert_eq!(self.types[self.next], KeyType::Int64);
        self.out.extend_from_slice(&value.to_le_bytes());
        self.next += 1;
    }

    /// The next part, which must be a string.
    pub fn string(&mut self, value: &[u8]) {
        debug_assert_eq!(self.types[self.next], KeyType::String);
        self.next += 1;
        if self.next < self.types.len() {
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX); // too long anyway: `finish` refuses it
            self.out.extend_from_slice(&length.to_le_bytes());
        }
        self.out.extend_from_slice(value);
    }

    /// Whether the key is whole and not longer than [`KEY_BYTES_MAX`]. If not, what was appended is taken back.
    pub fn finish(self) -> bool {
        let fits = self.next == self.types.len() && self.out.len() - self.start <= KEY_BYTES_MAX;
        if !fits {
            self.out.truncate(self.start);
        }
        fits
    }
}

/// One part of an encoded key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPartRef<'k> {
    Int64(i64),
    /// UTF-8 when it was written.
    String(&'k [u8]),
}

/// Takes an encoded key apart, part by part; for inspection. Ends early, with `None`, when the bytes are not such a key.
#[derive(Debug, Clone)]
pub struct KeyReader<'k> {
    types: &'k [KeyType],
    rest: &'k [u8],
}

impl<'k> KeyReader<'k> {
    pub fn new(types: &'k [KeyType], key: &'k [u8]) -> Self {
        Self { types, rest: key }
    }

    /// Whether every part was read and nothing is left over.
    pub fn is_done(&self) -> bool {
        self.types.is_empty() && self.rest.is_empty()
    }

    fn take(&mut self, bytes: usize) -> Option<&'k [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'k> Iterator for KeyReader<'k> {
    type Item = KeyPartRef<'k>;

    fn next(&mut self) -> Option<Self::Item> {
        let (first, later) = self.types.split_first()?;
        let part = match first {
            KeyType::Int64 => KeyPartRef::Int64(i64::from_le_bytes(*self.take(size_of::<i64>())?.first_chunk()?)),
            KeyType::String if later.is_empty() => KeyPartRef::String(self.take(self.rest.len())?),
            KeyType::String => {
                let length = u16::from_le_bytes(*self.take(size_of::<u16>())?.first_chunk()?);
                KeyPartRef::String(self.take(usize::from(length))?)
            }
        };
        self.types = later;
        Some(part)
    }
}
