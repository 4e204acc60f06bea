//! `gannet plan`.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use clap::Args;
use gannet_api::definitions::diff;

use crate::{output, repository};

/// Show what applying a folder of definitions would change. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet plan definitions
  gannet plan definitions --detailed-exitcode || test $? = 2   # in CI: 0 no changes, 2 changes, 1 failure

Every *.toml below the folder is read. All errors of all files are shown at once.")]
pub(crate) struct Plan {
    /// The folder with the definitions
    folder: PathBuf,

    /// Exit with 2 when there are changes, with 0 only when there are none
    #[arg(long)]
    detailed_exitcode: bool,
}

impl Plan {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let new = repository::checked(&repository::read(&self.folder)?)?;
        // A first plan comes before any data directory; then everything is new.
        let live = if root.exists() {
            let data = super::open(root)?;
            repository::applied(&data, data.current()?.as_ref())?
        } else {
            None
        };
        let old = live.map(|live| live.definitions).unwrap_or_default();
        let plan = diff(&old, &new);
        if plan.is_empty() {
            output::say("No changes. The live definitions are the same.")?;
            return Ok(ExitCode::SUCCESS);
        }
        output::say(plan.render(std::io::stdout().is_terminal()).trim_end())?;
        Ok(if self.detailed_exitcode { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS })
    }
}

const CHANGES: u8 = 2;
