//! Memory that direct reads and writes take.

use crate::limits::BLOCK_BYTES;

/// Bytes at an address that is a multiple of a block. Zeros at first; they take memory when they are touched.
#[derive(Debug)]
pub struct AlignedBuffer {
    /// A block more than asked for, as a vector starts where it likes.
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + BLOCK_BYTES];
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES);
        Self { bytes, start, length }
    }

    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// Never moved: the vector does not grow.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + self.length).unwrap_or_default()
    }
}
