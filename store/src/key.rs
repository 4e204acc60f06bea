//! How a key becomes bytes. Parts follow each other in the schema's order: an int64 is 8 bytes little-endian; a string is
//! its UTF-8 bytes, preceded by its length as u16 little-endian unless it is the last part. So a single string key is
//! just its bytes, and no two different keys share an encoding.

use crate::{limits::KEY_BYTES_MAX, schema::KeyType};

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
