//! The first page of a segment: what the file is, and where its regions are.
//!
//! ```text
//!    0  magic "GANNETSG"        48  groups        u64       88  six regions in file order:
//!    8  format version  u32     56  raw bytes     u64           rows, index, seeds, meta, level 1, level 2,
//!   12  layout word     u32     64  event time min i64          each offset u64, bytes u64
//!   16  segment id      u64     72  event time max i64
//!   24  hash seed       u64     80  file bytes    u64    4080  root of the checksums   u64
//!   32  partition       u32                              4088  checksum of 0..4088     u64
//!   36  partitions      u32
//!   40  rows            u64                               184  tombstones among the rows, u64, since version 2; then zeros
//! ```

use super::{
    bytes::{i64_at, u32_at, u64_at},
    checksum,
};
use crate::limits::BLOCK_BYTES;

/// A region of the file. It starts at a block and is padded with zeros to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Region {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

impl Region {
    /// Where it ends, padding not counted.
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.bytes)
    }

    /// The first block after it.
    pub(crate) fn padded_end(self) -> u64 {
        self.end().checked_next_multiple_of(BLOCK_BYTES as u64).unwrap_or(u64::MAX)
    }

    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
        at(self.offset)..at(self.end())
    }
}

/// The six regions, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Regions {
    pub(crate) rows: Region,
    pub(crate) index: Region,
    pub(crate) seeds: Region,
    pub(crate) meta: Region,
    pub(crate) level1: Region,
    pub(crate) level2: Region,
}

impl Regions {
    pub(crate) fn in_order(&self) -> [Region; 6] {
        [self.rows, self.index, self.seeds, self.meta, self.level1, self.level2]
    }
}

/// The fields of the first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u64,
    pub(crate) seed: u64,
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
    pub(crate) rows: u64,
    /// Among the rows.
    pub(crate) tombstones: u64,
    pub(crate) groups: u64,
    pub(crate) raw_bytes: u64,
    /// Meaningless when there are no rows.
    pub(crate) event_time_min_us: i64,
    pub(crate) event_time_max_us: i64,
    pub(crate) file_bytes: u64,
    pub(crate) regions: Regions,
    pub(crate) root: u64,
}

/// Why a first page is not one that we read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged { offset: u64, expected: String, found: String },
    Unsupported { what: &'static str, found: u32, supported: u32 },
}

/// A first page whose checksum was not looked at yet.
#[derive(Debug)]
pub(crate) struct UncheckedHeader<'f>(pub(crate) &'f [u8]);

impl UncheckedHeader<'_> {
    /// The fields, once magic, checksum, version and the regions' arithmetic hold. The root is checked by the caller, who
    /// has the second level of checksums.
    pub(crate) fn check(&self) -> Result<Header, HeaderFault> {
        let bytes = self.0;
        let damaged = |offset: u64, expected: String, found: String| HeaderFault::Damaged { offset, expected, found };
        if bytes.get(..8) != Some(&MAGIC[..]) {
            let found = format!("{:02x?}", bytes.get(..8).unwrap_or(bytes));
            return Err(damaged(0, "the mark of a segment".into(), found));
        }
        let covered = bytes.get(..CHECKSUM_AT).unwrap_or_default();
        let (expected, found) = (u64_at(bytes, CHECKSUM_AT).unwrap_or(0), checksum::header_checksum(covered));
        if expected != found {
            return Err(damaged(0, format!("header checksum {expected:016x}"), format!("{found:016x}")));
        }
        let version = u32_at(bytes, 8).unwrap_or(0);
        if !(FORMAT_VERSION_OLDEST..=FORMAT_VERSION).contains(&version) {
            return Err(HeaderFault::Unsupported { what: "format version", found: version, supported: FORMAT_VERSION });
        }
        let layout = u32_at(bytes, 12).unwrap_or(0);
        if layout != LAYOUT_WORD {
            return Err(HeaderFault::Unsupported { what: "archive layout", found: layout, supported: LAYOUT_WORD });
        }
        let header = fields(bytes).ok_or_else(|| damaged(0, "a whole header".into(), "less".into()))?;
        header.check_regions().map_err(|(expected, found)| damaged(REGIONS_AT as u64, expected, found))?;
        Ok(header)
    }
}

fn fields(bytes: &[u8]) -> Option<Header> {
    let region = |index: usize| {
        let at = REGIONS_AT + 16 * index;
        Some(Region { offset: u64_at(bytes, at)?, bytes: u64_at(bytes, at + 8)? })
    };
    Some(Header {
        id: u64_at(bytes, 16)?,
        seed: u64_at(bytes, 24)?,
        partition: u32_at(bytes, 32)?,
        partitions: u32_at(bytes, 36)?,
        rows: u64_at(bytes, 40)?,
        tombstones: u64_at(bytes, TOMBSTONES_AT)?, // version 1 has a zero there, and none
        groups: u64_at(bytes, 48)?,
        raw_bytes: u64_at(bytes, 56)?,
        event_time_min_us: i64_at(bytes, 64)?,
        event_time_max_us: i64_at(bytes, 72)?,
        file_bytes: u64_at(bytes, 80)?,
        regions: Regions {
            rows: region(0)?,
            index: region(1)?,
            seeds: region(2)?,
            meta: region(3)?,
            level1: region(4)?,
            level2: region(5)?,
        },
        root: u64_at(bytes, ROOT_AT)?,
    })
}

impl Header {
    /// Regions follow each other without gaps from the second block to the end of the file, and have the sizes that the
    /// counts ask for. So whatever is computed from them later is within the file.
    fn check_regions(&self) -> Result<(), (String, String)> {
        let mut next = BLOCK_BYTES as u64;
        for region in self.regions.in_order() {
            if region.offset != next {
                return Err((format!("a region at {next}"), format!("{}", region.offset)));
            }
            next = region.padded_end();
        }
        if next != self.file_bytes {
            return Err((format!("regions that end at {}", self.file_bytes), format!("{next}")));
        }
        let block = BLOCK_BYTES as u64;
        let covered = self.regions.level1.offset / block - 1;
        let level1_blocks = self.regions.level1.padded_end() / block - self.regions.level1.offset / block;
        for (what, expected, found) in [
            ("index bytes", self.groups.saturating_mul(block), self.regions.index.bytes),
            ("seed bytes", self.groups.saturating_mul(2), self.regions.seeds.bytes),
            ("checksum bytes", covered.saturating_mul(8), self.regions.level1.bytes),
            ("checksum bytes of checksums", level1_blocks.saturating_mul(8), self.regions.level2.bytes),
        ] {
            if expected != found {
                return Err((format!("{expected} {what}"), format!("{found}")));
            }
        }
        if self.partition >= self.partitions || (self.rows == 0) != (self.groups == 0) || self.tombstones > self.rows {
            return Err(("a partition below the partitions, and groups if rows".into(), format!("{self:?}")));
        }
        Ok(())
    }

    /// The first page with the root computed over it and `level2`; returns the root, too.
    pub(crate) fn write(&self, level2: &[u8]) -> (Vec<u8>, u64) {
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&LAYOUT_WORD.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.seed.to_le_bytes());
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&self.partitions.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.groups.to_le_bytes());
        out.extend_from_slice(&self.raw_bytes.to_le_bytes());
        out.extend_from_slice(&self.event_time_min_us.to_le_bytes());
        out.extend_from_slice(&self.event_time_max_us.to_le_bytes());
        out.extend_from_slice(&self.file_bytes.to_le_bytes());
        for region in self.regions.in_order() {
            out.extend_from_slice(&region.offset.to_le_bytes());
            out.extend_from_slice(&region.bytes.to_le_bytes());
        }
        out.extend_from_slice(&self.tombstones.to_le_bytes());
        out.resize(ROOT_AT, 0);
        let root = checksum::root(&out, level2);
        out.extend_from_slice(&root.to_le_bytes());
        let checksum = checksum::header_checksum(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        (out, root)
    }
}

/// The version of everything in this folder. Goes up with any change of bytes.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// The oldest that is read: the one before. It has no tombstones, and differs in nothing else.
const FORMAT_VERSION_OLDEST: u32 = 1;

const _: () = assert!(FORMAT_VERSION_OLDEST + 1 == FORMAT_VERSION);

/// How structured parts are archived: rkyv 0.8, 32-bit relative pointers, aligned, little-endian. Cargo features of that
/// package decide it, also those that another package of the build switches on, so a file says what it was written with.
pub(crate) const LAYOUT_WORD: u32 = 0x0008_2011;

/// Where the root of the checksums stands. It covers all before it.
pub(crate) const ROOT_AT: usize = 4080;

const MAGIC: &[u8; 8] = b"GANNETSG";
const REGIONS_AT: usize = 88;
const TOMBSTONES_AT: usize = REGIONS_AT + 6 * 16;
const CHECKSUM_AT: usize = 4088;
