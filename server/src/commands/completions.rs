//! `gannet completions`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::{Shell, generate};

use crate::{cli::Cli, output};

/// Print a script that completes commands in a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet completions bash > ~/.local/share/bash-completion/completions/gannet
  gannet completions zsh > ~/.zfunc/_gannet
  gannet completions fish > ~/.config/fish/completions/gannet.fish")]
pub(crate) struct Completions {
    shell: Dialect,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dialect {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let shell = match self.shell {
            Dialect::Bash => Shell::Bash,
            Dialect::Zsh => Shell::Zsh,
            Dialect::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        generate(shell, &mut Cli::command(), "gannet", &mut script);
        output::say(String::from_utf8_lossy(&script).trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
