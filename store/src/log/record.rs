//! A record: 56 bytes of head and a payload, at a multiple of 8.
//!
//! ```text
//!    0  magic "GLRC"           16  sequence  u64                            48  checksum of 0..48   u64
//!    4  format version  u16    24  durable   u64  the highest sequence      56  payload, then zeros to
//!    6  kind            u16                       known durable                 the next multiple of 8
//!    8  epoch           u32    32  checksum of the head before  u64
//!   12  payload bytes   u32    40  checksum of the payload      u64
//! ```
//! The checksum of a head is seeded with the log's id and where the record stands, so that a record of an earlier life of its file, of
//! another log or from another place is none. A head that matched is believed, its payload length too, whether the payload
//! matches or not.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Sequence;
use crate::format::bytes::{u16_at, u32_at, u64_at};

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds what was appended.
    Data,
    /// Begins an epoch: everything before it that still stands was durable, and nothing that stood behind that counts any more.
    Opening,
    /// Says that what is before it is durable, when nothing else comes to say so.
    Heartbeat,
    /// The same, and that the log was closed.
    Closing,
}

impl Kind {
    fn of_code(code: u16) -> Option<Self> {
        [Self::Data, Self::Opening, Self::Heartbeat, Self::Closing].into_iter().find(|kind| kind.code() == code)
    }

    fn code(self) -> u16 {
        match self {
            Self::Data => 1,
            Self::Opening => 2,
            Self::Heartbeat => 3,
            Self::Closing => 4,
        }
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) log: u64,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

impl Place {
    fn seed(self) -> u64 {
        self.log.wrapping_add(self.segment << 32).wrapping_add(self.offset)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) epoch: u32,
    pub(super) payload_bytes: u32,
    pub(super) sequence: Sequence,
    pub(super) durable: Sequence,
    pub(super) previous: u64,
    pub(super) payload_checksum: u64,
}

impl Head {
    /// The head at the start of `bytes` if it was written there, with its checksum.
    pub(super) fn read(bytes: &[u8], place: Place) -> Option<(Self, u64)> {
        let covered = bytes.get(..CHECKSUM_AT)?;
        let checksum = u64_at(bytes, CHECKSUM_AT)?;
        if u32_at(bytes, 0)? != MAGIC || checksum != xxh3_64_with_seed(covered, place.seed()) {
            return None;
        }
        if u16_at(bytes, 4)? != RECORD_VERSION {
            return None;
        }
        let head = Self {
            kind: Kind::of_code(u16_at(bytes, 6)?)?,
            epoch: u32_at(bytes, 8)?,
            payload_bytes: u32_at(bytes, 12)?,
            sequence: Sequence(u64_at(bytes, 16)?),
            durable: Sequence(u64_at(bytes, 24)?),
            previous: u64_at(bytes, 32)?,
            payload_checksum: u64_at(bytes, 40)?,
        };
        Some((head, checksum))
    }

    /// Writes it to the start of `out` and returns its checksum, which the next record holds.
    pub(super) fn write(&self, out: &mut [u8], place: Place) -> u64 {
        let mut bytes = [0; HEAD_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            if let Some(to) = bytes.get_mut(at..at + field.len()) {
                to.copy_from_slice(field);
            }
            at += field.len();
        };
        put(&MAGIC.to_le_bytes());
        put(&RECORD_VERSION.to_le_bytes());
        put(&self.kind.code().to_le_bytes());
        put(&self.epoch.to_le_bytes());
        put(&self.payload_bytes.to_le_bytes());
        put(&self.sequence.0.to_le_bytes());
        put(&self.durable.0.to_le_bytes());
        put(&self.previous.to_le_bytes());
        put(&self.payload_checksum.to_le_bytes());
        let checksum = xxh3_64_with_seed(bytes.get(..CHECKSUM_AT).unwrap_or_default(), place.seed());
        if let Some((_, last)) = bytes.split_last_chunk_mut() {
            *last = checksum.to_le_bytes();
        }
        if let Some(to) = out.first_chunk_mut() {
            *to = bytes;
        }
        checksum
    }

    /// From the start of this record to where the next one of its batch stands.
    pub(super) fn record_bytes(&self) -> u64 {
        record_bytes(u64::from(self.payload_bytes))
    }
}

/// Whether something like the head of this record starts here, whatever became of it.
pub(super) fn looks_like(bytes: &[u8], sequence: Sequence, epoch: u32) -> bool {
    u32_at(bytes, 0) == Some(MAGIC) && u64_at(bytes, 16) == Some(sequence.0) && u32_at(bytes, 8) == Some(epoch)
}

/// What a record with this payload takes.
pub(super) const fn record_bytes(payload_bytes: u64) -> u64 {
    (HEAD_BYTES as u64 + payload_bytes).next_multiple_of(RECORD_ALIGNMENT as u64)
}

pub(super) fn payload_checksum(payload: &[u8]) -> u64 {
    xxh3_64(payload)
}

pub(super) const HEAD_BYTES: usize = 56;
/// Records start at multiples of this.
pub(super) const RECORD_ALIGNMENT: usize = 8;
pub(super) const MAGIC: u32 = u32::from_le_bytes(*b"GLRC");
const RECORD_VERSION: u16 = 1;
const CHECKSUM_AT: usize = 48;
