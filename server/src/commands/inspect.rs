//! `gannet inspect`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use gannet_api::definitions::model::FeatureView;
use gannet_store::{
    ColumnType, KeyType, Table, ValueRef,
    directory::{DataDirectory, Manifest, TableEntry},
    key::KeyWriter,
    levels::Levels,
    log::Sequence,
};
use serde_json::Value as Json;

use super::materialize::{find, views};
use crate::{clock, keys, output, repository, text};

/// Look into a data directory. Changes nothing; works beside a running server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet inspect                                     # what is live: definitions, tables, sizes, times
  gannet inspect key plane_attributes N14228         # one row, as it is served
  gannet inspect key prod/route_stats carrier=UA origin=EWR
  gannet inspect definitions                         # every version that was applied
  gannet inspect definitions 3                       # the text of one
  gannet inspect segment data/segments/prod/user_profile/…-00000.seg")]
pub(crate) struct Inspect {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What one segment file is made of
    Segment { file: PathBuf },
    /// The row of one key, as it is served
    Key {
        /// The feature view, or workspace/view
        view: String,
        /// The values of the join keys, in the order of their names; or name=value in any order
        #[arg(required = true)]
        key: Vec<String>,
        /// The view's workspace
        #[arg(long, short)]
        workspace: Option<String>,
    },
    /// The versions of the definitions, or the text of one
    Definitions { version: Option<u64> },
}

impl Inspect {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let data = super::open(root)?;
        match self.command {
            None => overview(&data)?,
            Some(Command::Segment { file }) => segment(&data, &file)?,
            Some(Command::Definitions { version }) => definitions(&data, version)?,
            Some(Command::Key { view, key, workspace }) => return row(&data, &view, &key, workspace.as_deref()),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn overview(data: &DataDirectory) -> Result<()> {
    output::say(format_args!("data directory  {}", data.root().display()))?;
    let keys = keys::read(data)?;
    let active = keys.records().iter().filter(|record| !record.revoked).count();
    output::say(format_args!("keys            {active} not revoked, of {}", keys.records().len()))?;
    let Some(manifest) = data.current()? else { return output::say("generation      none yet; see `gannet apply`") };
    let kept: Vec<_> = data.generations()?.iter().map(ToString::to_string).collect();
    let created = text::time(manifest.created_at_us);
    output::say(format_args!("generation      {} of {created} (kept: {})", manifest.generation, kept.join(", ")))?;
    match manifest.definitions_version {
        None => output::say("definitions     none")?,
        Some(version) => {
            let info = data.definitions(version)?.info;
            let (applied, folder) = (text::time(info.applied_at_us), info.source_folder);
            output::say(format_args!("definitions     version {version} of {applied} from {folder}"))?;
        }
    }
    log(data, &manifest)?;
    let names = manifest.tables.keys().chain(manifest.deltas.keys());
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0).max("TABLE".len()) + WRITTEN.len();
    output::say(format_args!(
        "\n{:<width$} {:>14} {:>10} {:>9}  {:<27} BUILT",
        "TABLE", "ROWS", "ON DISK", "SEGMENTS", "NEWEST EVENT"
    ))?;
    let tables = manifest.tables.iter().map(|(name, entry)| (name.clone(), entry));
    let deltas = manifest.deltas.iter().map(|(name, entry)| (format!("{name}{WRITTEN}"), entry));
    let mut all: Vec<_> = tables.chain(deltas).collect();
    all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for (name, entry) in all {
        let bytes: u64 = entry.segments.iter().map(|segment| segment.bytes).sum();
        let newest = entry.event_time_max_us.map_or_else(|| "-".to_owned(), text::time);
        let (rows, built) = (text::count(entry.rows - entry.tombstones), text::time(entry.built_at_us));
        let (bytes, segments) = (text::bytes(bytes), entry.segments.len());
        output::say(format_args!("{name:<width$} {rows:>14} {bytes:>10} {segments:>9}  {newest:<27} {built}"))?;
    }
    Ok(())
}

/// What was written and is in no table yet.
fn log(data: &DataDirectory, manifest: &Manifest) -> Result<()> {
    let mut bytes = 0;
    let read = data.read_log(Sequence(manifest.log_position), &mut |record| {
        bytes += record.payload.len() as u64;
        Ok(())
    });
    let Some(read) = read.context("cannot read the write log")? else { return Ok(()) };
    let (records, bytes) = (text::count(read.records), text::bytes(bytes));
    output::say(format_args!(
        "write log       record {} is the last; {records} of {bytes} behind record {}, which tables hold",
        read.last, manifest.log_position
    ))?;
    for (source, partitions) in &manifest.source_positions {
        let taken: Vec<_> = partitions.iter().map(|(partition, sequence)| format!("{partition}: {sequence}")).collect();
        output::say(format_args!("source          {source}, taken by tables up to {}", taken.join(", ")))?;
    }
    Ok(())
}

fn definitions(data: &DataDirectory, version: Option<u64>) -> Result<()> {
    if let Some(version) = version {
        let known = data.definitions_versions()?;
        if !known.contains(&version) {
            bail!("there is no version {version} of the definitions; there are {known:?}");
        }
        for (path, text) in data.definitions(version)?.files {
            output::say(format_args!("# {path}\n{text}"))?;
        }
        return Ok(());
    }
    let live = data.current()?.and_then(|manifest| manifest.definitions_version);
    for version in data.definitions_versions()? {
        let info = data.definitions(version)?.info;
        let mark = if live == Some(version) { "live" } else { "" };
        let (applied, files) = (text::time(info.applied_at_us), info.files.len());
        let line = format!("{version:>6} {mark:<4} {applied:<28} {files:>4} files from {}", info.source_folder);
        output::say(line)?;
    }
    Ok(())
}

/// A segment is opened as part of its table, which holds the checksums that tie the two together.
fn segment(data: &DataDirectory, file: &Path) -> Result<()> {
    let wanted = file.canonicalize().with_context(|| format!("cannot find {}", file.display()))?;
    for generation in data.generations()?.into_iter().rev() {
        let manifest = data.manifest(generation)?;
        for (name, entry) in manifest.tables.iter().chain(&manifest.deltas) {
            let same = |relative: &str| data.root().join(relative).canonicalize().is_ok_and(|path| path == wanted);
            let Some(at) = entry.segments.iter().position(|segment| same(&segment.file)) else { continue };
            let table = open(data, entry)?;
            let Some(info) = table.segments().nth(at) else { continue };
            output::say(format_args!("table           {name} (generation {generation})"))?;
            let time = |time: Option<i64>| time.map_or_else(|| "-".to_owned(), text::time);
            output::say(format_args!("id              {:016x}", info.id))?;
            output::say(format_args!("root            {:016x}", info.root))?;
            output::say(format_args!("partition       {} of {}", info.partition, entry.segments.len()))?;
            output::say(format_args!("rows            {}", text::count(info.rows)))?;
            let (oldest, newest) = (time(info.event_time_min_us), time(info.event_time_max_us));
            output::say(format_args!("event times     {oldest} to {newest}"))?;
            output::say(format_args!("bytes           {}", text::count(info.bytes)))?;
            for (part, bytes) in [
                ("rows", info.rows_bytes),
                ("index", info.index_bytes),
                ("seeds", info.seeds_bytes),
                ("schema", info.meta_bytes),
                ("checksums", info.checksum_bytes),
            ] {
                output::say(format_args!("  {part:<13} {}", text::count(bytes)))?;
            }
            output::say(format_args!("keys and values {}", text::count(info.raw_bytes)))?;
            let direct = if info.direct_io { "yes" } else { "no: cold rows come through the page cache" };
            return output::say(format_args!("direct I/O      {direct}"));
        }
    }
    bail!("{} is no segment of a generation that {} keeps", file.display(), data.root().display())
}

fn row(data: &DataDirectory, name: &str, key: &[String], workspace: Option<&str>) -> Result<ExitCode> {
    let manifest = data.current()?;
    let Some(applied) = repository::applied(data, manifest.as_ref())? else { bail!("no definitions are live") };
    let all = views(&applied);
    let found = find(&all, workspace, name)?;
    let name = found.table();
    let (base, delta) = manifest
        .as_ref()
        .map_or((None, None), |manifest: &Manifest| (manifest.tables.get(&name), manifest.deltas.get(&name)));
    let schema = found.view.schema();
    if base.or(delta).is_none() {
        bail!("{} was not materialized yet, and nothing that was written to it is in a table", found.name());
    }
    if base.is_some_and(|base| base.schema != schema) {
        bail!("{} changed since it was materialized; run `gannet materialize`", found.name());
    }
    let open = |entry: Option<&TableEntry>| entry.map(|entry| open(data, entry).map(Arc::new)).transpose();
    let delta = open(delta.filter(|delta| delta.schema == schema))?;
    let levels = Levels { delta, base: open(base)?, covers: Sequence::default() };
    let encoded = encode(found.view, key)?;
    if let (Some(delta), Some(base)) = (&levels.delta, &levels.base)
        && schema.columns.iter().any(|column| column.column_type == ColumnType::Binary)
    {
        // Their rows count together, and only what serves them knows how.
        for (what, table) in [("written", delta), ("materialized", base)] {
            let row = table.lookup(&encoded)?;
            let row = row.map_or_else(|| "no row".to_owned(), |row| format!("a row of {} bytes", row.bytes()));
            output::note(format_args!("{what}: {row}"));
        }
    }
    let Some(row) = levels.lookup(&encoded)? else {
        output::note("absent");
        return Ok(ExitCode::FAILURE);
    };
    let mut features = serde_json::Map::new();
    for (column, field) in schema.columns.iter().enumerate() {
        features.insert(field.name.clone(), json(row.value(column)?)?);
    }
    let now_us = clock::unix_us();
    // As it is served: what only batches fill has the age that it had where the last one's data ends.
    let batch_end_us =
        levels.base.as_ref().filter(|_| found.view.stream.is_none()).and_then(|base| base.event_time_max_us());
    let lives_at_us = batch_end_us.map_or(now_us, |end_us| end_us.min(now_us));
    let expired = found.view.ttl_us.is_some_and(|ttl| row.event_time_us() <= lives_at_us.saturating_sub(ttl));
    let shown = serde_json::json!({
        "view": found.name(),
        "effectiveTime": text::time(row.event_time_us()),
        "expired": expired,
        "features": features,
        "bytes": row.bytes(),
    });
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &shown)?;
    writeln!(out)?;
    Ok(ExitCode::SUCCESS)
}

fn open(data: &DataDirectory, entry: &TableEntry) -> Result<Table> {
    Ok(Table::open(data.root(), entry)?)
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

/// Behind the name of a table: what was written to it since it was built or compacted.
const WRITTEN: &str = " (written)";
