//! The `gannet-loadgen` command: an open-loop load client. It knows HTTP and nothing of Gannet's own crates.
//!
//! `settings` says what was asked for, `pacing` when requests are due, `workload` what they say, `transport` carries them,
//! `drive` is the loop over these, `record` counts, `report` computes and shows.
#![forbid(unsafe_code)]

mod cli;
mod clock;
mod cpu;
mod drive;
mod pacing;
mod record;
mod report;
mod settings;
mod transport;
mod workload;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use cli::Cli;
use clock::Clock;
use record::jitter::Watch;
use report::Report;
use settings::Settings;
use transport::Transport;
use workload::Workload;

fn main() -> ExitCode {
    let cli = Cli::parse(); // wrong usage ends here, with exit code 2
    let (settings, streams) = match settings::settings(&cli).and_then(|s| Ok((s, settings::streams(&cli)?))) {
        Ok(both) => both,
        Err(e) => return failure(2, &e),
    };
    let workload = Workload::new(streams, settings.seed);
    match measure(&settings, workload).and_then(|report| show(&cli, &report).map(|()| report)) {
        Ok(report) if cli.strict && report.client.was_the_limit => ExitCode::from(3),
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => failure(1, &e),
    }
}

fn measure(settings: &Settings, mut workload: Workload) -> Result<Report> {
    if let Some(cpu) = settings.cpu {
        cpu::pin(cpu).with_context(|| format!("cannot run on core {cpu}"))?;
    }
    let clock = Clock::new();
    let transport = connect(settings, clock)?;
    let watch = settings.jitter_cpu.map(|cpu| Watch::start(cpu, clock)).transpose().context("cannot start a thread")?;
    let outcome = drive::run(settings, &mut workload, transport, clock).context("cannot wait for connections")?;
    Ok(Report::new(settings, &workload, &outcome, watch.and_then(Watch::finish).as_ref()))
}

/// To the first of the host's addresses that lets us: `localhost` has two, and servers often listen on one.
fn connect(settings: &Settings, clock: Clock) -> Result<Transport> {
    let mut failed = anyhow::anyhow!("the host has no address");
    for address in &settings.addresses {
        match Transport::connect(*address, &settings.pools, settings.pipeline, clock) {
            Ok(transport) => return Ok(transport),
            Err(e) => failed = anyhow::Error::new(e).context(format!("cannot connect to {address}")),
        }
    }
    Err(failed)
}

fn show(cli: &Cli, report: &Report) -> Result<()> {
    if let Some(file) = &cli.json {
        let json = serde_json::to_vec_pretty(report).context("cannot write JSON")?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut out = io::stdout().lock();
    match report::table::write(report, &mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()), // its reader had seen enough
        other => other.context("cannot write to stdout"),
    }
}

fn failure(code: u8, error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: {error:#}"); // with stderr gone there is nowhere to complain
    ExitCode::from(code)
}
