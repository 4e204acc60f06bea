//! Reads every block of tables that were just adopted, so that damage is known before a request meets it. One thread, which
//! rests four times as long as it works.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_store::Table;

use crate::{clock, log};

/// The thread, and the queue of what it is to read.
#[derive(Debug)]
pub(super) struct Verifier {
    queue: Option<Sender<(String, Arc<Table>)>>,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Verifier {
    pub(super) fn start() -> Result<Self> {
        let (queue, tables) = mpsc::channel::<(String, Arc<Table>)>();
        let cancelled = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&cancelled);
        let work = move || {
            for (name, table) in tables {
                verify(&name, &table, &stop);
            }
        };
        let thread = thread::Builder::new().name("verifier".to_owned()).spawn(work).context("cannot start a thread")?;
        Ok(Self { queue: Some(queue), cancelled, thread: Some(thread) })
    }

    pub(super) fn add(&self, name: String, table: Arc<Table>) {
        if let Some(queue) = &self.queue {
            let _ = queue.send((name, table)); // fails only if the thread has ended, which it does when we do
        }
    }
}

impl Drop for Verifier {
    /// Waits for what is being read to be let go: the mapping must not outlive the process's orderly part.
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn verify(name: &str, table: &Table, cancelled: &AtomicBool) {
    let worked_since = Mutex::new(clock::seconds());
    let mut rest = |_done: u64| {
        let mut since = worked_since.lock().unwrap_or_else(PoisonError::into_inner);
        let worked = clock::seconds() - *since;
        if worked >= SLICE_SECONDS && !cancelled.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_secs_f64((worked * 4.0).min(REST_SECONDS_MAX)));
            *since = clock::seconds();
        }
    };
    if cancelled.load(Ordering::Relaxed) {
        return;
    }
    match table.verify(&mut rest) {
        Ok(()) => log::info("verified", &[("table", &name)]),
        // The blocks that are sound go on being served; requests that need a damaged one are told so.
        Err(corrupt) => log::error("damaged", &[("table", &name), ("cause", &corrupt)]),
    }
}

const SLICE_SECONDS: f64 = 0.005;

const REST_SECONDS_MAX: f64 = 0.1;
