//! An atomic word. In tests each access is a place where another thread may come in between.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub(super) struct Word(AtomicU64);

impl Word {
    pub(super) const fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    /// What was written, perhaps not the latest, and nothing is said of other words.
    #[inline]
    pub(super) fn load(&self) -> u64 {
        interleave();
        self.0.load(Ordering::Relaxed)
    }

    /// What was published, with all that was written before it.
    #[inline]
    pub(super) fn seen(&self) -> u64 {
        interleave();
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn store(&self, value: u64) {
        interleave();
        self.0.store(value, Ordering::Relaxed);
    }

    /// Shows a word, and all that was written before it, to readers.
    #[inline]
    pub(super) fn publish(&self, value: u64) {
        interleave();
        self.0.store(value, Ordering::Release);
    }
}

/// Where another thread may come in between, in tests.
#[cfg(not(test))]
#[inline]
pub(super) fn interleave() {}

#[cfg(test)]
pub(super) use self::interleaved::{interleave, under_shuttle, without_interleaving};

#[cfg(test)]
mod interleaved {
    use std::cell::Cell;

    thread_local! {
        static IS_UNDER_SHUTTLE: Cell<bool> = const { Cell::new(false) };
    }

    /// Lets the scheduler of a test choose who goes on. Its threads all run on one, one at a time, and switch only here.
    pub(in super::super) fn interleave() {
        if IS_UNDER_SHUTTLE.get() {
            shuttle::thread::yield_now();
        }
    }

    /// Runs a test of which `interleave` is a part.
    pub(in super::super) fn under_shuttle<T>(run: impl FnOnce() -> T) -> T {
        set_while(true, run)
    }

    /// Runs a part of one that nobody comes in between of, to prepare something.
    pub(in super::super) fn without_interleaving<T>(run: impl FnOnce() -> T) -> T {
        set_while(false, run)
    }

    fn set_while<T>(value: bool, run: impl FnOnce() -> T) -> T {
        struct Reset(bool);
        impl Drop for Reset {
            fn drop(&mut self) {
                IS_UNDER_SHUTTLE.set(self.0);
            }
        }
        let _reset = Reset(IS_UNDER_SHUTTLE.replace(value));
        run()
    }
}
