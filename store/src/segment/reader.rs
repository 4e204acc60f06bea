//! One mapped segment: opening it, and the stages of a lookup within it.

use std::{ops::Range, path::Path};

use super::{
    blocks::Blocks,
    map::{Direct, Map},
    residency::Residence,
};
use crate::{
    directory::SegmentEntry,
    error::{Corrupt, Error},
    format::{
        archive::read_schema,
        bucket::{self, BUCKET_BYTES},
        checksum,
        header::{Header, HeaderFault, UncheckedHeader},
        layout::RowHead,
        placement,
    },
    limits::{BLOCK_BYTES, ROW_ALIGNMENT, ROW_BYTES_MAX},
    row::{Row, RowLayout, damaged},
    schema::Schema,
    table::KeyHash,
};

/// What the manifest says about a segment. The file must agree in everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'m> {
    pub(crate) entry: &'m SegmentEntry,
    pub(crate) schema: &'m Schema,
    pub(crate) seed: u64,
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
}

/// A mapped segment whose first block, root, seeds and schema were checked. Other blocks are checked when touched.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(super) map: Map,
    pub(super) direct: Direct,
    pub(super) blocks: Blocks,
    pub(super) residence: Residence,
    pub(super) header: Header,
    pub(super) rows: Range<usize>,
    /// Where a row of average length ends, from its start; at most a line further, which is where larger rows go on.
    row_tail: usize,
    index_start: usize,
    /// One per group; on the heap, where no page fault can hit it.
    seeds: Box<[u16]>,
    pub(super) layout: RowLayout,
}

/// What a segment is made of, for inspection.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentInfo {
    pub file: String,
    pub id: u64,
    pub root: u64,
    pub seed: u64,
    pub partition: u32,
    pub rows: u64,
    /// Tombstones among the rows.
    pub tombstones: u64,
    pub raw_bytes: u64,
    pub event_time_min_us: Option<i64>,
    pub event_time_max_us: Option<i64>,
    pub groups: u64,
    /// Bytes of the file, and of its parts; padding to whole blocks is in the former only.
    pub bytes: u64,
    pub rows_bytes: u64,
    pub index_bytes: u64,
    pub seeds_bytes: u64,
    pub meta_bytes: u64,
    pub checksum_bytes: u64,
    /// Blocks verified since opening, of all: 0 to 1.
    pub verified: f64,
    /// Whether what is not in memory can be read past the page cache; the file system decides.
    pub direct_io: bool,
}

impl Segment {
    pub(crate) fn open(path: &Path, expected: Expected<'_>) -> Result<Self, Error> {
        let file = path.to_string_lossy();
        let map = Map::open(path)?;
        // Before the first look at it: the kernel reads megabytes ahead otherwise, in small pages, and where they are no huge ones fit.
        map.advise_random(&(0..map.bytes().len()))?;
        let header = check_header(&map, &file, expected)?;
        let level2_range = header.regions.level2.range();
        let level2 = map.bytes().get(level2_range.start..).unwrap_or_default(); // to the end: padding is covered, too
        let first_block = map.bytes().get(..BLOCK_BYTES).unwrap_or_default();
        let root = checksum::root(first_block, level2);
        agree(&file, "root", &expected.entry.root, &format!("{root:016x}"))?;
        agree(&file, "root in the header", &format!("{root:016x}"), &format!("{:016x}", header.root))?;

        let level2 = map.bytes().get(level2_range).unwrap_or_default();
        let blocks = Blocks::read(&map, &header, level2, &file)?;
        let verified = |range: Range<usize>| {
            if !range.is_empty() {
                blocks.ensure(&map, range.start)?;
                blocks.ensure_rest(&map, range.start, range.end)?;
            }
            Ok::<_, Corrupt>(map.bytes().get(range).unwrap_or_default())
        };
        let meta_range = header.regions.meta.range();
        let meta_offset = header.regions.meta.offset;
        let schema = read_schema(verified(meta_range)?);
        let schema = schema.ok_or_else(|| disagreement(&file, meta_offset, "an archived schema", "other bytes"))?;
        if schema != *expected.schema {
            return Err(disagreement(&file, meta_offset, "the manifest's schema", "another").into());
        }
        let seeds = verified(header.regions.seeds.range())?.as_chunks::<2>().0.iter();
        let seeds = seeds.map(|bytes| u16::from_le_bytes(*bytes)).collect();

        let segment = Self {
            rows: header.regions.rows.range(),
            row_tail: row_tail(&header),
            index_start: header.regions.index.range().start,
            layout: RowLayout::new(expected.schema, &file),
            residence: Residence::new(&header),
            direct: map.open_direct()?,
            map,
            blocks,
            header,
            seeds,
        };
        segment.check_mapping()?;
        Ok(segment)
    }

    /// Starts to load the bucket line of this hash.
    #[inline]
    pub(crate) fn prefetch_bucket(&self, hash: KeyHash) {
        if let Some(offset) = self.bucket_offset(hash) {
            self.map.prefetch(offset);
        }
    }

    /// Where the only row that can have this hash starts, in units of the row alignment; 0 if there is none. Starts to
    /// load the row.
    #[inline]
    pub(crate) fn probe(&self, hash: KeyHash) -> Result<u32, Corrupt> {
        let Some(offset) = self.bucket_offset(hash) else { return Ok(0) };
        self.blocks.ensure(&self.map, offset)?;
        let start = self.find(hash, self.map.bytes(), offset, offset)?;
        if start != 0 {
            let row_offset = row_offset(start);
            self.map.prefetch(row_offset);
            self.map.prefetch(row_offset + self.row_tail); // for most rows the same line, and then for free
        }
        Ok(start)
    }

    /// The row that starts there, with all its blocks verified.
    #[inline]
    pub(crate) fn row(&self, start: u32) -> Result<Row<'_>, Corrupt> {
        self.row_at(row_offset(start))
    }

    #[inline]
    pub(super) fn row_at(&self, offset: usize) -> Result<Row<'_>, Corrupt> {
        let no_row = || damaged(&self.layout, offset as u64, "a row");
        if !self.rows.contains(&offset) {
            return Err(no_row());
        }
        let bytes = self.map.bytes().get(offset..self.rows.end).ok_or_else(no_row)?;
        self.blocks.ensure(&self.map, offset)?;
        // The header lies in the first block: rows start at multiples of four and headers have two bytes at most. What it
        // says bounds what must be verified before the length can be read, and the length what must be verified then.
        let head = RowHead::read(bytes).ok_or_else(no_row)?;
        let prefix_end = head.prefix_end(&self.layout.columns);
        if prefix_end > ROW_BYTES_MAX || prefix_end > bytes.len() {
            return Err(no_row());
        }
        self.blocks.ensure_rest(&self.map, offset, offset + prefix_end)?;
        let row = Row::with_head(&self.layout, bytes, head, offset as u64).ok_or_else(no_row)?;
        self.blocks.ensure_rest(&self.map, offset, offset + row.bytes())?;
        Ok(row)
    }

    /// Whether there is a zero, with which no row starts.
    pub(super) fn is_padding(&self, offset: usize) -> Result<bool, Corrupt> {
        self.blocks.ensure(&self.map, offset)?;
        Ok(self.map.bytes().get(offset) == Some(&0))
    }

    /// What the zeros under a truncated file would say is not for anyone to see.
    #[inline]
    pub(crate) fn check_mapping(&self) -> Result<(), Corrupt> {
        if self.map.poisoned() {
            return Err(disagreement(&self.layout.file, 0, "a file that can be read", "pages that are gone"));
        }
        Ok(())
    }

    pub(crate) fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<(), Corrupt> {
        let is_resident = |offset| self.residence.holds(offset);
        self.blocks.verify_all(&self.map, &self.direct, is_resident, progress)?;
        self.check_mapping()
    }

    pub(crate) fn advise_scan(&self) -> Result<(), Error> {
        self.map.advise_sequential(&self.rows)
    }

    pub(super) fn rows_range(&self) -> Range<usize> {
        self.rows.clone()
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The newest event time, if there are rows.
    pub(crate) fn event_time_max_us(&self) -> Option<i64> {
        (self.header.rows > 0).then_some(self.header.event_time_max_us)
    }

    pub(crate) fn info(&self) -> SegmentInfo {
        let Header { regions, .. } = self.header;
        SegmentInfo {
            file: self.layout.file.to_string(),
            id: self.header.id,
            root: self.header.root,
            seed: self.header.seed,
            partition: self.header.partition,
            rows: self.header.rows,
            tombstones: self.header.tombstones,
            raw_bytes: self.header.raw_bytes,
            event_time_min_us: (self.header.rows > 0).then_some(self.header.event_time_min_us),
            event_time_max_us: self.event_time_max_us(),
            groups: self.header.groups,
            bytes: self.header.file_bytes,
            rows_bytes: regions.rows.bytes,
            index_bytes: regions.index.bytes,
            seeds_bytes: regions.seeds.bytes,
            meta_bytes: regions.meta.bytes,
            checksum_bytes: regions.level1.bytes + regions.level2.bytes,
            verified: self.blocks.verified_share(),
            direct_io: self.direct.is_direct,
        }
    }

    /// What the bucket line at `at` of `bytes`, which stands at `offset` of the file, says of this hash.
    #[inline]
    pub(super) fn find(&self, hash: KeyHash, bytes: &[u8], at: usize, offset: usize) -> Result<u32, Corrupt> {
        let Some(line) = bucket::line_at(bytes, at) else {
            return Err(damaged(&self.layout, offset as u64, "a bucket within the file"));
        };
        let start = bucket::find(line, placement::tag(hash.0));
        start.ok_or_else(|| damaged(&self.layout, offset as u64, "a bucket"))
    }

    /// `None`: there are no rows.
    #[inline]
    pub(super) fn bucket_offset(&self, hash: KeyHash) -> Option<usize> {
        let group = placement::group(hash.0, self.header.partitions, self.header.groups);
        let bucket = placement::bucket(hash.0, *self.seeds.get(group)?);
        Some(self.index_start + group * BLOCK_BYTES + bucket * BUCKET_BYTES)
    }
}

#[inline]
pub(super) fn row_offset(start: u32) -> usize {
    start as usize * ROW_ALIGNMENT
}

fn row_tail(header: &Header) -> usize {
    let average = header.regions.rows.bytes.checked_div(header.rows).unwrap_or(1).saturating_sub(1);
    usize::try_from(average).unwrap_or(usize::MAX).min(CACHE_LINE_BYTES)
}

/// The first block's fields, when they agree with the file's size and with the manifest.
fn check_header(map: &Map, file: &str, expected: Expected<'_>) -> Result<Header, Error> {
    let size = map.bytes().len() as u64;
    agree(file, "bytes", &expected.entry.bytes.to_string(), &size.to_string())?;
    let first_block = map.bytes().get(..BLOCK_BYTES);
    let first_block = first_block.ok_or_else(|| disagreement(file, size, "a first block", "the end of the file"))?;
    let header = UncheckedHeader(first_block).check().map_err(|fault| match fault {
        HeaderFault::Damaged { offset, expected, found } => {
            Corrupt { file: file.into(), offset, expected, found }.into()
        }
        HeaderFault::Unsupported { what, found, supported } => {
            Error::Unsupported { file: file.into(), what, found, supported }
        }
    })?;
    for (what, expected, found) in [
        ("bytes", size, header.file_bytes),
        ("rows", expected.entry.rows, header.rows),
        ("hash seed", expected.seed, header.seed),
        ("partition", expected.partition.into(), header.partition.into()),
        ("partitions", expected.partitions.into(), header.partitions.into()),
    ] {
        agree(file, what, &expected.to_string(), &found.to_string())?;
    }
    Ok(header)
}

fn agree(file: &str, what: &str, expected: &str, found: &str) -> Result<(), Corrupt> {
    if expected == found {
        return Ok(());
    }
    Err(disagreement(file, 0, &format!("{what} {expected}"), found))
}

#[cold]
fn disagreement(file: &str, offset: u64, expected: &str, found: &str) -> Corrupt {
    Corrupt { file: file.into(), offset, expected: expected.into(), found: found.into() }
}

const CACHE_LINE_BYTES: usize = 64;
