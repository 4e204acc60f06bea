//! Reads every block of tables that were just adopted, so that damage is known before a request meets it. One thread, which
//! rests four times as long as it works, and gives way to serving cores: with their reads and on their CPU.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_store::{Corrupt, Table};

use crate::{clock, log};

/// What one generation brought: it is verified, and told of, as a whole.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) generation: u64,
    pub(super) tables: Vec<(String, Arc<Table>)>,
}

/// A table that does not hold what was written.
#[derive(Debug)]
pub(super) struct Damaged {
    pub(super) name: String,
    pub(super) table: Arc<Table>,
    pub(super) cause: String,
}

/// The queue of what is to be read, and what was found. The thread is not waited for: it changes nothing, so the process may
/// end under it.
#[derive(Debug)]
pub(super) struct Verifier {
    queue: Sender<Batch>,
    found: Receiver<Damaged>,
}

impl Verifier {
    pub(super) fn start() -> Result<Self> {
        let (queue, batches) = mpsc::channel::<Batch>();
        let (report, found) = mpsc::channel();
        let work = move || {
            gannet_engine::server::work_in_the_background();
            for batch in batches {
                work_off(batch, &report);
            }
        };
        thread::Builder::new().name("verifier".to_owned()).spawn(work).context("cannot start a thread")?;
        Ok(Self { queue, found })
    }

    pub(super) fn add(&self, batch: Batch) {
        if !batch.tables.is_empty() {
            let _ = self.queue.send(batch); // fails only if the thread has panicked, which ends the process
        }
    }

    /// What was found since the last time this was asked. Does not wait.
    pub(super) fn damaged(&self) -> impl Iterator<Item = Damaged> {
        self.found.try_iter()
    }
}

fn work_off(batch: Batch, report: &Sender<Damaged>) {
    let (mut sound, mut damaged): (u64, u64) = (0, 0);
    for (name, table) in batch.tables {
        match verify(&table) {
            Ok(()) => sound += 1,
            // The blocks that are sound go on being served; requests that need a damaged one are told so.
            Err(cause) => {
                damaged += 1;
                log::error("damaged", &[("table", &name), ("cause", &cause)]);
                let _ = report.send(Damaged { name, table, cause: cause.to_string() }); // else the process is ending
            }
        }
    }
    log::info("verified", &[("generation", &batch.generation), ("tables", &sound), ("damaged", &damaged)]);
}

/// Reads every block.
fn verify(table: &Table) -> Result<(), Corrupt> {
    let mut worked_since = clock::seconds();
    let mut rest = |_done: u64| {
        let worked = clock::seconds() - worked_since;
        if worked >= SLICE_SECONDS {
            thread::sleep(Duration::from_secs_f64((worked * 4.0).min(REST_SECONDS_MAX)));
            worked_since = clock::seconds();
        }
    };
    table.verify(&mut rest)
}

const SLICE_SECONDS: f64 = 0.005;

const REST_SECONDS_MAX: f64 = 0.1;
