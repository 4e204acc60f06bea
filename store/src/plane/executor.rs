//! The threads: one that records, and three beside it for what takes long, with a lower share of the processor.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{
    PlaneRecovered, PlaneSettings,
    queue::Queue,
    recorder::Recorder,
    recovery,
    shared::Shared,
    work::{Job, JobDone, Lane},
};
use crate::{
    directory::DataDirectory,
    disk::change_nice,
    error::Error,
    overlay::{Overlay, OverlaySettings},
};

/// The thread that records; it ends when [`Shared::stop`] was called.
pub(super) type Running = JoinHandle<Result<(), Error>>;

/// Starts the thread, and returns once it takes writes.
pub(super) fn start(
    data: DataDirectory,
    settings: PlaneSettings,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    overlay_settings: OverlaySettings,
) -> Result<(Running, Overlay, PlaneRecovered), Error> {
    let (ready, is_ready) = sync_channel(1);
    let folder = data.root().to_owned();
    let running = named("plane").spawn(move || {
        shared.is_woken_here();
        let started = open(&data, &settings, &queue, &shared, overlay_settings).and_then(|opened| {
            let lanes = Lanes::start(&data, &settings, &shared);
            let lanes = lanes.map_err(|source| Error::io("start a thread for", data.root(), source))?;
            Ok((opened, lanes))
        });
        let ((recorder, overlay, recovered), lanes) = match started {
            Ok(started) => started,
            Err(error) => {
                drop(ready.send(Err(error)));
                return Ok(());
            }
        };
        if ready.send(Ok((overlay, recovered))).is_err() {
            return Ok(()); // whoever started it is gone
        }
        record(recorder, lanes)
    });
    let running = running.map_err(|source| Error::io("start a thread for", &folder, source))?;
    match is_ready.recv() {
        Ok(Ok((overlay, recovered))) => Ok((running, overlay, recovered)),
        Ok(Err(error)) => {
            let _ = running.join(); // it has said why it ends
            Err(error)
        }
        Err(_) => Err(Error::io("start the plane of", &folder, io::Error::other("its thread panicked"))),
    }
}

/// On the thread that goes on with it: who writes to the overlay stays where it was made.
pub(super) fn open(
    data: &DataDirectory,
    settings: &PlaneSettings,
    queue: &Arc<Queue>,
    shared: &Arc<Shared>,
    overlay_settings: OverlaySettings,
) -> Result<(Recorder, Overlay, PlaneRecovered), Error> {
    let (_, tables) = shared.tables();
    let ready = recovery::recover(data, settings, &tables, overlay_settings)?;
    shared.counters.recovered(&ready.recovered, ready.covered);
    let (overlay, recovered) = (ready.overlay.clone(), ready.recovered.clone());
    let recorder = Recorder::new(settings.clone(), Arc::clone(queue), Arc::clone(shared), ready);
    Ok((recorder, overlay, recovered))
}

fn record(mut recorder: Recorder, lanes: Lanes) -> Result<(), Error> {
    let clock = recorder.settings.clock.clone();
    let shared = Arc::clone(&recorder.shared);
    change_nice(RECORD_NICE); // after the lanes were started, which would have it from here
    let mut under_way = 0;
    loop {
        while let Ok(done) = lanes.done.try_recv() {
            under_way -= 1;
            recorder.done(done);
        }
        let is_stopping = shared.is_stopping();
        if is_stopping {
            recorder.stop();
        }
        let turn = recorder.turn();
        for job in turn.jobs {
            under_way += 1;
            lanes.begin(job);
        }
        if is_stopping && under_way == 0 && recorder.is_at_rest() {
            lanes.end();
            return recorder.close();
        }
        if !turn.is_busy {
            let now_us = clock.now().monotonic_us;
            let idle_us = turn.next_us.map_or(IDLE_US_MAX, |next_us| next_us.saturating_sub(now_us).min(IDLE_US_MAX));
            // Returns at once if anything was handed over, done or said since the last time.
            thread::park_timeout(Duration::from_micros(idle_us));
        }
    }
}

/// Threads for jobs, one for each kind: none waits for another.
#[derive(Debug)]
struct Lanes {
    flush: Sender<Job>,
    compact: Sender<Job>,
    files: Sender<Job>,
    done: Receiver<JobDone>,
    threads: Vec<JoinHandle<()>>,
}

impl Lanes {
    fn start(data: &DataDirectory, settings: &PlaneSettings, shared: &Arc<Shared>) -> io::Result<Self> {
        let (tell_done, done) = channel();
        let mut threads = Vec::new();
        let mut lane = |name: &str, nice: i32| {
            let (begin, jobs) = channel::<Job>();
            let (tell_done, shared) = (tell_done.clone(), Arc::clone(shared));
            let (data, clock) = (data.clone(), settings.clock.clone());
            threads.push(named(name).spawn(move || {
                change_nice(nice);
                for job in jobs {
                    if tell_done.send(job.run(&data, &clock)).is_err() {
                        return;
                    }
                    shared.wake();
                }
            })?);
            Ok::<_, io::Error>(begin)
        };
        let (flush, compact) = (lane("plane-flush", FLUSH_NICE)?, lane("plane-compact", COMPACT_NICE)?);
        Ok(Self { flush, compact, files: lane("plane-files", FLUSH_NICE)?, done, threads })
    }

    fn begin(&self, job: Job) {
        let lane = match job.lane() {
            Lane::Flush => &self.flush,
            Lane::Compact => &self.compact,
            Lane::Files => &self.files,
        };
        lane.send(job).expect("a lane ends after this, or with the process");
    }

    fn end(self) {
        drop((self.flush, self.compact, self.files));
        for thread in self.threads {
            let _ = thread.join(); // a panic there has ended the process already, or is a test's
        }
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

/// A look around now and then costs nothing.
const IDLE_US_MAX: u64 = 1_000_000;

/// Everybody who writes waits for this thread, which runs for some microseconds at a time.
const RECORD_NICE: i32 = -10;

/// A third of the weight of a serving core's thread: writes wait for whoever flushes when memory is full.
const FLUSH_NICE: i32 = 5;

/// A ninth of it: nobody waits for a compaction.
const COMPACT_NICE: i32 = 10;
