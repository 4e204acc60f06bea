//! Reading the log back: what is delivered, where it ends, and whether that end is a tear or rot. Writes nothing.
//!
//! Records follow each other without a gap, each naming the checksum of the one before. Where that stops, one of two things
//! happened. Either the rest was never acknowledged: the crash came before its sync, and some of it may be there, in any order. Or it
//! was, and the disk lost it. What tells them apart is that each record says which sequence was durable when it was written: take
//! the highest such word that stands anywhere behind the break, in whatever order it got there. A record at or below it must exist.

use std::path::{Path, PathBuf};

use super::{
    Record, Sequence,
    reader::{Beyond, Expected, SegmentReader},
    record::Kind,
    segment::{Named, SegmentHeader, segment_name},
};
use crate::{
    disk::{Disk, Listed},
    error::{Corrupt, Error},
    limits::BLOCK_BYTES,
};

/// What reading the log back found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The last record, of whatever kind.
    pub last: Sequence,
    /// How many were delivered.
    pub records: u64,
    /// What was at the end and never durable.
    pub cut: Option<Cut>,
    /// Whether the log was closed, so that everything before is vouched for.
    pub was_closed: bool,
}

/// Bytes at the end of the log that are no longer part of it: written, but not acknowledged before a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub file: PathBuf,
    pub offset: u64,
    pub bytes: u64,
}

/// A segment that is there, and which records it begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) number: u64,
    pub(super) first: Sequence,
    /// How long its file is; 0 when that could not be read.
    pub(super) bytes: u64,
}

impl Held {
    fn of(header: &SegmentHeader) -> Self {
        Self { number: header.number, first: header.first, bytes: header.bytes }
    }
}

/// Where the log ends.
#[derive(Debug)]
pub(super) struct End {
    pub(super) reader: SegmentReader,
    /// Behind the last record, in the last segment.
    pub(super) offset: u64,
    pub(super) previous: u64,
    /// Of the last record.
    pub(super) epoch: u32,
    /// The highest of anything that stands in the last segment.
    pub(super) epoch_max: u32,
    /// Oldest first; the last one is the one that `reader` reads.
    pub(super) segments: Vec<Held>,
    /// The first record of the segment that reading started in. What is older waited to be freed when the process before ended.
    pub(super) start: Sequence,
}

/// Reads everything behind `from`. `None` where there is no log yet.
pub(super) fn read(
    disk: &dyn Disk,
    folder: &Path,
    listed: &[Listed],
    from: Sequence,
    is_to_be_synced: bool,
    each: &mut dyn FnMut(Record<'_>) -> Result<(), Error>,
) -> Result<(Recovered, Option<End>), Error> {
    let numbers = numbers(listed);
    let Some(start) = find_start(disk, folder, &numbers, from)? else {
        let recovered = Recovered { last: Sequence::default(), records: 0, cut: None, was_closed: false };
        return Ok((recovered, None));
    };
    let first = start.reader.header;
    let last = Sequence(first.first.0.saturating_sub(1));
    let mut reading = Reading {
        expected: Expected { sequence: first.first, epoch: first.epoch, previous: first.previous },
        recovered: Recovered { last, records: 0, cut: None, was_closed: false },
        durable: from.max(last),
        from,
        each,
    };
    let mut reader = start.reader;
    let mut segments = start.segments;
    let mut next_numbers = start.later.iter();
    loop {
        if is_to_be_synced {
            // What a killed process wrote is read here without being durable, and would be built upon.
            reader.file.sync().map_err(|source| Error::io("sync", &reader.path, source))?;
        }
        let offset = reading.segment(&mut reader)?;
        let Some(&number) = next_numbers.next() else {
            let beyond = reading.end(&mut reader, offset)?;
            let (epoch, previous) = (reading.expected.epoch, reading.expected.previous);
            let end = End {
                reader,
                offset,
                previous,
                epoch,
                epoch_max: epoch.max(beyond.epoch),
                segments,
                start: first.first,
            };
            return Ok((reading.recovered, Some(end)));
        };
        let next = SegmentReader::open(disk, folder, number)?;
        reading.turn(&mut reader, offset, &next)?;
        segments.push(Held::of(&next.header));
        reader = next;
    }
}

struct Start {
    reader: SegmentReader,
    /// The one to start in, and older ones.
    segments: Vec<Held>,
    /// Numbers that follow.
    later: Vec<u64>,
}

/// The segment that holds the record behind `from`, or would.
fn find_start(disk: &dyn Disk, folder: &Path, numbers: &[u64], from: Sequence) -> Result<Option<Start>, Error> {
    let missing = |expected: String, found: String| {
        Error::Corrupt(Corrupt { file: folder.display().to_string(), offset: 0, expected, found })
    };
    let mut later = Vec::new();
    let mut oldest = None;
    for (index, &number) in numbers.iter().enumerate().rev() {
        if let Some(&after) = later.first()
            && after != number + 1
        {
            let (expected, before) = (segment_name(number + 1), segment_name(number));
            return Err(missing(expected, format!("{before} and {} without it", segment_name(after))));
        }
        let reader = SegmentReader::open(disk, folder, number)?;
        if reader.header.first.0 <= from.0 + 1 {
            let mut segments = older(disk, folder, numbers.get(..index).unwrap_or_default(), reader.header.first);
            segments.push(Held::of(&reader.header));
            return Ok(Some(Start { reader, segments, later }));
        }
        later.insert(0, number);
        oldest = Some(reader.header);
    }
    match oldest {
        None if from == Sequence::default() => Ok(None),
        None => Err(missing(format!("a log with record {from}"), "none".into())),
        Some(SegmentHeader { number, first, .. }) => {
            let name = segment_name(number);
            let expected = format!("record {}, in a file before {name}", from.0 + 1);
            Err(missing(expected, format!("{name} as the first, whose records begin with {first}")))
        }
    }
}

/// Segments that are not needed any more and not freed yet. Nothing is read from them, so damage there is none of ours.
fn older(disk: &dyn Disk, folder: &Path, numbers: &[u64], next: Sequence) -> Vec<Held> {
    let mut first = next;
    let mut held = Vec::new();
    for &number in numbers.iter().rev() {
        let read = SegmentReader::open(disk, folder, number).map(|reader| Held::of(&reader.header));
        let read = read.unwrap_or(Held { number, first, bytes: 0 });
        first = read.first.min(first);
        held.push(Held { first, ..read });
    }
    held.reverse();
    held
}

struct Reading<'e> {
    expected: Expected,
    recovered: Recovered,
    /// The highest sequence that something says was durable.
    durable: Sequence,
    from: Sequence,
    each: &'e mut dyn FnMut(Record<'_>) -> Result<(), Error>,
}

impl Reading<'_> {
    /// Reads a segment as far as its records go. Returns where they end.
    fn segment(&mut self, reader: &mut SegmentReader) -> Result<u64, Error> {
        let mut end = BLOCK_BYTES as u64;
        while let Some(found) = reader.next(end, self.expected)? {
            let head = found.head;
            end = found.offset + head.record_bytes();
            self.expected.sequence = Sequence(head.sequence.0 + 1);
            self.expected.previous = found.checksum;
            self.expected.epoch = head.epoch;
            self.durable = self.durable.max(head.durable);
            self.recovered.last = head.sequence;
            self.recovered.was_closed = head.kind == Kind::Closing;
            if head.kind == Kind::Data && head.sequence > self.from {
                self.recovered.records += 1;
                (self.each)(Record { sequence: head.sequence, payload: reader.payload(&found)? })?;
            }
        }
        Ok(end)
    }

    /// Goes on to the next segment, which began when everything before it was durable.
    fn turn(&mut self, reader: &mut SegmentReader, offset: u64, next: &SegmentReader) -> Result<(), Error> {
        if next.header.log != reader.header.log {
            let expected = format!("log {:016x}", reader.header.log);
            return Err(next.corrupt(16, expected, format!("log {:016x}", next.header.log)));
        }
        if next.header.first > self.expected.sequence {
            self.durable = self.durable.max(Sequence(next.header.first.0 - 1));
            return Err(self.rot(reader, offset)?);
        }
        let (expected, found) = (self.expected, next.header);
        if (found.first, found.previous, found.epoch) != (expected.sequence, expected.previous, expected.epoch) {
            let expected = format!("a beginning with record {} behind {:016x}", expected.sequence, expected.previous);
            return Err(next.corrupt(32, expected, format!("record {} behind {:016x}", found.first, found.previous)));
        }
        Ok(())
    }

    /// Judges what is behind the last record of the last segment.
    fn end(&mut self, reader: &mut SegmentReader, offset: u64) -> Result<Beyond, Error> {
        let beyond = reader.look_beyond(offset, self.expected.epoch)?;
        self.durable = self.durable.max(beyond.durable);
        if self.expected.sequence <= self.durable {
            return Err(self.rot(reader, offset)?);
        }
        let remains = reader.remains(offset, self.expected)?;
        let torn_end = remains.map_or(0, |remains| remains + 1).next_multiple_of(BLOCK_BYTES as u64);
        let end = beyond.end.max(torn_end);
        if end > offset {
            self.recovered.cut = Some(Cut { file: reader.path.clone(), offset, bytes: end - offset });
            self.recovered.was_closed = false;
        }
        Ok(beyond)
    }

    /// The error for a record that was durable and is not there.
    fn rot(&self, reader: &mut SegmentReader, offset: u64) -> Result<Error, Error> {
        let remains = reader.remains(offset, self.expected)?;
        let found = if remains.is_some() { "one that does not match its checksums" } else { "no such record" };
        let expected = format!("record {}, as records up to {} were durable", self.expected.sequence, self.durable);
        Ok(reader.corrupt(remains.unwrap_or(offset), expected, found))
    }
}

/// Of the segments among these files, in ascending order.
pub(super) fn numbers(listed: &[Listed]) -> Vec<u64> {
    let mut numbers: Vec<u64> = listed.iter().filter_map(|entry| segment_number(&entry.name)).collect();
    numbers.sort_unstable();
    numbers
}

fn segment_number(name: &str) -> Option<u64> {
    match Named::of(name) {
        Named::Segment(number) => Some(number),
        _ => None,
    }
}
