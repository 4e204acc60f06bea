//! `gannet quickstart`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result};
use clap::Args;
use gannet_api::auth::{KeyRecord, KeyTable, Role, Roles};
use gannet_engine::{admission::AdmissionConfig, limits::Limits, server::allowed_cpus};
use gannet_store::directory::DataDirectory;

use super::{apply::apply, materialize::Options, serve};
use crate::{
    clock, keys, output,
    quickstart::{
        bench, examples,
        replay::{Replay, replay},
        request::{DELAY_HISTORY, ONE_RECORD, SAMPLES},
    },
    serving::{IngestSettings, MemorySettings, Settings},
};

/// Load example data, serve it, stream a day of flights in, and show what to try. Ctrl-C ends it; a second run finds its data again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet quickstart
  gannet quickstart --users 1000000 --listen 127.0.0.1:9090     # enough users for a load test

It is for trying out: its API key is `quickstart`, which everybody knows, so it listens on this machine only unless told
otherwise. The data directory is ./quickstart-data unless --data says otherwise; the example files are beside it.")]
pub(crate) struct Quickstart {
    /// Users of the service `fraud_bench`
    #[arg(long, value_name = "N", default_value = "10000")]
    users: NonZero<u32>,

    /// Address and port
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080))]
    listen: SocketAddr,

    /// Load the data and end, without serving it
    #[arg(long)]
    load_only: bool,
}

impl Quickstart {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let settings = Settings {
            ingest: IngestSettings::default(),
            listen: self.listen,
            cores: allowed_cpus(),
            spin: Duration::ZERO,
            connections_per_core: None,
            drain_max: Duration::from_secs(1),
            limits: Limits::default(),
            admission: AdmissionConfig::default(),
            memory: MemorySettings::default(),
            // So that the sample that sets a budget shows what one does.
            slow_tables: BTreeMap::from([(SLOW_VIEW.to_owned(), SLOW)]),
            api: gannet_api::Settings::default(),
        };
        // Cheap, and better than finding it out after a minute of loading.
        if !self.load_only {
            std::net::TcpListener::bind(self.listen)
                .map(drop)
                .with_context(|| format!("cannot listen on {}; choose another address with --listen", self.listen))?;
            gannet_engine::server::probe().context("cannot serve")?;
        }
        output::say(format_args!("Example data in {}:", root.display()))?;
        let sources = sources(root);
        let definitions = examples::write(&sources)?;
        bench::write(&sources.join("data/bench"), self.users.get())?;
        let options = Options { strict: true, memory: MEMORY_BYTES, workers: None, brief: true };
        apply(root, &definitions, Some(&options))?;
        let data = DataDirectory::open(root)?;
        create_key(&data)?;
        if self.load_only {
            return Ok(ExitCode::SUCCESS);
        }
        serve::serve(data, &settings, |signals, process| {
            let address = process.address();
            for sample in SAMPLES {
                sample.send(address, KEY)?;
            }
            let replay = replay(address, KEY, examples::DEPARTURES)?;
            tell(address, root, &sources, &replay)?;
            process.watch(signals, || None);
            Ok(())
        })
    }
}

fn tell(address: SocketAddr, root: &Path, sources: &Path, replay: &Replay) -> Result<()> {
    let (records, table) = (replay.records(), replay.table());
    output::say(format_args!(
        "\nWrites: {records} departures of 2013-12-31 were sent to POST /ingest, 100 a request."
    ))?;
    output::say("What `delay_history` says of the carrier UA, over 1, 7 and 30 days:\n")?;
    output::say(table)?;
    if !replay.changed() {
        output::say(
            "They count since an earlier start already. Each request says with a source token how far it comes, so what\n\
             was sent before is not counted twice.\n",
        )?;
    }
    output::say(format_args!("Gannet answers on http://{address}. Try:\n"))?;
    for sample in SAMPLES.iter().chain([&ONE_RECORD, &DELAY_HISTORY]) {
        output::say(format_args!("# {}\n{}\n", sample.title, sample.curl(address, KEY)))?;
    }
    output::say(format_args!("metrics      curl -s http://{address}/metrics"))?;
    output::say(format_args!("data         gannet --data {} inspect", root.display()))?;
    output::say(format_args!("definitions  {}", sources.join("definitions").display()))?;
    output::say("Ctrl-C ends it.")
}

/// The key `quickstart`, which anybody may know: it opens nothing but invented and public data.
fn create_key(data: &DataDirectory) -> Result<()> {
    let mut record = KeyRecord::of(KEY, "development key of the quickstart", clock::unix_us());
    record.roles = Roles::everywhere(Role::Admin);
    keys::change(data, |table| {
        let mut records = table.records().to_vec();
        match records.iter_mut().find(|known| known.sha256 == record.sha256) {
            Some(known) => known.roles = record.roles, // made before there were roles
            None => records.push(record),
        }
        Ok((KeyTable::new(records)?, ()))
    })
}

/// Beside the data directory, which holds nothing that it did not make itself.
fn sources(root: &Path) -> PathBuf {
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push("-sources");
    root.with_file_name(name)
}

/// Where the quickstart's data is unless said otherwise.
pub(crate) const DATA: &str = "quickstart-data";

const KEY: &str = "quickstart";

/// A view that answers as if its storage were slow.
const SLOW_VIEW: &str = "prod/transaction_amount_last_1000d";
const SLOW: Duration = Duration::from_millis(250);

const MEMORY_BYTES: usize = 512 << 20;
