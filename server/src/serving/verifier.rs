//! Brings tables that were just adopted into memory, as configured, and then reads every block of them, so that damage is
//! known before a request meets it. One thread; while verifying it rests four times as long as it works.

use std::{
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use gannet_store::{Table, table::MapOptions};

use crate::{clock, log};

/// The queue of what is to be read. The thread is not waited for: it changes nothing, so the process may end under it.
#[derive(Debug)]
pub(super) struct Verifier {
    queue: Sender<(String, Arc<Table>)>,
}

impl Verifier {
    pub(super) fn start(memory: MapOptions) -> Result<Self> {
        let (queue, tables) = mpsc::channel::<(String, Arc<Table>)>();
        let work = move || {
            let mut sound: u64 = 0;
            let mut next = tables.recv().ok();
            while let Some((name, table)) = next {
                if let Err(e) = table.bring_in(memory) {
                    log::error("cannot be brought into memory", &[("table", &name), ("cause", &e)]);
                }
                sound += u64::from(verify(&name, &table));
                drop(table);
                next = tables.try_recv().ok().or_else(|| {
                    log::info("verified", &[("tables", &sound)]); // one line when all that waited is done
                    sound = 0;
                    tables.recv().ok()
                });
            }
        };
        thread::Builder::new().name("verifier".to_owned()).spawn(work).context("cannot start a thread")?;
        Ok(Self { queue })
    }

    pub(super) fn add(&self, name: String, table: Arc<Table>) {
        let _ = self.queue.send((name, table)); // fails only if the thread has panicked, which ends the process
    }
}

/// Whether every block is sound.
fn verify(name: &str, table: &Table) -> bool {
    let mut worked_since = clock::seconds();
    let mut rest = |_done: u64| {
        let worked = clock::seconds() - worked_since;
        if worked >= SLICE_SECONDS {
            thread::sleep(Duration::from_secs_f64((worked * 4.0).min(REST_SECONDS_MAX)));
            worked_since = clock::seconds();
        }
    };
    match table.verify(&mut rest) {
        Ok(()) => true,
        // The blocks that are sound go on being served; requests that need a damaged one are told so.
        Err(corrupt) => {
            log::error("damaged", &[("table", &name), ("cause", &corrupt)]);
            false
        }
    }
}

const SLICE_SECONDS: f64 = 0.005;

const REST_SECONDS_MAX: f64 = 0.1;
