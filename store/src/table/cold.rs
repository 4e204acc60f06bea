//! Lookups of what is not in memory: what to read from the file, and how to go on from what was read.
//!
//! Reading is the caller's part. Each step names one stretch of one file; `resume` takes its bytes and gives the row, or
//! the next step. There are three at most but for rows of many columns: bucket line, row, the same row at its full length.

use std::{os::fd::OwnedFd, sync::Arc};

use super::{KeyHash, Probe, Probed, Table};
use crate::{
    cache::RowId,
    error::Corrupt,
    row::Row,
    segment::{FoundIn, RowIn, Segment, partition_of},
};

/// A stretch of a file that a lookup needs and that is not in memory. Offset and length are multiples of
/// [`crate::limits::BLOCK_BYTES`], so that direct reads take them.
#[derive(Debug, Clone)]
pub struct ColdRead {
    pub file: Arc<OwnedFd>,
    pub offset: u64,
    pub length: u32,
}

/// Where a lookup stands that has to read from the file. For the table that gave it, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColdStep(Step);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Bucket {
        partition: u32,
        hash: KeyHash,
    },
    Row {
        probe: Probe,
        /// How many of its blocks are read, from its first on.
        blocks: u32,
    },
}

/// What a step's bytes led to.
#[derive(Debug)]
pub enum Resumed<'b> {
    Absent,
    Row(Row<'b>),
    /// The bucket line named a row that is in memory.
    At(Probe),
    /// This has to be read next.
    Again(ColdStep),
}

impl Table {
    /// The name of the row whose key has this hash.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is in the other field")]
    pub fn row_id(&self, hash: KeyHash) -> RowId {
        let segment = self.segment(partition_of(hash, self.partitions)).header().id;
        RowId { segment: segment ^ (hash.0 >> 32 << 32), key: hash.0 as u32 }
    }

    /// The row whose key has this hash, from bytes that [`Row::encoded`] gave for its [`RowId`] before, if its key is `key`.
    #[inline]
    pub fn cached_row<'b>(&'b self, hash: KeyHash, key: &[u8], encoded: &'b [u8]) -> Result<Option<Row<'b>>, Corrupt> {
        let row = self.segment(partition_of(hash, self.partitions)).row_of(encoded)?;
        Ok((row.key() == key).then_some(row))
    }

    /// Reads the row that `probe` named from the file, whether it is in memory or not.
    pub fn cold_row(&self, probe: Probe) -> ColdStep {
        let blocks = self.segment(probe.partition).usual_blocks(probe.start);
        ColdStep(Step::Row { probe, blocks })
    }

    /// What this step needs to read.
    pub fn cold_read(&self, step: ColdStep) -> ColdRead {
        let (segment, range) = match step.0 {
            Step::Bucket { partition, hash } => {
                let segment = self.segment(partition);
                // Steps are only made for segments that have buckets.
                (segment, segment.bucket_block(hash).unwrap_or_default())
            }
            Step::Row { probe, blocks } => {
                let segment = self.segment(probe.partition);
                (segment, segment.row_blocks(probe.start, blocks))
            }
        };
        // At most a row and a block.
        let length = u32::try_from(range.len()).unwrap_or(u32::MAX);
        ColdRead { file: segment.direct_file(), offset: range.start as u64, length }
    }

    /// What a step is told that the disk refused.
    pub fn unreadable(&self, step: ColdStep, errno: i32) -> Corrupt {
        let ColdRead { offset, length, .. } = self.cold_read(step);
        let partition = match step.0 {
            Step::Bucket { partition, .. } | Step::Row { probe: Probe { partition, .. }, .. } => partition,
        };
        Corrupt {
            file: self.segment(partition).file_name().to_owned(),
            offset,
            expected: format!("{length} readable bytes"),
            found: std::io::Error::from_raw_os_error(errno).to_string(),
        }
    }

    /// Goes on with a step for `key`, from exactly the bytes that `cold_read` asked for. Fewer are damage: the file is as long
    /// as its segment says.
    pub fn resume<'b>(&'b self, step: ColdStep, key: &[u8], bytes: &'b [u8]) -> Result<Resumed<'b>, Corrupt> {
        match step.0 {
            Step::Bucket { partition, hash } => {
                let segment = self.segment(partition);
                let FoundIn::RowAt(start) = segment.find_in(hash, bytes)? else { return Ok(Resumed::Absent) };
                let probe = Probe { partition, start };
                Ok(if self.is_resident(probe) { Resumed::At(probe) } else { Resumed::Again(self.cold_row(probe)) })
            }
            Step::Row { probe, blocks } => match self.segment(probe.partition).row_in(probe.start, blocks, bytes)? {
                RowIn::Whole(row) if row.key() == key => Ok(Resumed::Row(row)),
                RowIn::Whole(_) => Ok(Resumed::Absent),
                RowIn::Longer(blocks) => Ok(Resumed::Again(ColdStep(Step::Row { probe, blocks }))),
            },
        }
    }

    #[cold]
    pub(super) fn cold_probe(&self, partition: u32, hash: KeyHash) -> Probed {
        match self.segment(partition).bucket_block(hash) {
            Some(_) => Probed::Cold(ColdStep(Step::Bucket { partition, hash })),
            None => Probed::Absent,
        }
    }

    /// Probes and steps name partitions of the table that made them.
    #[inline]
    fn segment(&self, partition: u32) -> &Segment {
        &self.segments[partition as usize]
    }
}

const _: () = assert!(size_of::<ColdStep>() == 16, "requests that wait hold many");
