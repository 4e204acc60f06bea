//! Records that wait to be committed together, laid out as they will be on disk. What depends on where they will stand is filled in
//! at the end.

use super::{
    Sequence,
    record::{HEAD_BYTES, Head, Kind, Place, payload_checksum, record_bytes},
};
use crate::{disk::AlignedBuffer, limits::BLOCK_BYTES};

#[derive(Debug)]
pub(super) struct Batch {
    buffer: AlignedBuffer,
    used: usize,
    heads: Vec<Head>,
}

impl Batch {
    pub(super) fn new(bytes: usize) -> Self {
        Self { buffer: AlignedBuffer::new(bytes.next_multiple_of(BLOCK_BYTES)), used: 0, heads: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    pub(super) fn records(&self) -> u64 {
        self.heads.len() as u64
    }

    pub(super) fn bytes(&self) -> usize {
        self.used
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.buffer.bytes().len() as u64
    }

    pub(super) fn holds(&self, kind: Kind) -> bool {
        self.heads.iter().any(|head| head.kind == kind)
    }

    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.heads.clear();
    }

    /// Whether a record of this many payload bytes still fits.
    pub(super) fn has_room(&self, payload_bytes: usize) -> bool {
        let needed = usize::try_from(record_bytes(payload_bytes as u64)).unwrap_or(usize::MAX);
        needed <= self.buffer.bytes().len() - self.used
    }

    /// Adds a record whose payload is `parts` one after the other. It has room.
    pub(super) fn push(&mut self, kind: Kind, sequence: Sequence, parts: &[&[u8]]) {
        let payload_at = self.used + HEAD_BYTES;
        let mut end = payload_at;
        let bytes = self.buffer.bytes_mut();
        for part in parts {
            if let Some(to) = bytes.get_mut(end..end + part.len()) {
                to.copy_from_slice(part);
            }
            end += part.len();
        }
        let payload = bytes.get(payload_at..end).unwrap_or_default();
        let payload_checksum = payload_checksum(payload);
        let payload_bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head = Head {
            kind,
            sequence,
            payload_bytes,
            payload_checksum,
            epoch: 0,
            durable: Sequence::default(),
            previous: 0,
        };
        let next = self.used + usize::try_from(head.record_bytes()).unwrap_or(usize::MAX);
        bytes.get_mut(end..next).unwrap_or_default().fill(0);
        self.used = next;
        self.heads.push(head);
    }

    /// How many whole blocks' bytes it takes on disk.
    pub(super) fn padded_bytes(&self) -> u64 {
        (self.used as u64).next_multiple_of(BLOCK_BYTES as u64)
    }

    /// The batch as it is to be written at `place`, and the checksum of its last head.
    pub(super) fn seal(&mut self, place: Place, epoch: u32, durable: Sequence, previous: u64) -> (&[u8], u64) {
        let padded = self.used.next_multiple_of(BLOCK_BYTES);
        let bytes = self.buffer.bytes_mut();
        bytes.get_mut(self.used..padded).unwrap_or_default().fill(0);
        let (mut at, mut previous) = (0_usize, previous);
        for head in &self.heads {
            let head = Head { epoch, durable, previous, ..*head };
            let place = Place { offset: place.offset + at as u64, ..place };
            previous = head.write(bytes.get_mut(at..).unwrap_or_default(), place);
            at += usize::try_from(head.record_bytes()).unwrap_or(usize::MAX);
        }
        (self.buffer.bytes().get(..padded).unwrap_or_default(), previous)
    }
}
