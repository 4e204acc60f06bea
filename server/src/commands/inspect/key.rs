//! `gannet inspect key`: one row, of what tables hold and what the write log holds behind them.

use std::{io::Write as _, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, bail};
use gannet_api::definitions::model::FeatureView;
use gannet_store::{
    ColumnType, Error, KeyType, Row, ValueRef,
    directory::{DataDirectory, Manifest, TableEntry},
    key::KeyWriter,
    levels::{Levels, newest},
    log::Sequence,
    plane::{WriteRows, fingerprint},
    row::RowLayout,
    schema::Schema,
};
use serde_json::Value as Json;

use super::{
    super::materialize::{find, views},
    open,
};
use crate::{clock, output, repository, text};

pub(super) fn show(data: &DataDirectory, name: &str, key: &[String], workspace: Option<&str>) -> Result<ExitCode> {
    let mut manifest = data.current()?;
    let Some(applied) = repository::applied(data, manifest.as_ref())? else { bail!("no definitions are live") };
    let all = views(&applied);
    let found = find(&all, workspace, name)?;
    let name = found.table();
    let schema = Arc::new(found.view.schema());
    let layout = RowLayout::new(&schema, "the write log");
    let encoded = encode(found.view, key)?;
    let written = loop {
        match written(data, manifest.as_ref(), &name, &schema, &encoded) {
            Ok(written) => break written,
            Err(error) => {
                // A server may have brought to tables, and freed, what was to be read.
                let live = data.current()?;
                let is_later = |live: &Manifest| manifest.as_ref().is_none_or(|read| read.generation < live.generation);
                if !live.as_ref().is_some_and(is_later) {
                    return Err(error.into());
                }
                manifest = live;
            }
        }
    };
    let (base, delta) = manifest
        .as_ref()
        .map_or((None, None), |manifest: &Manifest| (manifest.tables.get(&name), manifest.deltas.get(&name)));
    if base.or(delta).is_none() && written.is_empty() {
        bail!("{} was not materialized yet, and nothing was written to it that could be the key's", found.name());
    }
    if base.is_some_and(|base| base.schema != *schema) {
        bail!("{} changed since it was materialized; run `gannet materialize`", found.name());
    }
    let open = |entry: Option<&TableEntry>| entry.map(|entry| open(data, entry).map(Arc::new)).transpose();
    let delta = open(delta.filter(|delta| delta.schema == *schema))?;
    let levels = Levels { delta, base: open(base)? };
    let mut row = None;
    for table in levels.tables() {
        row = newest(row, table.lookup(&encoded)?);
    }
    let of_tables = row;
    for bytes in &written {
        row = newest(Some(Row::parse(&layout, bytes)?), row);
    }
    if schema.columns.iter().any(|column| column.column_type == ColumnType::Binary) {
        // Their rows count together, and only what serves them knows how.
        for (what, table) in [("written", &levels.delta), ("materialized", &levels.base)] {
            let Some(table) = table else { continue };
            let row = table.lookup(&encoded)?;
            let row = row.map_or_else(|| "no row".to_owned(), |row| format!("a row of {} bytes", row.bytes()));
            output::note(format_args!("{what}: {row}"));
        }
        let bytes: usize = written.iter().map(Vec::len).sum();
        output::note(format_args!("in the write log: {} rows of {bytes} bytes", written.len()));
    }
    let is_in_log = row.map(|row| row.encoded()) != of_tables.map(|row| row.encoded());
    let place = if is_in_log { "write log" } else { "tables" };
    let Some(row) = row.filter(|row| !row.is_tombstone()) else {
        match row {
            Some(deleted) => {
                let time = text::time(deleted.event_time_us());
                output::note(format_args!(
                    "absent: deleted, as the {place} has it, with what is not newer than {time}"
                ));
            }
            None => output::note("absent"),
        }
        return Ok(ExitCode::FAILURE);
    };
    let mut features = serde_json::Map::new();
    for (column, field) in schema.columns.iter().enumerate() {
        features.insert(field.name.clone(), json(row.value(column)?)?);
    }
    let now_us = clock::unix_us();
    // As it is served: what only batches fill has the age that it had where the last one's data ends.
    let batch_end_us =
        levels.base.as_ref().filter(|_| found.view.stream.is_none()).and_then(|base| base.newest_event_us());
    let lives_at_us = batch_end_us.map_or(now_us, |end_us| end_us.min(now_us));
    let expired = found.view.ttl_us.is_some_and(|ttl| row.event_time_us() <= lives_at_us.saturating_sub(ttl));
    let shown = serde_json::json!({
        "view": found.name(),
        "effectiveTime": text::time(row.event_time_us()),
        "expired": expired,
        "features": features,
        "bytes": row.bytes(),
        "in": place,
    });
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &shown)?;
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}

/// The key's rows in the write log behind what tables hold, as they were written.
fn written(
    data: &DataDirectory,
    manifest: Option<&Manifest>,
    table: &str,
    schema: &Arc<Schema>,
    key: &[u8],
) -> Result<Vec<Vec<u8>>, Error> {
    let (layout, fingerprint) = (RowLayout::new(schema, "the write log"), fingerprint(schema));
    let from = Sequence(manifest.map_or(0, |manifest| manifest.log_position));
    let mut found = Vec::new();
    data.read_log(from, &mut |record| {
        let Ok(mut write) = WriteRows::parse(record.payload) else { return Ok(()) };
        while let Ok(Some(row)) = write.next_row() {
            let is_of_table = row.table == table && row.fingerprint == fingerprint;
            if is_of_table && Row::parse(&layout, row.row)?.key() == key {
                found.push(row.row.to_vec());
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// Values by position, or `name=value` where every one is written so.
fn encode(view: &FeatureView, typed: &[String]) -> Result<Vec<u8>> {
    let names: Vec<_> = view.join_keys.iter().map(|key| key.name.as_str()).collect();
    if typed.len() != names.len() {
        bail!("`{}` has the join keys {}; give one value each", view.name, names.join(", "));
    }
    let named = |text: &str| text.split_once('=').is_some_and(|(name, _)| names.contains(&name));
    let by_name = typed.iter().all(|text| named(text));
    let types: Vec<_> = view.join_keys.iter().map(|key| key.key_type).collect();
    let mut encoded = Vec::new();
    let mut writer = KeyWriter::new(&types, &mut encoded);
    for (at, key) in view.join_keys.iter().enumerate() {
        let value = if by_name {
            let prefix = format!("{}=", key.name);
            let value = typed.iter().find_map(|text| text.strip_prefix(&prefix));
            value.with_context(|| format!("no value for the join key {}", key.name))?
        } else {
            &typed[at]
        };
        match key.key_type {
            KeyType::String => writer.string(value.as_bytes()),
            KeyType::Int64 => {
                writer.int64(value.parse().with_context(|| format!("join key {}: `{value}` is no int64", key.name))?);
            }
        }
    }
    if !writer.finish() {
        bail!("the key is too long");
    }
    Ok(encoded)
}

fn json(value: ValueRef<'_>) -> Result<Json> {
    let float =
        |value: f64| serde_json::Number::from_f64(value).map_or_else(|| Json::from(value.to_string()), Json::from);
    Ok(match value {
        ValueRef::Null => Json::Null,
        ValueRef::Boolean(value) => value.into(),
        ValueRef::Int64(value) => value.to_string().into(), // as on the wire
        ValueRef::Float32(value) => value.to_string().parse().map_or_else(|_| float(value.into()), float),
        ValueRef::Float64(value) => float(value),
        ValueRef::String(bytes) => String::from_utf8_lossy(bytes).into(),
        ValueRef::Timestamp(value) => text::time(value).into(),
        ValueRef::Binary(bytes) => format!("{} bytes", bytes.len()).into(),
        ValueRef::Array(array) => array.iter().map(|value| json(value?)).collect::<Result<Vec<_>>>()?.into(),
        ValueRef::Struct(fields) => fields.iter().map(|value| json(value?)).collect::<Result<Vec<_>>>()?.into(),
        ValueRef::Map(map) => {
            let mut object = serde_json::Map::new();
            for entry in map.iter() {
                let (key, value) = entry?;
                object.insert(String::from_utf8_lossy(key).into_owned(), json(value)?);
            }
            object.into()
        }
    })
}
