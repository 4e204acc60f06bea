//! `gannet serve`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use gannet_store::directory::DataDirectory;

use crate::{
    config::{Config, SPIN_US_MAX},
    log, output,
    serving::{IngestSettings, Process, Settings, Signals, cores},
};

/// Answer requests, from what is live in the data directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet serve
  gannet serve --listen 0.0.0.0:8080 --cores 2-7
  gannet serve --config /etc/gannet/gannet.toml --data /var/lib/gannet

New generations and keys are taken up while it runs. SIGTERM and SIGINT drain and exit with 0, a second one exits at once;
SIGHUP reads keys, data and the configuration file again. Flags override the configuration file, which
docs/operating/gannet.toml shows with all defaults.")]
pub(crate) struct Serve {
    /// Address and port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Cores to serve on, such as 0,2-3 [default: all that this process may use]
    #[arg(long, value_name = "LIST", value_parser = core_list)]
    cores: Option<CoreList>,

    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Look for work this long before sleeping in the kernel: lower latency, for cores that do nothing else
    #[arg(long, value_name = "MICROSECONDS", num_args = 0..=1, default_missing_value = "1000",
        value_parser = clap::value_parser!(u64).range(..=SPIN_US_MAX))]
    spin: Option<u64>,

    /// Start although the write log is damaged or files of it are gone: it is put aside, and what only it has is lost
    #[arg(long)]
    give_up_log: bool,
}

/// Newtype, because a `Vec` would mean a repeated flag.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CoreList(Vec<usize>);

fn core_list(text: &str) -> Result<CoreList, String> {
    cores::parse(text).map(CoreList)
}

impl Serve {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let settings = self.settings()?;
        let data = super::open(root)?;
        serve(data, &settings, |signals, process| {
            process.watch(signals, || self.reload(&settings));
            Ok(())
        })
    }

    fn settings(&self) -> Result<Settings> {
        let named = self.cores.as_ref().map(|CoreList(cores)| cores.as_slice());
        let config = self.config.as_deref().map(|file| Config::read(file, named)).transpose()?.unwrap_or_default();
        let metadata = config.metadata_options()?;
        let cores = config.cores(named)?;
        let mut api = gannet_api::Settings {
            default_metadata_options: metadata,
            server_timing: config.server_timing,
            ..Default::default()
        };
        if let Some(workspace) = &config.default_workspace {
            api.default_workspace.clone_from(workspace);
        }
        if let Some(region) = &config.aws_region {
            api.aws_region.clone_from(region);
        }
        Ok(Settings {
            listen: self.listen.or(config.listen).unwrap_or(LISTEN),
            cores,
            spin: Duration::from_micros(self.spin.or(config.spin_us).unwrap_or(0)),
            connections_per_core: config.connections_per_core,
            drain_max: Duration::from_secs(config.drain_seconds_max.unwrap_or(DRAIN_SECONDS_MAX)),
            limits: config.limits.apply()?,
            admission: config.admission.apply()?,
            memory: config.memory.settings(),
            ingest: IngestSettings { gives_up_log: self.give_up_log, ..config.ingest.settings() },
            slow_tables: config.slow_tables(),
            api,
        })
    }

    /// After SIGHUP. Shards are built around most settings, so a change of those needs a restart; saying so is better than
    /// silence.
    fn reload(&self, running: &Settings) -> Option<Settings> {
        match self.settings() {
            Err(e) => {
                // Without the picture of the place that the parser draws below what it says: a log has one line.
                let cause = output::chain(&e);
                let pictured =
                    |line: &&str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with('|');
                let cause = cause.lines().filter(|line| !pictured(line)).collect::<Vec<_>>().join(": ");
                log::error("the configuration is refused", &[("cause", &cause)]);
                None
            }
            Ok(settings) => {
                let changed = running.need_restart(&settings);
                if !changed.is_empty() {
                    log::warn("settings that need a restart have changed", &[("settings", &changed.join(","))]);
                }
                Some(settings)
            }
        }
    }
}

/// Starts, runs `until` and drains.
pub(crate) fn serve(
    data: DataDirectory,
    settings: &Settings,
    until: impl FnOnce(&Signals, &mut Process) -> Result<()>,
) -> Result<ExitCode> {
    if settings.cores.is_empty() {
        bail!("no core to serve on");
    }
    let signals = Signals::install()?;
    let mut process = Process::start(data, settings).context("cannot serve")?;
    let outcome = until(&signals, &mut process);
    process.stop()?;
    outcome.map(|()| ExitCode::SUCCESS)
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// Longer than any request may take that was worth answering; shorter than the 30 s that orchestrators wait before killing.
pub(crate) const DRAIN_SECONDS_MAX: u64 = 10;
