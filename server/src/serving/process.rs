//! One serving process from start to drain.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use gannet_api::{Core, ShardSamples, Shared, State, StorageFigures, definitions::model::FeatureView};
use gannet_engine::{
    admission::AdmissionConfig,
    clock::{Clock, Origin},
    limits::Limits,
    metrics::Sample,
    server::{self, Server, ServerConfig, ShardMetrics},
};
use gannet_store::{
    Error,
    directory::{DataDirectory, Stamp},
    plane::StreamTables,
    table::Lock,
};

use super::{
    IngestSettings, Signals, cores,
    ingest::{Combining, Writes},
    keeper::{Adopted, Keeper},
    live::{self, Live, Room},
    memory::{MemoryPlan, MemorySettings},
    starved::{self, Starved},
    verifier::{Batch, Damaged, Verifier},
};
use crate::{clock, keys, log};

/// What an operator sets, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) cores: Vec<usize>,
    pub(crate) spin: Duration,
    pub(crate) connections_per_core: Option<usize>,
    pub(crate) drain_max: Duration,
    pub(crate) limits: Limits,
    pub(crate) admission: AdmissionConfig,
    pub(crate) memory: MemorySettings,
    pub(crate) ingest: IngestSettings,
    /// Tables whose reads are held back: slow storage, simulated.
    pub(crate) slow_tables: BTreeMap<String, Duration>,
    pub(crate) api: gannet_api::Settings,
}

impl Settings {
    /// Names of settings that differ in `new` and that a running process keeps until it is started again.
    pub(crate) fn need_restart(&self, new: &Self) -> Vec<&'static str> {
        let (a, b) = (&self.limits, &new.limits);
        let changed = [
            ("listen", self.listen != new.listen),
            ("cores", self.cores != new.cores),
            ("spin_us", self.spin != new.spin),
            ("[admission]", self.admission != new.admission),
            ("[ingest]", self.ingest != new.ingest),
            ("row_cache_mib", self.memory.row_cache_bytes != new.memory.row_cache_bytes),
            ("connections_per_core", self.connections_per_core != new.connections_per_core),
            ("request_line_bytes_max", a.request_line_bytes_max != b.request_line_bytes_max),
            ("field_line_bytes_max", a.field_line_bytes_max != b.field_line_bytes_max),
            ("head_bytes_max", a.head_bytes_max != b.head_bytes_max),
            ("fields_max", a.fields_max != b.fields_max),
            ("body_bytes_max", a.body_bytes_max != b.body_bytes_max),
            ("unread_body_bytes_max", a.unread_body_bytes_max != b.unread_body_bytes_max),
            ("requests_in_process_max", a.requests_in_process_max != b.requests_in_process_max),
            ("unsent_bytes_max", a.unsent_bytes_max != b.unsent_bytes_max),
            ("head_time_ms_max", a.head_time_max != b.head_time_max),
            ("body_grace_ms", a.body_grace != b.body_grace),
            ("request_time_ms_max", a.request_time_max != b.request_time_max),
            ("idle_time_ms_max", a.idle_time_max != b.idle_time_max),
            ("write_stall_ms_max", a.write_stall_max != b.write_stall_max),
        ];
        changed.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
    }
}

/// A process that answers requests.
#[derive(Debug)]
pub(crate) struct Process {
    data: DataDirectory,
    drain_max: Duration,
    memory: MemorySettings,
    slow_tables: BTreeMap<String, Duration>,
    /// For as many cores as serve.
    cores: usize,
    shared: Arc<Shared>,
    server: Server,
    verifier: Verifier,
    keeper: Keeper,
    writes: Writes,
    combining: Combining,
    /// What may be written to, and by which ids.
    streams: Arc<StreamTables>,
    live: Option<Live>,
    /// Replaced, and perhaps still in use by a core.
    replaced: Vec<Live>,
    /// Tables of what is live that the verifier found damaged.
    damaged: Vec<Damaged>,
    /// Why the last look refused what was published; told once per cause.
    refused: Option<String>,
    seen: Option<Stamp>,
    /// What is live could not be read, for a reason that may pass: it is tried again at the next look.
    retry: bool,
    seen_keys: Option<FileStamp>,
    clock: Clock,
    metrics: Vec<Arc<ShardMetrics>>,
    starved: Starved,
    /// The same of what connections send.
    flooded: Starved,
}

struct Samples(Arc<ShardMetrics>);

impl ShardSamples for Samples {
    fn samples(&self, visit: &mut dyn FnMut(Sample)) {
        self.0.samples(visit);
    }
}

impl Process {
    /// Listens and serves what is live. Answers with 503 until there is something to serve.
    pub(crate) fn start(data: DataDirectory, settings: &Settings) -> Result<Self> {
        let open_files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(OPEN_FILES_DEFAULT);
        let metrics: Vec<_> = settings.cores.iter().map(|_| Arc::new(ShardMetrics::default())).collect();
        let samples =
            metrics.iter().map(|shard| Arc::new(Samples(Arc::clone(shard))) as Arc<dyn ShardSamples>).collect();
        let shared = Arc::new(Shared::new(settings.api.clone(), samples));
        shared.set_log(|line| log::warn(line, &[]));
        let default = || server::connections_per_core(open_files, settings.cores.len());
        let origin = Origin::now();
        let config = ServerConfig {
            listen: settings.listen,
            cores: settings.cores.clone(),
            allowed: server::allowed_cpus(),
            spin: settings.spin,
            limits: settings.limits,
            admission: settings.admission,
            connections_per_core: settings.connections_per_core.unwrap_or_else(default),
            metrics: metrics.clone(),
            origin,
        };
        // What is locked in memory counts against it.
        if let Ok((_, most)) = rlimit::Resource::MEMLOCK.get() {
            let _ = rlimit::Resource::MEMLOCK.set(most, most); // if refused, locking says so
        }
        keep_program(settings.memory.lock);
        // What watches, verifies and brings in must not take a serving core's time; where all cores serve, it has to.
        server::keep_off(&settings.cores);
        let (verifier, keeper) = (Verifier::start()?, Keeper::start(metrics.clone())?);
        let combining = Combining::default();
        // Whatever becomes of tables: what was written to a damaged one must not be passed over for that.
        let streams =
            Arc::new(live::streams(&data, &|view| combining.of(view)).context("cannot read what is applied")?);
        let cores = settings.cores.len();
        let (writes, submitters) =
            Writes::start(data.clone(), settings.ingest, cores, Clock::new(origin), Arc::clone(&streams))?;
        // After it, since reading much back publishes generations. The stamp first: what is published between the two is seen at
        // the next look.
        let seen = data.stamp().ok();
        // Before the port opens: the first answer should not be a 503 when there is something to serve.
        let plan = MemoryPlan::new(&settings.memory, settings.cores.len());
        let room = Room { settings: settings.memory, bytes: plan.tables_bytes };
        let combine = |view: &FeatureView| combining.of(view);
        let live = Live::open(&data, None, &shared, &settings.slow_tables, room, &streams, &combine);
        let rows_bytes = live.as_ref().ok().and_then(Option::as_ref).map(Live::rows_bytes);
        let row_cache_bytes = plan.row_cache_for(&settings.memory, rows_bytes);
        // Before it, too: nobody who may ask is told that they may not, which callers do not try again.
        let (seen_keys, active_keys) = read_keys(&data, &shared);
        let mut submitters = submitters.into_iter();
        let server = server::start(&config, |core, waker| {
            let (shared, overlay) = (Arc::clone(&shared), writes.plane().overlay());
            let submitter = submitters.next();
            move || {
                let core = Core::new(shared, core).with_row_cache(row_cache_bytes);
                let Some(submitter) = submitter else { return core };
                submitter.wake_with(Box::new(move || waker.wake()));
                core.with_writes(submitter, &overlay)
            }
        })?;
        let mut process = Self {
            data,
            drain_max: settings.drain_max,
            // The caches are there now, whatever later tables would leave them.
            memory: MemorySettings { row_cache_bytes: Some(plan.row_cache_bytes), ..settings.memory },
            slow_tables: settings.slow_tables.clone(),
            cores: settings.cores.len(),
            shared,
            server,
            verifier,
            keeper,
            writes,
            combining,
            streams,
            live: None,
            replaced: Vec::new(),
            damaged: Vec::new(),
            refused: None,
            seen,
            retry: false,
            seen_keys,
            clock: Clock::new(origin),
            metrics,
            starved: Starved::default(),
            flooded: Starved::default(),
        };
        process.take_up(live);
        tell_of_keys(active_keys);
        let serving = cores::text(&settings.cores);
        log::info(
            "listening",
            &[("address", &process.server.address()), ("cores", &serving), ("open_files", &open_files)],
        );
        Ok(process)
    }

    /// Where it listens; the real port if 0 was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Watches until a signal asks to stop, or a serving thread ends. `reload` is called when SIGHUP
    /// asks for it; of the settings that it finds, what needs no restart is taken up.
    pub(crate) fn watch(&mut self, signals: &Signals, reload: impl Fn() -> Option<Settings>) {
        let mut ticks: u32 = 0;
        while !signals.stop() && !self.server.is_finished() {
            if signals.take_reload() {
                log::info("reloading", &[]);
                if let Some(settings) = reload() {
                    self.adopt(settings);
                }
                (self.seen, self.seen_keys) = (None, None);
                self.look();
            } else if ticks.is_multiple_of(TICKS_PER_LOOK) {
                self.look();
            }
            ticks = ticks.wrapping_add(1);
            thread::sleep(TICK);
        }
    }

    /// Memory options hold for tables opened from now on.
    fn adopt(&mut self, settings: Settings) {
        self.drain_max = settings.drain_max;
        self.memory = MemorySettings { row_cache_bytes: self.memory.row_cache_bytes, ..settings.memory };
        if self.slow_tables != settings.slow_tables {
            self.slow_tables = settings.slow_tables;
            self.seen = None; // what is live is compiled again
        }
        self.shared.set_settings(settings.api);
    }

    /// Lets requests under way finish, at the latest after the drain time, and ends.
    pub(crate) fn stop(self) -> Result<()> {
        log::info("draining", &[("seconds_max", &self.drain_max.as_secs())]);
        self.shared.set_state(State::Draining("draining".to_owned()));
        self.server.drain(self.drain_max);
        self.server.join().context("a serving thread failed")?;
        self.writes.stop()?;
        log::info("stopped", &[]);
        Ok(())
    }

    /// Takes up what was published or changed since the last look.
    fn look(&mut self) {
        let now = self.clock.now();
        self.shared.look_at_rates(now);
        self.look_at_writes();
        self.look_for_room(now.monotonic_ns);
        let stamp = self.data.stamp().ok();
        if stamp != self.seen || self.retry {
            self.seen = stamp; // also when what was published is refused: damage does not pass
            let Self { data, live, replaced, memory, cores, shared, slow_tables, streams, combining, .. } = self;
            let taken = live::taken_by(live.iter().chain(replaced.iter()));
            let tables_bytes = MemoryPlan::new(memory, *cores).tables_bytes;
            let room = Room { settings: *memory, bytes: tables_bytes.saturating_sub(taken) };
            let combine = |view: &FeatureView| combining.of(view);
            let live = Live::open(data, live.as_ref(), shared, slow_tables, room, streams, &combine);
            self.take_up(live);
        }
        let keys = FileStamp::of(&keys::path(&self.data));
        if keys != self.seen_keys {
            self.look_at_keys();
        }
        self.look_for_damage();
        // What cores have let go of is unmapped here.
        self.replaced.retain(|replaced| !replaced.is_unused());
    }

    fn take_up(&mut self, opened: Result<Option<Live>>) {
        self.retry = opened.as_ref().is_err_and(may_pass);
        if opened.is_ok() {
            self.refused = None;
        }
        match opened {
            Ok(Some(mut live)) => {
                let tables = live.new_tables(self.live.as_ref());
                self.verifier.add(Batch { generation: live.generation, tables });
                for name in &live.outdated {
                    let message = "not served: its definition changed since it was materialized";
                    log::warn(message, &[("table", name)]);
                }
                for name in self.slow_tables.keys().filter(|name| !live.serves(name)) {
                    log::warn("simulate_slow_ms names a view that is not served", &[("table", name)]);
                }
                // Before a core can make a write for them, and after it no core can make one for others.
                self.streams = Arc::clone(&live.streams);
                self.writes.plane().set_tables(Arc::clone(&self.streams));
                self.shared.publish(Some(Arc::clone(&live.catalog)));
                self.writes.plane().adopted(live.generation);
                // After it: turns from then on are turns with what is live now.
                let plan = MemoryPlan::new(&self.memory, self.cores);
                let for_deltas = if live.takes_records { plan.deltas_bytes() } else { 0 };
                let budget_bytes = plan.tables_bytes - for_deltas.saturating_sub(live.deltas_taken());
                let lock_refused = live.lock_refused.take();
                self.keeper.keep(Adopted { tables: live.tables(), settings: self.memory, budget_bytes, lock_refused });
                let (tables, rows) = (live.table_count(), live.rows());
                log::info("serving", &[("generation", &live.generation), ("tables", &tables), ("rows", &rows)]);
                self.replaced.extend(self.live.replace(live));
                self.damaged.extend(self.verifier.damaged());
                self.set_readiness();
            }
            Ok(None) => {
                let reason = "nothing was published yet; see gannet apply and gannet materialize";
                self.shared.set_state(State::Starting(reason.to_owned()));
                log::warn("nothing to serve", &[("reason", &reason)]);
            }
            Err(e) => {
                let cause = crate::output::chain(&e);
                if self.refused.as_ref() == Some(&cause) {
                    return;
                }
                match &self.live {
                    Some(live) => {
                        let message = "a new generation is refused; the one before is still served";
                        log::error(message, &[("serving", &live.generation), ("cause", &cause)]);
                    }
                    None => {
                        self.shared.set_state(State::Starting(format!("the live generation is refused: {cause}")));
                        log::error("the live generation is refused; nothing is served", &[("cause", &cause)]);
                    }
                }
                self.refused = Some(cause);
            }
        }
    }

    fn look_at_writes(&mut self) {
        let (plane, changed) = self.writes.look();
        self.shared.set_storage(StorageFigures { plane, aggregate_rows_cut: self.combining.rows_cut() });
        if changed {
            self.set_readiness();
        }
    }

    /// Tells when there is no room for connections, for want of descriptors or memory, or for what they send, and when there is again.
    fn look_for_room(&mut self, now_ns: u64) {
        let failed = self.metrics.iter().map(|shard| shard.accept_failed()).sum();
        match self.starved.look(now_ns, failed) {
            Some(starved::Room::Gone { times }) => {
                let message = "no descriptors or memory for new connections: they wait until some are closed";
                log::warn(message, &[("times", &times)]);
            }
            Some(starved::Room::Back) => log::info("there is room for new connections again", &[]),
            None => {}
        }
        let failed = self.metrics.iter().map(|shard| shard.input_failed()).sum();
        match self.flooded.look(now_ns, failed) {
            Some(starved::Room::Gone { times }) => {
                let message = "no memory for all that connections send at a time (input_bytes_max, or the machine's): some are refused with 503";
                log::warn(message, &[("times", &times)]);
            }
            Some(starved::Room::Back) => log::info("there is memory for what connections send again", &[]),
            None => {}
        }
    }

    /// A table found damaged makes the process unready: those who balance requests should prefer one with sound data.
    fn look_for_damage(&mut self) {
        let before = self.damaged.len();
        self.damaged.extend(self.verifier.damaged());
        if self.damaged.len() != before {
            self.set_readiness();
        }
    }

    /// Ready if no table of what is live is damaged and writes are taken. Forgets damage of tables that are no longer served.
    fn set_readiness(&mut self) {
        let Some(live) = &self.live else { return };
        self.damaged.retain(|damaged| live.holds(&damaged.name, &damaged.table));
        let damage = |Damaged { name, cause, .. }: &Damaged| format!("table {name} is damaged: {cause}");
        // A disk that fails may be the reason for both.
        let reasons: Vec<String> = self.damaged.first().map(damage).into_iter().chain(self.writes.refusal()).collect();
        self.shared.set_state(if reasons.is_empty() { State::Ready } else { State::Starting(reasons.join("; ")) });
    }

    fn look_at_keys(&mut self) {
        let (seen, active) = read_keys(&self.data, &self.shared);
        self.seen_keys = seen;
        tell_of_keys(active);
    }
}

/// Takes up the keys that there are. Says which state of their file it was, and how many can be used.
fn read_keys(data: &DataDirectory, shared: &Shared) -> (Option<FileStamp>, Result<usize>) {
    // The stamp first: a change between the two is seen again next time.
    let seen = FileStamp::of(&keys::path(data));
    let active = keys::read(data).map(|table| {
        let now_us = clock::unix_us();
        let usable = |expires: Option<i64>| expires.is_none_or(|at| at > now_us);
        let active = table.records().iter().filter(|key| !key.revoked && usable(key.expires_at_us)).count();
        shared.set_keys(table);
        active
    });
    (seen, active)
}

fn tell_of_keys(active: Result<usize>) {
    match active {
        Ok(0) => log::warn("no keys: every request is refused; see gannet keys create", &[]),
        Ok(active) => log::info("keys", &[("active", &active)]),
        Err(e) => log::error("the keys are refused; those before still hold", &[("cause", &crate::output::chain(&e))]),
    }
}

/// The binary's own pages, before a request can run into one that is not there.
fn keep_program(lock: Lock) {
    let kept = server::keep_program_in_memory(lock != Lock::Never);
    if let Some(refused) = kept.lock_refused {
        let message =
            "the program is in memory but not locked there; the kernel may take it back; raise RLIMIT_MEMLOCK";
        log::warn(message, &[("cause", &refused), ("mib", &(kept.bytes >> 20))]);
    }
}

/// Whether trying again may help without anything being published: too many open files, a disk that is away for a moment.
fn may_pass(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Error::Io { .. })))
}

/// Differs when a file was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn of(file: &PathBuf) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self { inode: metadata.ino(), bytes: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// How late a signal may be noticed.
const TICK: Duration = Duration::from_millis(50);

/// Four ticks: data and keys are looked at five times a second, so a revoked key is refused well within one.
const TICKS_PER_LOOK: u32 = 4;

/// What Linux gives a process that asks for nothing.
const OPEN_FILES_DEFAULT: u64 = 1024;
