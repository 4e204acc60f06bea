//! One file per command: what its flags are, what they mean, what is said.

pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod inspect;
pub(crate) mod keys;
pub(crate) mod materialize;
pub(crate) mod plan;
pub(crate) mod quickstart;
pub(crate) mod serve;
pub(crate) mod verify;
pub(crate) mod version;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_store::{
    Error,
    directory::{DataDirectory, WriterLock},
};

use crate::{
    cli::{Cli, Command},
    output,
};

/// Runs one command to its end.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let data = |default: &str| cli.data.clone().unwrap_or_else(|| PathBuf::from(default));
    match cli.command {
        Command::Plan(command) => command.run(&data(DATA)),
        Command::Apply(command) => command.run(&data(DATA)),
        Command::Materialize(command) => command.run(&data(DATA)),
        Command::Serve(command) => command.run(&data(DATA)),
        Command::Inspect(command) => command.run(&data(DATA)),
        Command::Verify(command) => command.run(&data(DATA)),
        Command::Keys(command) => command.run(&data(DATA)),
        Command::Quickstart(command) => command.run(&data(quickstart::DATA)),
        Command::Completions(command) => command.run(),
        Command::Version(command) => command.run(),
    }
}

/// Opens a data directory that must be there.
fn open(root: &Path) -> Result<DataDirectory> {
    if !root.exists() && Path::new(quickstart::DATA).exists() {
        anyhow::bail!(
            "there is no data directory at {}; name one with --data, such as that of the quickstart: --data {}",
            root.display(),
            quickstart::DATA
        );
    }
    if !root.exists() {
        anyhow::bail!(
            "there is no data directory at {}; make one with `gannet apply`, or name another with --data",
            root.display()
        );
    }
    DataDirectory::open(root).context("cannot open the data directory")
}

/// The right to write to a data directory. A server that flushes or compacts holds it for a moment, to publish, and is waited for.
fn lock(data: &DataDirectory) -> Result<WriterLock> {
    for attempt in 0..LOCK_ATTEMPTS {
        match data.lock() {
            Err(error @ Error::Locked { .. }) => {
                if attempt == LOCK_ATTEMPTS_SILENT {
                    output::note(format_args!("waiting: {error}"));
                }
                thread::sleep(LOCK_AGAIN);
            }
            taken => return taken.context("cannot write to the data directory"),
        }
    }
    data.lock().context("cannot write to the data directory")
}

const DATA: &str = "data";

/// Two minutes together, of which two seconds without a word.
const LOCK_ATTEMPTS: usize = 2400;
const LOCK_ATTEMPTS_SILENT: usize = 40;
const LOCK_AGAIN: Duration = Duration::from_millis(50);
