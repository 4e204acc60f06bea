//! A row read in place.

use std::ops::Range;

use super::{FLAG_ANEW, FLAG_EVENTS, FLAG_GROUPED, HEAD_BYTES, VERSION};
use crate::aggregates::{
    partial::Shape,
    window::{Grid, PAST, Span},
};

/// Bytes that may be a row.
#[derive(Debug, Clone, Copy)]
pub struct UncheckedRow<'r>(&'r [u8]);

/// A row whose parts lie where its head says: every array has an item of a known size for each tile, or an end.
///
/// What lies within an item of no fixed size is looked at when it is used, and told as [`Damaged`] then. Bytes with the head of a row
/// and nonsense behind it give nonsense or that, never a panic; telling nonsense is what the checksums of segments and log are for.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    bytes: &'r [u8],
    tiles: usize,
    newest_event_us: i64,
    begins_anew: bool,
    /// `None` without secondary keys: all tiles are one group.
    groups: Option<Groups<'r>>,
    numbers: &'r [[u8; 8]],
    array_ends: &'r [[u8; 4]],
    /// Where the arrays start.
    area: usize,
}

#[derive(Debug, Clone, Copy)]
struct Groups<'r> {
    ends: &'r [[u8; 4]],
    key_ends: &'r [[u8; 4]],
    /// Where the keys start.
    keys: usize,
}

/// Why bytes are no row of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a row of tiles is damaged at byte {at}: expected {expected}")]
pub struct Damaged {
    pub at: usize,
    pub expected: &'static str,
}

/// How many values each tile has, in the size that the row keeps them in.
#[derive(Debug, Clone, Copy)]
pub(in crate::aggregates) enum Counts<'r> {
    One(&'r [[u8; 1]]),
    Four(&'r [[u8; 4]]),
    Eight(&'r [[u8; 8]]),
}

impl<'r> UncheckedRow<'r> {
    pub fn new(bytes: &'r [u8]) -> Self {
        Self(bytes)
    }

    /// The row, if the bytes are one of this shape and nothing more. Its cost goes by the number of arrays and groups, not of tiles.
    pub(in crate::aggregates) fn check(self, shape: &Shape) -> Result<Row<'r>, Damaged> {
        let mut reader = Reader { bytes: self.0, at: 0 };
        let flags = if matches!(shape.grid, Grid::Events) { FLAG_EVENTS } else { 0 }
            | if shape.grouped { FLAG_GROUPED } else { 0 };
        let [version, found_flags] = *reader.take::<2>("a version and flags")?;
        reader.expect(version == VERSION, 0, "version 1")?;
        reader.expect(found_flags & !FLAG_ANEW == flags, 1, "the flags of this view")?;
        let arrays = u16::from_le_bytes(*reader.take("the number of arrays")?);
        reader.expect(arrays == shape.arrays, 2, "as many arrays as the view has")?;
        let fingerprint = u32::from_le_bytes(*reader.take("a fingerprint")?);
        reader.expect(fingerprint == shape.fingerprint, 4, "the fingerprint of the view's aggregations")?;
        let tiles = u32::from_le_bytes(*reader.take("the number of tiles")?) as usize;
        let group_count = u32::from_le_bytes(*reader.take("the number of groups")?) as usize;
        let newest_event_us = i64::from_le_bytes(*reader.take("the newest event's time")?);
        let groups = match shape.grouped {
            true => Some(reader.groups(group_count, tiles)?),
            false => {
                reader.expect(group_count == usize::from(tiles > 0), 12, "one group, or none without tiles")?;
                None
            }
        };
        let numbers = reader.list::<8>(tiles, "tile numbers")?;
        let array_ends = reader.list::<4>(usize::from(arrays), "ends of arrays")?;
        let area = reader.at;
        let begins_anew = found_flags & FLAG_ANEW != 0;
        let row = Row { bytes: self.0, tiles, newest_event_us, begins_anew, groups, numbers, array_ends, area };
        row.check_arrays(shape)?;
        Ok(row)
    }
}

impl<'r> Row<'r> {
    /// Microseconds since the Unix epoch of the newest event that the row was given and may still hold.
    pub fn newest_event_us(&self) -> i64 {
        self.newest_event_us
    }

    /// Whether nothing counts that was written before it: its key was deleted in between.
    pub fn begins_anew(&self) -> bool {
        self.begins_anew
    }

    /// How many tiles, or events, it holds.
    pub fn tiles(&self) -> usize {
        self.tiles
    }

    pub(in crate::aggregates) fn bytes(&self, range: Range<usize>) -> &'r [u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    pub(in crate::aggregates) fn number(&self, tile: usize) -> i64 {
        self.numbers.get(tile).map_or(PAST, |number| i64::from_le_bytes(*number))
    }

    pub(in crate::aggregates) fn groups(&self) -> usize {
        match self.groups {
            Some(groups) => groups.ends.len(),
            None => usize::from(self.tiles > 0),
        }
    }

    /// The secondary key of a group; empty without.
    pub(in crate::aggregates) fn key(&self, group: usize) -> &'r [u8] {
        self.bytes(self.key_range(group))
    }

    /// Where in the row it lies.
    pub(in crate::aggregates) fn key_range(&self, group: usize) -> Range<usize> {
        let Some(groups) = self.groups else { return 0..0 };
        let key = span_of(groups.key_ends, group);
        groups.keys + key.start..groups.keys + key.end
    }

    /// The tiles of a group.
    pub(in crate::aggregates) fn group(&self, group: usize) -> Range<usize> {
        let Some(groups) = self.groups else { return 0..self.tiles };
        let range = span_of(groups.ends, group);
        range.start.min(self.tiles)..range.end.min(self.tiles)
    }

    /// The tiles of a group within a span, and whether its first tile is the past and counts, too.
    pub(in crate::aggregates) fn within(&self, group: usize, span: Span) -> (Option<usize>, Range<usize>) {
        let group = self.group(group);
        let numbers = self.numbers.get(group.clone()).unwrap_or_default();
        let before = |bound: i64| {
            // A window often takes all that there is at one of its ends.
            match (numbers.first(), numbers.last()) {
                (Some(first), _) if i64::from_le_bytes(*first) >= bound => 0,
                (_, Some(last)) if i64::from_le_bytes(*last) < bound => numbers.len(),
                _ => numbers.partition_point(|number| i64::from_le_bytes(*number) < bound),
            }
        };
        let (from, to) = (before(span.from), before(span.to));
        let past = span.with_past && numbers.first().is_some_and(|number| i64::from_le_bytes(*number) == PAST);
        (past.then_some(group.start), group.start + from..group.start + to.max(from))
    }

    /// Whether one of these tiles has this number.
    pub(in crate::aggregates) fn has(&self, tiles: Range<usize>, number: i64) -> bool {
        let numbers = self.numbers.get(tiles).unwrap_or_default();
        numbers.binary_search_by_key(&number, |number| i64::from_le_bytes(*number)).is_ok()
    }

    fn array(&self, array: usize) -> &'r [u8] {
        self.bytes.get(self.array_range(array)).unwrap_or_default()
    }

    fn array_range(&self, array: usize) -> Range<usize> {
        let range = span_of(self.array_ends, array);
        self.area + range.start..self.area + range.end
    }

    /// The items of an array whose items have this size, for these tiles.
    #[inline]
    pub(in crate::aggregates) fn words<const BYTES: usize>(
        &self,
        array: usize,
        tiles: Range<usize>,
    ) -> &'r [[u8; BYTES]] {
        self.array(array).as_chunks::<BYTES>().0.get(tiles).unwrap_or_default()
    }

    /// The size of an array's items.
    pub(in crate::aggregates) fn width(&self, array: usize) -> usize {
        self.array_range(array).len().checked_div(self.tiles).unwrap_or_default()
    }

    #[inline]
    pub(in crate::aggregates) fn counts(&self, array: usize, tiles: Range<usize>) -> Counts<'r> {
        match self.width(array) {
            1 => Counts::One(self.words(array, tiles)),
            4 => Counts::Four(self.words(array, tiles)),
            _ => Counts::Eight(self.words(array, tiles)),
        }
    }

    /// An item of a fixed size.
    pub(super) fn fixed(&self, array: usize, tile: usize, bytes: usize) -> &'r [u8] {
        self.array(array).get(tile * bytes..(tile + 1) * bytes).unwrap_or_default()
    }

    pub(super) fn float(&self, array: usize, tile: usize) -> f64 {
        self.words(array, tile..tile + 1).first().map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
    }

    /// An integer of 8 or 16 bytes.
    pub(super) fn wide_integer(&self, array: usize, tile: usize) -> i128 {
        match self.width(array) {
            16 => self.words(array, tile..tile + 1).first().map_or(0, |bytes| i128::from_le_bytes(*bytes)),
            _ => self.words(array, tile..tile + 1).first().map_or(0, |bytes| i128::from(i64::from_le_bytes(*bytes))),
        }
    }

    /// Where in the row an item of no fixed size lies.
    pub(in crate::aggregates) fn item(&self, array: usize, tile: usize) -> Result<Range<usize>, Damaged> {
        let range = self.array_range(array);
        let area = range.start + self.tiles * 4;
        let ends = self.array(array).get(..self.tiles * 4).unwrap_or_default().as_chunks::<4>().0;
        let item = span_of(ends, tile);
        let (start, end) = (area + item.start, area + item.end);
        (start <= end && end <= range.end)
            .then_some(start..end)
            .ok_or(Damaged { at: range.start, expected: "ends that ascend" })
    }

    /// Where in the row an event's value lies, of this size or of its own.
    pub(in crate::aggregates) fn value(
        &self,
        array: usize,
        event: usize,
        fixed_bytes: Option<usize>,
    ) -> Result<Range<usize>, Damaged> {
        let Some(bytes) = fixed_bytes else { return self.item(array, event) };
        let start = self.array_range(array).start + event * bytes;
        Ok(start..start + bytes)
    }

    fn check_arrays(&self, shape: &Shape) -> Result<(), Damaged> {
        let mut array = 0;
        let mut end = self.area;
        for column in &shape.columns {
            for partial in &column.partials {
                let range = self.array_range(array);
                let damaged = |expected| Err(Damaged { at: range.start, expected });
                if range.start != end || range.end < range.start || range.end > self.bytes.len() {
                    return damaged("arrays that follow each other");
                }
                let widths = partial.widths(column.kind);
                if widths.is_empty() {
                    let ends = self.array(array).get(..self.tiles * 4).map(|ends| ends.as_chunks::<4>().0);
                    let Some(ends) = ends else { return damaged("the end of each item") };
                    let items = ends.last().map_or(0, |last| u32::from_le_bytes(*last) as usize);
                    if range.len() != self.tiles * 4 + items {
                        return damaged("items up to the last end");
                    }
                } else if !widths.iter().any(|width| range.len() == width * self.tiles) {
                    return damaged("an item of a known size for each tile");
                }
                end = range.end;
                array += 1;
            }
        }
        (end == self.bytes.len()).then_some(()).ok_or(Damaged { at: end, expected: "the end of the row" })
    }
}

impl Counts<'_> {
    /// The count at a position.
    pub(in crate::aggregates) fn at(&self, position: usize) -> u64 {
        match self {
            Self::One(counts) => counts.get(position).map(|count| u64::from(count[0])),
            Self::Four(counts) => counts.get(position).map(|count| u64::from(u32::from_le_bytes(*count))),
            Self::Eight(counts) => counts.get(position).map(|count| u64::from_le_bytes(*count)),
        }
        .unwrap_or_default()
    }
}

/// Between the end before and the end of an item.
fn span_of(ends: &[[u8; 4]], position: usize) -> Range<usize> {
    let end = |position: usize| ends.get(position).map_or(0, |end| u32::from_le_bytes(*end) as usize);
    position.checked_sub(1).map_or(0, end)..end(position)
}

struct Reader<'r> {
    bytes: &'r [u8],
    at: usize,
}

impl<'r> Reader<'r> {
    fn take<const BYTES: usize>(&mut self, expected: &'static str) -> Result<&'r [u8; BYTES], Damaged> {
        let found = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        let found = found.ok_or(Damaged { at: self.at, expected })?;
        self.at += BYTES;
        Ok(found)
    }

    fn slice(&mut self, bytes: usize, expected: &'static str) -> Result<&'r [u8], Damaged> {
        let end = self.at.checked_add(bytes);
        let found = end.and_then(|end| self.bytes.get(self.at..end));
        let found = found.ok_or(Damaged { at: self.at, expected })?;
        self.at += bytes;
        Ok(found)
    }

    fn list<const BYTES: usize>(&mut self, count: usize, expected: &'static str) -> Result<&'r [[u8; BYTES]], Damaged> {
        let bytes = count.checked_mul(BYTES).ok_or(Damaged { at: self.at, expected })?;
        Ok(self.slice(bytes, expected)?.as_chunks().0)
    }

    /// Groups whose ends and keys ascend, and that take all tiles.
    fn groups(&mut self, count: usize, tiles: usize) -> Result<Groups<'r>, Damaged> {
        let at = self.at;
        let ends = self.list::<4>(count, "ends of groups")?;
        let key_ends = self.list::<4>(count, "ends of keys")?;
        let last = |ends: &[[u8; 4]]| ends.last().map_or(0, |end| u32::from_le_bytes(*end) as usize);
        let groups = Groups { ends, key_ends, keys: self.at };
        let keys = self.slice(last(key_ends), "keys")?;
        let mut before: Option<&[u8]> = None;
        for group in 0..count {
            let key = keys.get(span_of(key_ends, group)).ok_or(Damaged { at, expected: "ends of keys that ascend" })?;
            self.expect(!span_of(ends, group).is_empty(), at, "groups with tiles")?;
            self.expect(before.is_none_or(|before| before < key), at, "keys that ascend")?;
            before = Some(key);
        }
        self.expect(last(ends) == tiles, at, "groups of all tiles")?;
        Ok(groups)
    }

    fn expect(&self, holds: bool, at: usize, expected: &'static str) -> Result<(), Damaged> {
        if holds { Ok(()) } else { Err(Damaged { at, expected }) }
    }
}

const _: () = assert!(HEAD_BYTES == 2 + 2 + 4 + 4 + 4 + 8);
