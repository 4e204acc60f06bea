//! SIGTERM, SIGINT and SIGHUP as flags that the main thread looks at.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// What was asked for by signals.
#[derive(Debug)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the handlers. From now on a first SIGTERM or SIGINT only sets a flag; a second one ends the process at once.
    pub(crate) fn install() -> Result<Self> {
        let (stop, reload) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset, sets it, and only the second one finds it set.
            flag::register_conditional_shutdown(signal, FAILURE, Arc::clone(&stop)).context("cannot handle signals")?;
            flag::register(signal, Arc::clone(&stop)).context("cannot handle signals")?;
        }
        flag::register(SIGHUP, Arc::clone(&reload)).context("cannot handle signals")?;
        Ok(Self { stop, reload })
    }

    pub(crate) fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Whether a reload was asked for since the last time this was asked.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}

const FAILURE: i32 = 1;
