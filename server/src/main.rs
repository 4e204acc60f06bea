//! The `gannet` command. The one place where everything is put together: it alone reads configuration, installs signals,
//! picks the allocator and uses a catch-all error type.

mod cli;
mod clock;
mod commands;
mod config;
mod keys;
mod log;
mod materialize;
mod output;
mod quickstart;
mod repository;
#[cfg(test)]
mod scratch;
mod serving;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

use cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse(); // wrong usage ends here, with exit code 2
    match commands::run(cli) {
        Ok(code) => code,
        Err(e) if output::reader_is_gone(&e) => ExitCode::SUCCESS,
        Err(e) => {
            output::error(&e);
            ExitCode::FAILURE
        }
    }
}
