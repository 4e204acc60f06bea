//! Writes that become durable together: one after the other is checked and staged, then one commit answers all.
//!
//! Whatever may be refused is refused before the log has it. What the log has, and was synced, is shown and answered.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Done, Durability, Failure, PlaneState, StreamTable, Write,
    positions::Token,
    recorder::{Recorder, is_for_space},
    rows::Rows,
    settings::{Moment, micros},
    status::Counters,
};
use crate::{
    error::Error,
    overlay::{Stage, TableId},
};

/// Writes at hand.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order in which they are answered.
    writes: Vec<(usize, Write)>,
    rows: u64,
    known: u64,
    newest: BTreeMap<TableId, (Arc<StreamTable>, i64)>,
    oldest: BTreeMap<TableId, i64>,
    has_deletes: bool,
    /// Cores that have something to take.
    to_wake: Vec<bool>,
}

/// What became of a write for now.
enum Taken {
    /// It is in the group, or was answered.
    Yes,
    /// The group has to be committed first.
    Later(usize, Write),
    /// A flush has to make room first.
    NoRoom(usize, Write),
}

impl Group {
    pub(super) fn new(cores: usize) -> Self {
        Self { to_wake: vec![false; cores], ..Self::default() }
    }
}

impl Recorder {
    /// Takes what waits, commits it, answers it. Returns whether there is more to take.
    pub(super) fn take_group(&mut self, now: Moment) -> bool {
        self.is_waiting_for_room = false;
        while !self.is_ahead_of_flush(now)
            && let Some((core, write)) = self.held.take().or_else(|| self.queue.take())
        {
            match self.take(core, write, now) {
                Taken::Yes => {}
                Taken::Later(core, write) => {
                    self.held = Some((core, write));
                    break;
                }
                Taken::NoRoom(core, write) => {
                    (self.held, self.is_waiting_for_room) = (Some((core, write)), true);
                    break;
                }
            }
            if self.group.writes.len() == GROUP_WRITES_MAX {
                break;
            }
        }
        self.end_group();
        for (core, wake) in self.group.to_wake.iter_mut().enumerate().filter(|(_, wake)| **wake) {
            *wake = false;
            self.queue.wake(core);
        }
        !self.is_waiting_for_room && self.has_writes()
    }

    /// Whether writes come so fast that they would fill the part before the flush of the one before it has made room, at the pace of the last
    /// one. Then they are taken at the pace of the flush, instead of as they come and then not at all.
    fn is_ahead_of_flush(&mut self, now: Moment) -> bool {
        let Some(since_us) = self.frozen_at_us else { return false };
        let usage = self.overlay.usage();
        let (filled_bytes, part_bytes) = (usage.filled_bytes as u64, usage.current_bytes_max as u64);
        let elapsed_us = now.monotonic_us.saturating_sub(since_us);
        // In parts of a million, so that nothing overflows.
        let filled = filled_bytes * PACE / part_bytes.max(1);
        let is_ahead = elapsed_us < self.flush_took_us
            && filled > PACE / 2
            && filled > elapsed_us.saturating_mul(PACE) / self.flush_took_us.max(1);
        let is_ahead = is_ahead && !self.settings.full_wait.is_zero() && !self.is_stopping;
        self.is_waiting_for_room |= is_ahead && self.has_writes();
        is_ahead
    }

    fn has_writes(&self) -> bool {
        self.held.is_some() || self.queue.len() > 0
    }

    fn take(&mut self, core: usize, write: Write, now: Moment) -> Taken {
        if self.log.is_poisoned() {
            return self.refuse(core, write, Failure::Poisoned);
        }
        if let Some(failure) = self.refuses {
            return self.refuse(core, write, failure);
        }
        if let Err(error) = self.log.begin() {
            let failure = self.failed(&error);
            return self.refuse(core, write, failure);
        }
        self.look_at_tables(); // after the write was taken: its core may know tables that are newer than the last look
        let tables = Arc::clone(&self.tables);
        let Ok(rows) = Rows::parse(&write.payload, &tables, now.unix_us) else {
            return self.refuse(core, write, Failure::Malformed);
        };
        if rows.passed_over > 0 || rows.len() == 0 {
            return self.refuse(core, write, Failure::Malformed);
        }
        match rows.token.as_ref().map(|token| self.positions.look(token)) {
            None | Some(Token::New) => {}
            Some(Token::TooMany) => return self.refuse(core, write, Failure::Malformed),
            Some(Token::Known) => {
                // Answered with the group, which may be what it was taken with.
                self.group.known += 1;
                self.group.writes.push((core, write));
                return Taken::Yes;
            }
        }
        if !self.log.has_room(write.payload.len()) {
            if self.log.batch_bytes() == 0 {
                return self.refuse(core, write, Failure::Malformed); // longer than all that is committed at once
            }
            if !self.group.writes.is_empty() {
                return Taken::Later(core, write);
            }
            if let Err(failure) = self.commit() {
                return self.refuse(core, write, failure);
            }
        }
        let staged_before = self.overlay.staged();
        let staged = match rows.stage(&mut self.overlay, self.log.next(), now.unix_us) {
            Ok(Stage::Full) if !self.group.writes.is_empty() => {
                self.wants_freeze = true;
                return Taken::Later(core, write);
            }
            Ok(Stage::Full) if self.freeze() => rows.stage(&mut self.overlay, self.log.next(), now.unix_us),
            staged => staged,
        };
        match staged {
            Ok(Stage::Staged) => self.full_since_us = None,
            // In a part of its own there is no room for it either.
            Ok(Stage::Full) if self.is_empty_at_rest() => {
                return self.refuse(core, write, Failure::Malformed);
            }
            Ok(Stage::Full) => return self.wait_for_room(core, write, now),
            Err(_) => return self.refuse(core, write, Failure::Malformed),
        }
        if let Err(error) = self.log.append(&[&write.payload]) {
            self.overlay.drop_staged(staged_before);
            let failure = self.failed(&error);
            return self.refuse(core, write, failure);
        }
        self.take_note(&rows);
        self.group.rows += rows.len() as u64;
        if let Some(token) = rows.token {
            self.positions.advance(token);
        }
        self.group.writes.push((core, write));
        Taken::Yes
    }

    fn take_note(&mut self, rows: &Rows<'_>) {
        let Group { newest, oldest, has_deletes, .. } = &mut self.group;
        *has_deletes |= rows.has_deletes();
        rows.times(|table, newest_us, oldest_us| {
            if let Some(newest_us) = newest_us {
                let known = newest.entry(table.id).or_insert_with(|| (Arc::clone(table), newest_us));
                known.1 = known.1.max(newest_us);
            }
            let known = oldest.entry(table.id).or_insert(oldest_us);
            *known = oldest_us.min(*known);
        });
    }

    /// Commits the group, shows its rows, and answers it.
    fn end_group(&mut self) {
        if self.group.writes.is_empty() {
            return;
        }
        let outcome = match self.settings.durability {
            Durability::Always => self.commit(),
            Durability::Interval(interval) => {
                let now = self.settings.clock.now();
                self.commit_at_us.get_or_insert_with(|| now.monotonic_us.saturating_add(micros(interval)));
                Ok(())
            }
        };
        let counters = &self.shared.counters;
        match outcome {
            Ok(()) => {
                self.overlay.show_staged();
                self.positions.keep();
                self.unflushed_since_us.get_or_insert_with(|| self.settings.clock.now().monotonic_us);
                for (table, newest_us) in self.group.newest.values() {
                    table.advance_watermark(*newest_us);
                }
                self.has_deletes |= self.group.has_deletes;
                for (id, oldest_us) in &self.group.oldest {
                    let known = self.oldest.entry(*id).or_insert(*oldest_us);
                    *known = (*oldest_us).min(*known);
                }
                Counters::add(&counters.writes, self.group.writes.len() as u64);
                Counters::add(&counters.writes_known, self.group.known);
                Counters::add(&counters.rows, self.group.rows);
                let bytes: usize = self.group.writes.iter().map(|(_, write)| write.payload.len()).sum();
                Counters::add(&counters.bytes, bytes as u64);
            }
            Err(failure) => {
                self.overlay.drop_staged(0);
                self.positions.undo();
                self.group.writes.iter().for_each(|_| counters.failed(failure));
            }
        }
        (self.group.rows, self.group.known) = (0, 0);
        self.group.has_deletes = false;
        self.group.newest.clear();
        self.group.oldest.clear();
        for (core, Write { tag, payload }) in self.group.writes.drain(..) {
            self.group.to_wake[core] = true;
            self.queue.give(core, Done { tag, outcome, payload });
        }
    }

    /// Makes durable what was appended. A failure is that of all that was.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        if self.log.batch_bytes() == 0 {
            return Ok(());
        }
        if self.settings.durability != Durability::Always {
            // What was answered already must not be dropped for want of space.
            if let Err(error) = self.log.reserve() {
                let failure = self.failed(&error);
                self.refuses = Some(failure);
                return Err(failure);
            }
        }
        let started = self.settings.clock.now();
        let committed = self.log.commit();
        let took_us = self.settings.clock.now().monotonic_us.saturating_sub(started.monotonic_us);
        match committed {
            Ok(_) => {
                self.commit_at_us = None;
                self.refuses = None;
                self.last_commit_us = started.monotonic_us;
                self.shared.counters.committed(took_us);
                self.shared.counters.log_goes_on();
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// What an error of the log means for writes. After one that is not [`Error::Poisoned`] it may be tried again.
    pub(super) fn failed(&mut self, error: &Error) -> Failure {
        if self.log.is_poisoned() {
            self.queue.poison();
            self.shared.counters.poisoned(error.to_string());
            return Failure::Poisoned;
        }
        let reason = error.to_string();
        let (failure, state) = match is_for_space(error) {
            true => (Failure::DiskFull, PlaneState::DiskFull { reason }),
            false => (Failure::Unavailable, PlaneState::Unavailable { reason }),
        };
        self.shared.counters.log_refuses(state);
        failure
    }

    /// For so long writes wait, in their order; whoever cannot wait finds the queue full before long.
    fn wait_for_room(&mut self, core: usize, write: Write, now: Moment) -> Taken {
        let since_us = *self.full_since_us.get_or_insert(now.monotonic_us);
        let until_us = since_us.saturating_add(micros(self.settings.full_wait));
        if self.is_stopping || until_us <= now.monotonic_us {
            self.shared.counters.set_memory_full(true);
            return self.refuse(core, write, Failure::Full);
        }
        Taken::NoRoom(core, write)
    }

    /// Whether the overlay has all the room that it can have, for whoever writes first.
    fn is_empty_at_rest(&self) -> bool {
        self.overlay.usage().rows == 0 && !self.overlay.has_frozen() && !self.overlay.is_reclaiming()
    }

    fn refuse(&mut self, core: usize, Write { tag, payload }: Write, failure: Failure) -> Taken {
        self.shared.counters.failed(failure);
        self.group.to_wake[core] = true;
        self.queue.give(core, Done { tag, outcome: Err(failure), payload });
        Taken::Yes
    }
}

/// So that the first of a group does not wait for thousands behind it.
const GROUP_WRITES_MAX: usize = 1024;

/// All of a part, and all of the time that a flush takes.
const PACE: u64 = 1_000_000;
