//! What a write is, as a record of the log: rows of one or more tables that count together or not at all.
//!
//! ```text
//! | version 1 | token: length, source, partition, sequence | items … |     length 0: no token; partition, sequence: u64
//! item of a table   | 0 | length, name | fingerprint of the schema: u64 |  the first is table 1, and so on
//! item of a row     | table | length, encoded row |
//! ```
//! Lengths and tables are varints. A reader that no longer knows a table, or knows it with another schema, passes over its rows.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::StreamTable;
use crate::{
    format::{
        archive::archive_schema,
        bytes::{u64_at, varint, write_varint},
    },
    overlay::TableId,
    schema::Schema,
};

/// Where in an outside log a write came from: one that is not later than what was taken of its source and partition was taken before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceToken {
    /// 1 to [`SOURCE_BYTES_MAX`](crate::limits::SOURCE_BYTES_MAX) bytes.
    pub source: String,
    pub partition: u64,
    pub sequence: u64,
}

/// Makes payloads, one after the other, in a buffer that goes along with each.
#[derive(Debug, Default)]
pub struct WriteBuilder {
    payload: Vec<u8>,
    /// In the order of their numbers.
    tables: Vec<TableId>,
    rows: u32,
}

impl WriteBuilder {
    /// Starts a write in this buffer, whose content goes. What was begun before and not finished is forgotten.
    pub fn begin(&mut self, mut buffer: Vec<u8>, token: Option<&SourceToken>) {
        buffer.clear();
        buffer.push(VERSION);
        match token {
            None => write_varint(&mut buffer, 0),
            Some(SourceToken { source, partition, sequence }) => {
                write_varint(&mut buffer, source.len());
                buffer.extend_from_slice(source.as_bytes());
                buffer.extend_from_slice(&partition.to_le_bytes());
                buffer.extend_from_slice(&sequence.to_le_bytes());
            }
        }
        self.payload = buffer;
        self.tables.clear();
        self.rows = 0;
    }

    /// Adds a row, or a tombstone, encoded by the table's schema.
    pub fn row(&mut self, table: &StreamTable, row: &[u8]) {
        let place = self.tables.iter().rposition(|known| *known == table.id).unwrap_or_else(|| {
            write_varint(&mut self.payload, 0);
            write_varint(&mut self.payload, table.name.len());
            self.payload.extend_from_slice(table.name.as_bytes());
            self.payload.extend_from_slice(&table.fingerprint.to_le_bytes());
            self.tables.push(table.id);
            self.tables.len() - 1
        });
        write_varint(&mut self.payload, place + 1);
        write_varint(&mut self.payload, row.len());
        self.payload.extend_from_slice(row);
        self.rows += 1;
    }

    /// Rows so far.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Bytes so far. More than [`LOG_PAYLOAD_BYTES_MAX`](crate::limits::LOG_PAYLOAD_BYTES_MAX) are refused.
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// The whole write.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }
}

/// Bytes that are no write. They passed the log's checksum, so they were written wrongly, or by a newer version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no write at byte {at} of a record of the log; it may have been written by a newer version")]
pub struct MalformedWrite {
    pub at: usize,
}

/// A write, read back.
#[derive(Debug, Clone)]
pub struct WriteRows<'w> {
    pub token: Option<SourceToken>,
    bytes: &'w [u8],
    at: usize,
    /// Name and schema's fingerprint, in the order of their numbers.
    tables: Vec<(&'w str, u64)>,
}

/// One row of a write, with the table that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteRow<'w> {
    pub table: &'w str,
    /// Equal to [`fingerprint`] of the schema by which the row was encoded.
    pub fingerprint: u64,
    pub row: &'w [u8],
}

impl<'w> WriteRows<'w> {
    /// Reads the beginning.
    pub fn parse(bytes: &'w [u8]) -> Result<Self, MalformedWrite> {
        let mut write = Self { token: None, bytes, at: 1, tables: Vec::new() };
        if bytes.first() != Some(&VERSION) {
            return Err(MalformedWrite { at: 0 });
        }
        let source = write.text().ok_or(MalformedWrite { at: 1 })?;
        if !source.is_empty() {
            let numbers = write.number().zip(write.number());
            let (partition, sequence) = numbers.ok_or(MalformedWrite { at: write.at })?;
            write.token = Some(SourceToken { source: source.to_owned(), partition, sequence });
        }
        Ok(write)
    }

    /// The next row; `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<WriteRow<'w>>, MalformedWrite> {
        let start = self.at;
        self.row().ok_or(MalformedWrite { at: start })
    }

    fn row(&mut self) -> Option<Option<WriteRow<'w>>> {
        while self.at < self.bytes.len() {
            match self.varint()? {
                0 => {
                    let table = (self.text()?, self.number()?);
                    self.tables.push(table);
                }
                number => {
                    let (table, fingerprint) = *self.tables.get(number - 1)?;
                    let bytes = self.varint()?;
                    return Some(Some(WriteRow { table, fingerprint, row: self.take(bytes)? }));
                }
            }
        }
        Some(None)
    }

    fn varint(&mut self) -> Option<usize> {
        let (number, bytes) = varint(self.bytes.get(self.at..)?)?;
        self.at += bytes;
        Some(number as usize)
    }

    fn number(&mut self) -> Option<u64> {
        let number = u64_at(self.bytes, self.at)?;
        self.at += size_of::<u64>();
        Some(number)
    }

    fn text(&mut self) -> Option<&'w str> {
        let bytes = self.varint()?;
        str::from_utf8(self.take(bytes)?).ok()
    }

    fn take(&mut self, bytes: usize) -> Option<&'w [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(bytes)?)?;
        self.at += bytes;
        Some(taken)
    }
}

/// Differs where schemas do.
pub fn fingerprint(schema: &Arc<Schema>) -> u64 {
    archive_schema(schema).map_or(0, |archived| xxh3_64(&archived))
}

const VERSION: u8 = 1;
