//! What the plane's thread and everybody else have in common.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::Thread,
};

use super::{StreamTables, status::Counters};

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    tables: Mutex<Arc<StreamTables>>,
    tables_version: AtomicU64,
    adopted: AtomicU64,
    is_stopping: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Shared {
    pub(super) fn new(tables: Arc<StreamTables>) -> Self {
        Self { tables: Mutex::new(tables), ..Self::default() }
    }

    /// Called by the thread that is to be woken.
    pub(super) fn is_woken_here(&self) {
        let _ = self.thread.set(std::thread::current()); // it does so once
    }

    /// Ends the sleep of the plane's thread, or keeps it from the next one.
    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn set_tables(&self, tables: Arc<StreamTables>) {
        let mut current = self.lock();
        *current = tables;
        self.tables_version.fetch_add(1, Ordering::Release);
    }

    /// They, and which version of them.
    pub(super) fn tables(&self) -> (u64, Arc<StreamTables>) {
        let current = self.lock();
        (self.tables_version(), Arc::clone(&current))
    }

    pub(super) fn tables_version(&self) -> u64 {
        self.tables_version.load(Ordering::Acquire)
    }

    pub(super) fn set_adopted(&self, generation: u64) {
        self.adopted.fetch_max(generation, Ordering::Release);
        self.wake();
    }

    pub(super) fn adopted(&self) -> u64 {
        self.adopted.load(Ordering::Acquire)
    }

    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<StreamTables>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
