//! Lists of values with their times: the newest or oldest of a tile.

use std::ops::Range;

use super::view::{Damaged, Row};
use crate::aggregates::partial::{End, Kind, ListKind};

/// A value of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar {
    /// What has a fixed size: the bits, the lowest first.
    Word(u64),
    Bytes(Box<[u8]>),
}

/// Values of a tile, by time. Of equal times, those written later are nearer to the list's end of time: behind the others in a list of
/// the newest, before them in one of the oldest. So they are what stays where not all do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct List {
    kind: ListKind,
    values: Vec<(i64, Scalar)>,
}

impl List {
    pub(super) fn new(kind: ListKind) -> Self {
        Self { kind, values: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes in a value that was written after all others.
    pub(super) fn add(&mut self, time_us: i64, value: Scalar) {
        let length = usize::from(self.kind.length);
        let mut at = match self.kind.end {
            End::Last => self.values.partition_point(|(other, _)| *other <= time_us),
            End::First => self.values.partition_point(|(other, _)| *other < time_us),
        };
        let full = self.values.len() >= length;
        match self.kind.end {
            End::Last if full && at == 0 => return,
            End::First if full && at == self.values.len() => return,
            _ => {}
        }
        if self.kind.distinct
            && let Some(same) = self.values.iter().position(|(_, other)| *other == value)
        {
            match self.kind.end {
                End::Last if same >= at => return,
                End::First if same < at => return,
                _ => {}
            }
            self.values.remove(same);
            at -= usize::from(same < at);
        }
        self.values.insert(at, (time_us, value));
        if self.values.len() > length {
            match self.kind.end {
                End::Last => drop(self.values.remove(0)),
                End::First => drop(self.values.pop()),
            }
        }
    }

    /// Takes in a list of which everything was written after everything here.
    pub(super) fn absorb(&mut self, later: Self) {
        match self.kind.end {
            End::Last => later.values.into_iter().for_each(|(time_us, value)| self.add(time_us, value)),
            End::First => later.values.into_iter().rev().for_each(|(time_us, value)| self.add(time_us, value)),
        }
    }

    pub(super) fn encode(&self, value_kind: Kind, out: &mut Vec<u8>) {
        if self.values.is_empty() {
            return;
        }
        let count = u16::try_from(self.values.len()).unwrap_or(u16::MAX); // at most the list's length, which is 16 bits
        out.extend_from_slice(&count.to_le_bytes());
        self.values.iter().for_each(|(time_us, _)| out.extend_from_slice(&time_us.to_le_bytes()));
        if value_kind.fixed_bytes().is_none() {
            let mut end = 0;
            for (_, value) in &self.values {
                end += value.variable_bytes();
                out.extend_from_slice(&u32::try_from(end).unwrap_or(u32::MAX).to_le_bytes());
            }
        }
        self.values.iter().for_each(|(_, value)| value.encode(value_kind, out));
    }

    /// The list that an item of a row holds.
    pub(super) fn decode(kind: ListKind, value_kind: Kind, row: &Row<'_>, item: Range<usize>) -> Result<Self, Damaged> {
        let list = ListRef::read(row, item, kind, value_kind)?;
        let value = |at: usize| {
            let range = list.value(at)?;
            Ok((list.time_us(at), Scalar::decode(value_kind, row.bytes(range))))
        };
        Ok(Self { kind, values: (0..list.len()).map(value).collect::<Result<_, _>>()? })
    }
}

impl Scalar {
    /// Its length, where each value has its own.
    pub(super) fn variable_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Word(_) => 0,
        }
    }

    pub(super) fn encode(&self, kind: Kind, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Word(word) => out.extend_from_slice(&word.to_le_bytes()[..kind.fixed_bytes().unwrap_or(8)]),
        }
    }

    pub(super) fn decode(kind: Kind, bytes: &[u8]) -> Self {
        match kind.fixed_bytes() {
            None => Self::Bytes(bytes.into()),
            Some(_) => {
                let mut word = [0; 8];
                word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Self::Word(u64::from_le_bytes(word))
            }
        }
    }
}

/// A list in place, within one row.
#[derive(Debug, Clone)]
pub(in crate::aggregates) struct ListRef<'r> {
    times: &'r [[u8; 8]],
    ends: Option<&'r [[u8; 4]]>,
    fixed_bytes: usize,
    /// Where the values lie in the row.
    values: Range<usize>,
}

impl<'r> ListRef<'r> {
    pub(in crate::aggregates) fn read(
        row: &Row<'r>,
        item: Range<usize>,
        kind: ListKind,
        value_kind: Kind,
    ) -> Result<Self, Damaged> {
        let bytes = row.bytes(item.clone());
        let damaged = |expected| Damaged { at: item.start, expected };
        let Some((count, rest)) = bytes.split_first_chunk::<2>() else {
            let empty = Self { times: &[], ends: None, fixed_bytes: 0, values: item.end..item.end };
            return if bytes.is_empty() { Ok(empty) } else { Err(damaged("the count of a list")) };
        };
        let count = u16::from_le_bytes(*count);
        if count == 0 || count > kind.length {
            return Err(damaged("as many values as the list may have"));
        }
        let count = usize::from(count);
        let (times, rest) = rest.split_at_checked(count * 8).ok_or_else(|| damaged("the times of a list"))?;
        let (ends, rest, fixed_bytes) = match value_kind.fixed_bytes() {
            Some(bytes) => (None, rest, bytes),
            None => {
                let (ends, rest) = rest.split_at_checked(count * 4).ok_or_else(|| damaged("the ends of a list"))?;
                (Some(ends.as_chunks().0), rest, 0)
            }
        };
        let expected = match ends {
            None => count * fixed_bytes,
            Some(ends) => ends.last().map_or(0, |end| u32::from_le_bytes(*end) as usize),
        };
        if rest.len() != expected {
            return Err(damaged("the values of a list"));
        }
        Ok(Self { times: times.as_chunks().0, ends, fixed_bytes, values: item.end - rest.len()..item.end })
    }

    pub(in crate::aggregates) fn len(&self) -> usize {
        self.times.len()
    }

    pub(in crate::aggregates) fn time_us(&self, at: usize) -> i64 {
        self.times.get(at).map_or(0, |time| i64::from_le_bytes(*time))
    }

    /// Where in the row a value lies.
    pub(in crate::aggregates) fn value(&self, at: usize) -> Result<Range<usize>, Damaged> {
        let (start, end) = match self.ends {
            None => (at * self.fixed_bytes, (at + 1) * self.fixed_bytes),
            Some(ends) => {
                let end = |at: usize| ends.get(at).map_or(0, |end| u32::from_le_bytes(*end) as usize);
                (at.checked_sub(1).map_or(0, end), end(at))
            }
        };
        let range = self.values.start + start..self.values.start + end;
        (range.start <= range.end && range.end <= self.values.end)
            .then_some(range)
            .ok_or(Damaged { at: self.values.start, expected: "ends of a list that ascend" })
    }
}
