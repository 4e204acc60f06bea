//! A log on a simulated disk, driven step by step, with the ledger beside it.

use std::{path::Path, sync::Arc};

use gannet_store::{
    Error,
    disk::simulated::{Choices, SimulatedDisk},
    log::{Log, LogSettings, Sequence},
};

use crate::ledger::{Ledger, Violation, violation};

pub(crate) const BLOCK: usize = 4096;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A payload of so many bytes.
    Append(usize),
    Commit,
    Heartbeat,
    Prepare,
    /// A generation is published that holds everything acknowledged, and old segments are freed.
    Cover,
    CloseAndOpen,
}

/// How a step or an opening ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// The disk failed or crashed; the log is gone or of no use until it is opened again.
    Failed,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) ledger: Ledger,
    pub(crate) settings: LogSettings,
    log: Option<Log>,
    /// Payloads differ, or are all alike so that one can stand for another.
    are_alike: bool,
    appended: u64,
}

impl World {
    pub(crate) fn new(segment_blocks: usize, batch_blocks: usize, are_alike: bool) -> Self {
        let settings = LogSettings {
            segment_bytes: (segment_blocks * BLOCK) as u64,
            batch_bytes: batch_blocks * BLOCK,
            id: 0x1096,
        };
        let (disk, ledger) = (SimulatedDisk::new(), Ledger::default());
        Self { disk, ledger, settings, log: None, are_alike, appended: 0 }
    }

    /// The same on another disk. The log is closed by whoever made it.
    pub(crate) fn copy(&self) -> Self {
        let (disk, ledger) = (self.disk.copy(), self.ledger.clone());
        Self { disk, ledger, log: None, ..*self }
    }

    /// Ends the process, or the machine too.
    pub(crate) fn end(&mut self, power_loss: Option<&mut Choices>) {
        self.log = None;
        match power_loss {
            Some(choices) => self.disk.crash(choices),
            None => self.disk.kill(),
        }
    }

    /// Opens the log and compares what comes back. Only what `may_fail` may fail, and not by calling anything rotten.
    pub(crate) fn open(&mut self, may_fail: bool) -> Result<Outcome, Violation> {
        let mut replay = self.ledger.replay();
        let from = Sequence(self.ledger.covered);
        let disk = Arc::new(self.disk.clone());
        let opened = Log::open(disk, Path::new("/log"), self.settings, from, &mut |record| {
            replay.record(record);
            Ok(())
        });
        let (delivered, wrong) = (replay.delivered, replay.wrong);
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        match opened {
            Ok((log, recovered)) => {
                if recovered.records != delivered as u64 {
                    return violation("a wrong count of records");
                }
                self.ledger.opened(delivered, log.committed(), log.has_begun())?;
                self.log = Some(log);
                Ok(Outcome::Done)
            }
            Err(Error::Io { .. } | Error::Poisoned { .. } | Error::Full { .. }) if may_fail => Ok(Outcome::Failed),
            Err(error) => violation(format!("the log does not open: {error}")),
        }
    }

    pub(crate) fn step(&mut self, step: Step) -> Result<Outcome, Violation> {
        let Some(log) = &mut self.log else { return Ok(Outcome::Failed) };
        let done = match step {
            Step::Append(bytes) => {
                let payload = self.payload(bytes);
                return self.append(&payload);
            }
            Step::Commit => return self.commit(),
            Step::Heartbeat => log.heartbeat().map(drop),
            Step::Prepare => log.prepare(),
            Step::Cover => {
                let covered = self.ledger.cover();
                log.free_before(Sequence(covered.0 + 1))
            }
            Step::CloseAndOpen => return self.close_and_open(),
        };
        self.judge(done)
    }

    fn payload(&mut self, bytes: usize) -> Vec<u8> {
        self.appended += 1;
        let content = if self.are_alike { 7 } else { self.appended };
        let mut payload = content.to_le_bytes().repeat(bytes / 8 + 1);
        payload.truncate(bytes);
        payload
    }

    fn append(&mut self, payload: &[u8]) -> Result<Outcome, Violation> {
        let log = self.log.as_mut().unwrap();
        // In two parts, as callers do.
        let (head, tail) = payload.split_at(payload.len() / 3);
        match log.append(&[head, tail]) {
            Ok(sequence) => {
                self.ledger.appended(sequence, payload.to_vec())?;
                Ok(Outcome::Done)
            }
            Err(Error::BatchFull) => match self.commit()? {
                Outcome::Done => self.append(payload),
                Outcome::Failed => Ok(Outcome::Failed),
            },
            other => self.judge(other.map(drop)),
        }
    }

    fn commit(&mut self) -> Result<Outcome, Violation> {
        let log = self.log.as_mut().unwrap();
        match log.commit() {
            Ok(sequence) => {
                self.ledger.committed(sequence)?;
                Ok(Outcome::Done)
            }
            Err(error) => {
                if !log.is_poisoned() {
                    self.ledger.refused();
                }
                self.judge(Err(error))
            }
        }
    }

    fn close_and_open(&mut self) -> Result<Outcome, Violation> {
        if self.commit()? == Outcome::Failed {
            return Ok(Outcome::Failed);
        }
        let Some(log) = self.log.take() else { return Ok(Outcome::Failed) };
        match log.close() {
            Ok(()) => self.open(true),
            Err(Error::Io { .. } | Error::Poisoned { .. } | Error::Full { .. }) => Ok(Outcome::Failed),
            Err(error) => violation(format!("the log does not close: {error}")),
        }
    }

    /// What a log may say when the disk fails: that there is no space, and then it goes on; or that it is poisoned, and then for good.
    fn judge(&mut self, done: Result<(), Error>) -> Result<Outcome, Violation> {
        let log = self.log.as_mut().unwrap();
        match done {
            Ok(()) => return Ok(Outcome::Done),
            Err(Error::Poisoned { .. }) if log.is_poisoned() => {}
            Err(Error::Full { .. } | Error::Io { .. }) if !log.is_poisoned() => return Ok(Outcome::Done),
            Err(error) => return violation(format!("{error:?} of a log that is poisoned: {}", log.is_poisoned())),
        }
        let refused = [log.commit().map(drop), log.append(&[]).map(drop), log.heartbeat().map(drop), log.prepare()];
        if refused.iter().any(|refused| !matches!(refused, Err(Error::Poisoned { .. }))) {
            return violation("a poisoned log goes on");
        }
        Ok(Outcome::Failed)
    }
}
