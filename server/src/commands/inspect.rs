//! `gannet inspect`.

mod key;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use gannet_store::{
    Table,
    directory::{DataDirectory, Manifest, TableEntry},
    log::Sequence,
};

use crate::{keys, output, text};

/// Look into a data directory. Changes nothing; works beside a running server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet inspect                                     # what is live: definitions, tables, sizes, times
  gannet inspect key plane_attributes N14228         # one row, of the tables and the write log
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
    /// The row of one key, as it is served; what the write log has of it counts
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
            Some(Command::Key { view, key, workspace }) => return key::show(&data, &view, &key, workspace.as_deref()),
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
        let newest = entry.newest_event_us().map_or_else(|| "-".to_owned(), text::time);
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

fn open(data: &DataDirectory, entry: &TableEntry) -> Result<Table> {
    Ok(Table::open(data.root(), entry)?)
}

/// Behind the name of a table: what was written to it since it was built or compacted.
const WRITTEN: &str = " (written)";
