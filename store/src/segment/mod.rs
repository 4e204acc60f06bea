//! Segments: one immutable file each, written front to back once, then mapped and read in place.
//!
//! | module | what |
//! |---|---|
//! | `writer` | rows in ascending hash order become a file |
//! | `output` | blocks, one after the other, with their checksums |
//! | `entries`, `index` | where each row lies; spilled beyond a bound, then laid out in groups |
//! | `map` | the mapped bytes, and what happens when the file under them goes away |
//! | `blocks` | the checksums, and which blocks are verified |
//! | `reader` | opening, and the stages of a lookup in memory |
//! | `cold` | the same stages over bytes that were read from the file |
//! | `residency` | what of the mapping is in memory: bringing in, watching, letting go |
//! | `scan` | all rows in stored order |

mod blocks;
mod cold;
mod entries;
mod index;
pub(crate) mod map;
mod output;
mod reader;
mod residency;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use cold::{FoundIn, RowIn};
pub use reader::SegmentInfo;
pub(crate) use reader::{Expected, Segment};
pub use residency::SegmentResidency;
pub(crate) use scan::Scan;
pub use writer::{Placement, SegmentSummary, SegmentWriter};

use crate::{format::placement, table::KeyHash};

/// Which of `partitions` segments holds this hash. Ascending hashes give ascending partitions.
#[inline]
pub fn partition_of(hash: KeyHash, partitions: u32) -> u32 {
    u32::try_from(placement::partition(hash.0, partitions)).unwrap_or(0) // below `partitions`
}
