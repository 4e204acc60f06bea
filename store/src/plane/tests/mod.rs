//! The plane: driven by hand over a disk that crashes, and on its threads.

mod beside;
mod crashes;
mod damage;
mod full;
mod no_room;
mod threads;
mod world;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use super::*;
use crate::{
    error::Corrupt,
    row::{Row, RowLayout, RowWriter, tests::schema, write_tombstone},
    schema::{ColumnType, Schema},
    value::ValueRef,
};

/// A table of which the newest row counts, and one whose rows are added up.
const PLAIN: &str = "prod/plain";
const SUMS: &str = "prod/sums";

/// One number, and whether what lies below begins anew: a null second column.
fn number_schema() -> Schema {
    schema(vec![ColumnType::Int64, ColumnType::Boolean])
}

fn tables() -> StreamTables {
    tables_after(&StreamTables::default(), &[PLAIN, SUMS])
}

/// These tables and no others.
fn tables_after(before: &StreamTables, names: &[&str]) -> StreamTables {
    before.with(names.iter().map(|name| {
        let combine = (*name == SUMS).then(|| Arc::new(Sum::new()) as Arc<dyn Combine>);
        ((*name).to_owned(), number_schema(), combine)
    }))
}

/// A row with a number, or a tombstone.
fn row(key: &[u8], event_time_us: i64, number: Option<i64>) -> Vec<u8> {
    let Some(number) = number else {
        let mut bytes = Vec::new();
        write_tombstone(key, event_time_us, &mut bytes).unwrap();
        return bytes;
    };
    number_row(key, event_time_us, number, false)
}

fn number_row(key: &[u8], event_time_us: i64, number: i64, begins_anew: bool) -> Vec<u8> {
    // Made once: the long runs make rows by the hundred million.
    thread_local!(static WRITER: RefCell<RowWriter> = RefCell::new(RowWriter::new(&number_schema())));
    WRITER.with_borrow_mut(|writer| {
        writer.begin(key, event_time_us);
        writer.int64(0, number);
        if begins_anew {
            writer.boolean(1, true);
        }
        writer.finish().unwrap().to_vec()
    })
}

/// Adds the numbers up. What lies below a tombstone does not count.
#[derive(Debug)]
struct Sum {
    layout: RowLayout,
}

impl Sum {
    fn new() -> Self {
        Self { layout: RowLayout::new(&number_schema(), "a sum") }
    }

    fn parse<'r>(&'r self, row: &'r [u8]) -> Result<(Row<'r>, i64, bool), Corrupt> {
        let row = Row::parse(&self.layout, row)?;
        if row.is_tombstone() {
            return Ok((row, 0, true));
        }
        let ValueRef::Int64(number) = row.value(0)? else { panic!("a number") };
        Ok((row, number, !matches!(row.value(1)?, ValueRef::Null)))
    }
}

impl Combine for Sum {
    fn combine(&self, upper: &[u8], lower: &[u8], _now_us: i64, out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let (upper_row, upper_number, hides) = self.parse(upper)?;
        if hides {
            out.extend_from_slice(upper);
            return Ok(());
        }
        let (lower_row, lower_number, begins_anew) = self.parse(lower)?;
        let event_time_us = match lower_row.is_tombstone() {
            true => upper_row.event_time_us(),
            false => upper_row.event_time_us().max(lower_row.event_time_us()),
        };
        out.extend_from_slice(&number_row(upper_row.key(), event_time_us, upper_number + lower_number, begins_anew));
        Ok(())
    }
}

/// What a key comes to, from its rows, the upper ones first.
fn fold<'r>(rows: impl Iterator<Item = &'r [u8]>) -> Option<i64> {
    static SUM: LazyLock<Sum> = LazyLock::new(Sum::new);
    let mut total = None;
    for row in rows {
        let (row, number, hides) = SUM.parse(row).unwrap();
        if !row.is_tombstone() {
            total = Some(total.unwrap_or(0) + number);
        }
        if hides {
            break;
        }
    }
    total
}

/// A write of these rows.
fn payload<'r>(
    tables: &StreamTables,
    token: Option<&SourceToken>,
    rows: impl IntoIterator<Item = (&'r str, Vec<u8>)>,
) -> Vec<u8> {
    let mut builder = WriteBuilder::default();
    builder.begin(Vec::new(), token);
    for (table, row) in rows {
        builder.row(tables.get(table).unwrap(), &row);
    }
    builder.finish()
}
