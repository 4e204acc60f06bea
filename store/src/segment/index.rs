//! Lays out the index: groups of 64 buckets of ten, about 384 rows to a group.
//!
//! Each group gets the smallest seed under which no bucket takes more than ten rows and no two rows of a bucket have the
//! same tag. So a key has one bucket, and one row at most in it; nothing overflows and nothing is probed twice. If a group
//! has no such seed, the whole index gets 3 % more groups.

use super::{
    entries::{Entries, Entry},
    output::Output,
};
use crate::{
    error::Error,
    format::{
        bucket::{BucketLine, SLOTS},
        placement::{self, BUCKETS, GROUP_ROWS},
    },
    limits::{BLOCK_BYTES, INDEX_ATTEMPTS_MAX},
};

/// An index that was written.
#[derive(Debug)]
pub(super) struct IndexSummary {
    pub(super) groups: u64,
    pub(super) seeds: Vec<u16>,
}

/// Why an index, or a group, does not come out.
#[derive(Debug)]
pub(super) enum IndexFault {
    /// Some group is too full or unlucky: more groups will help.
    NoSeed,
    /// Two rows have the same hash: nothing but another hash seed will help.
    SameHash,
    Failed(Error),
}

/// Writes the index of all entries from where `output` stands.
pub(super) fn write(
    output: &mut Output,
    entries: &mut Entries,
    partitions: u32,
    table_seed: u64,
) -> Result<IndexSummary, Error> {
    let start = output.position();
    let mut groups = entries.len().div_ceil(GROUP_ROWS);
    for _ in 0..INDEX_ATTEMPTS_MAX {
        match write_groups(output, entries, partitions, groups) {
            Ok(seeds) => return Ok(IndexSummary { groups, seeds }),
            Err(IndexFault::NoSeed) => {
                groups += (groups * 3 / 100).max(1);
                output.rewind(start)?;
            }
            Err(IndexFault::SameHash) => break,
            Err(IndexFault::Failed(error)) => return Err(error),
        }
    }
    Err(Error::Reseed { seed: table_seed })
}

fn write_groups(
    output: &mut Output,
    entries: &mut Entries,
    partitions: u32,
    groups: u64,
) -> Result<Vec<u16>, IndexFault> {
    let mut seeds = Vec::new();
    let mut group: Vec<Entry> = Vec::new();
    let mut fault = None;
    let mut search = GroupSearch::default();
    let mut end_group = |group: &mut Vec<Entry>, seeds: &mut Vec<u16>| {
        let seed = search.seed(group)?;
        output.write(search.lines(group, seed)).map_err(IndexFault::Failed)?;
        seeds.push(seed);
        group.clear();
        Ok(())
    };
    let visited = entries.for_each(|entry| {
        let belongs = placement::group(entry.hash, partitions, groups);
        while fault.is_none() && seeds.len() < belongs {
            fault = end_group(&mut group, &mut seeds).err();
        }
        group.push(entry);
        match &fault {
            None => Ok(()),
            // Stops the walk; the fault itself is what is reported.
            Some(_) => Err(Error::NotARow),
        }
    });
    match (fault, visited) {
        (Some(fault), _) => return Err(fault),
        (None, Err(error)) => return Err(IndexFault::Failed(error)),
        (None, Ok(())) => {}
    }
    while (seeds.len() as u64) < groups {
        end_group(&mut group, &mut seeds)?;
    }
    Ok(seeds)
}

/// Finds the seed of one group after the other.
#[derive(Debug, Default)]
pub(super) struct GroupSearch {
    by_tag: Vec<u64>,
    /// Pairs of rows with the same tag, which must not share a bucket.
    twins: Vec<(u64, u64)>,
    block: Vec<u8>,
}

impl GroupSearch {
    pub(super) fn seed(&mut self, group: &[Entry]) -> Result<u16, IndexFault> {
        if group.len() > BUCKETS * SLOTS {
            return Err(IndexFault::NoSeed);
        }
        self.find_twins(group)?;
        (0..=u16::MAX).find(|&seed| self.suits(group, seed)).ok_or(IndexFault::NoSeed)
    }

    fn find_twins(&mut self, group: &[Entry]) -> Result<(), IndexFault> {
        self.by_tag.clear();
        self.by_tag.extend(group.iter().map(|entry| entry.hash));
        self.by_tag.sort_unstable_by_key(|&hash| (placement::tag(hash), hash));
        self.twins.clear();
        for (index, &hash) in self.by_tag.iter().enumerate() {
            let same_tag = |other: &&u64| placement::tag(**other) == placement::tag(hash);
            for &other in self.by_tag[index + 1..].iter().take_while(same_tag) {
                if other == hash {
                    return Err(IndexFault::SameHash);
                }
                self.twins.push((hash, other));
            }
        }
        Ok(())
    }

    fn suits(&self, group: &[Entry], seed: u16) -> bool {
        let mut rows = [0_u8; BUCKETS];
        for entry in group {
            let bucket = &mut rows[placement::bucket(entry.hash, seed)];
            *bucket += 1;
            if usize::from(*bucket) > SLOTS {
                return false;
            }
        }
        self.twins.iter().all(|&(one, other)| placement::bucket(one, seed) != placement::bucket(other, seed))
    }

    /// The group's block.
    pub(super) fn lines(&mut self, group: &[Entry], seed: u16) -> &[u8] {
        let mut lines = [BucketLine::EMPTY; BUCKETS];
        for entry in group {
            let added = lines[placement::bucket(entry.hash, seed)].add(placement::tag(entry.hash), entry.start);
            debug_assert!(added, "a seed that suits leaves room for every row");
        }
        self.block.clear();
        for line in &lines {
            line.write(&mut self.block);
        }
        debug_assert_eq!(self.block.len(), BLOCK_BYTES);
        &self.block
    }
}
