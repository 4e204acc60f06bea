//! The command line: what was typed. What it means is decided by each command.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{apply, completions, inspect, keys, materialize, plan, quickstart, serve, verify, version};

/// An online feature server for people who count microseconds.
#[derive(Debug, Parser)]
#[command(name = "gannet", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The data directory [default: ./data; of quickstart: ./quickstart-data]
    #[arg(long, global = true, value_name = "DIR", env = "GANNET_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show what applying a folder of definitions would change
    Plan(plan::Plan),
    /// Make a folder of definitions the live one
    Apply(apply::Apply),
    /// Read source files and publish them as tables
    Materialize(materialize::Materialize),
    /// Answer requests
    Serve(serve::Serve),
    /// Look into a data directory
    Inspect(inspect::Inspect),
    /// Check every checksum of the live generation
    Verify(verify::Verify),
    /// Manage API keys
    Keys(keys::Keys),
    /// Load example data, serve it, and show what to try
    Quickstart(quickstart::Quickstart),
    /// Print a script that completes commands in a shell
    Completions(completions::Completions),
    /// Print versions and what this kernel offers
    Version(version::Version),
}

const EXAMPLES: &str = "\
Examples:
  gannet quickstart                     try it: example data, a server, requests to paste
  gannet plan definitions               what would change
  gannet apply definitions              make it so
  gannet materialize                    read all sources, publish one new generation
  gannet keys create --description ci   a key for callers
  gannet serve --listen 0.0.0.0:8080    answer requests

Exit codes: 0 success, 1 failure, 2 wrong usage (`plan --detailed-exitcode`: 2 changes).";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
