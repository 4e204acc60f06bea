//! `gannet verify`.

use std::{path::Path, process::ExitCode};

use anyhow::Result;
use clap::Args;
use gannet_store::{
    Corrupt, Error, Table,
    directory::{DataDirectory, Manifest},
    log::Sequence,
    plane::WriteRows,
};

use crate::{
    keys,
    materialize::{Progress, Unit},
    output,
    repository::{self, plural},
    text,
};

/// Check every checksum of the live generation: manifest, definitions, keys, segments, the write log. Reads everything, changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet verify
  gannet verify --all       # older generations too

Damage is named by file and offset; the exit code is 1. What to do then: docs/operating/verify.md.")]
pub(crate) struct Verify {
    /// Also check the older generations that are still kept
    #[arg(long)]
    all: bool,
}

impl Verify {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let data = super::open(root)?;
        let mut outcome = Outcome::default();
        outcome.note(keys::read(&data).map(drop));
        let generations = match data.generations() {
            Ok(generations) => generations,
            Err(e) => {
                outcome.note(Err(e.into()));
                Vec::new()
            }
        };
        let first = if self.all { 0 } else { generations.len().saturating_sub(1) };
        for &generation in &generations[first..] {
            match self.manifest(&data, generation, generations.last() == Some(&generation)) {
                Ok(manifest) => check(&data, &manifest, &mut outcome),
                Err(e) => outcome.note(Err(e)),
            }
        }
        outcome.note(check_log(&data));
        if outcome.damaged > 0 {
            output::note(format_args!("error: {} found", plural(outcome.damaged, "fault")));
            return Ok(ExitCode::FAILURE);
        }
        if generations.is_empty() {
            output::say("Sound: nothing was published yet.")?;
        } else {
            let generations = plural(generations.len() - first, "generation");
            let (segments, bytes) = (plural(outcome.segments, "segment"), text::bytes(outcome.bytes));
            output::say(format_args!("Sound: {generations}, {segments}, {bytes}."))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The live one through the pointer to it, so that the pointer is checked too.
    fn manifest(&self, data: &DataDirectory, generation: u64, live: bool) -> Result<Manifest> {
        if live && let Some(manifest) = data.current()? {
            return Ok(manifest);
        }
        Ok(data.manifest(generation)?)
    }
}

/// Every record behind the live generation, each of which must be a write. What a running server is writing at this moment looks torn.
fn check_log(data: &DataDirectory) -> Result<()> {
    let position = data.current()?.map_or(0, |live| live.log_position);
    let read = data.read_log(Sequence(position), &mut |record| {
        let is_write = WriteRows::parse(record.payload).and_then(|mut rows| {
            while rows.next_row()?.is_some() {}
            Ok(())
        });
        is_write.map_err(|malformed| {
            let (expected, found) = (format!("record {} to be a write", record.sequence), malformed.to_string());
            let file = data.root().join("log").display().to_string();
            Error::Corrupt(Corrupt { file, offset: 0, expected, found })
        })
    })?;
    if let Some(cut) = read.and_then(|read| read.cut) {
        let (bytes, file) = (text::count(cut.bytes), cut.file.display());
        output::note(format_args!(
            "{file}: {bytes} bytes from byte {} on were not acknowledged yet, or never will be; the next start cuts them",
            cut.offset
        ));
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Outcome {
    damaged: usize,
    segments: usize,
    bytes: u64,
}

impl Outcome {
    /// Tells a fault at once, and goes on: one look should find all there are.
    fn note(&mut self, result: Result<()>) {
        if let Err(e) = result {
            self.damaged += 1;
            output::error(&e);
        }
    }
}

fn check(data: &DataDirectory, manifest: &Manifest, outcome: &mut Outcome) {
    outcome.note(repository::applied(data, Some(manifest)).map(drop));
    for (name, entry) in manifest.tables.iter().chain(&manifest.deltas) {
        let bytes: u64 = entry.segments.iter().map(|segment| segment.bytes).sum();
        let progress = Progress::new(name, bytes, Unit::Bytes);
        let verified = Table::open(data.root(), entry).and_then(|table| {
            table.verify(&mut |done| progress.reach(done, bytes))?;
            Ok(())
        });
        outcome.note(verified.map_err(Into::into));
        outcome.segments += entry.segments.len();
        outcome.bytes += bytes;
    }
}
