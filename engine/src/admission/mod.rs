//! The gate of one shard: which requests a core takes on, which it refuses before their bodies are parsed, and which it leaves
//! waiting because even refusing would cost too much. It is handed the time and does no I/O; nothing in it is shared.
//!
//! ```text
//!   turn began       what the last turn cost                       ► how busy, how dear an answer and a refusal are
//!   each request     cannot meet its budget                        ► refuse
//!                    its class is not being shed, or has credit    ► Admit: who just came goes before who is held
//!                    its class is not being shed, but the turn is
//!                    long enough                                   ► Hold: a burst is taken up in several turns
//!                    otherwise                                     ► refuse
//!   refuse           nobody is held, and the core's share for
//!                    refusing is not used up                       ► Shed: 429 at once
//!                    otherwise                                     ► Hold: the connection is not read until its turn comes
//!   all decided      `release`: who was held and is now admitted (there is room again) or shed (its turn has come; those who are
//!                    too late for their budgets first)
//! ```
//!
//! Requests for health, metrics and administration never come here; they are only counted.
//!
//! Credit is time of the core. While a class is being shed, its credit grows with time by its limit less what more critical
//! classes and refusals take, up to a turn's worth, and every admitted request costs what one more answer cost lately. What a turn costs
//! by itself is known apart, and turns are worth many times that. So they stay short however much is offered, but never so short that
//! answers become dear, and more critical requests find room. Why so: `docs/adr/0012-admission.md`.

mod concurrency;
mod config;
mod credit;
mod gate;
mod line;
mod load;
mod metrics;
#[cfg(test)]
mod tests;

pub use concurrency::{InProgress, Permit, share_of};
pub use config::{AdmissionConfig, Mark};
pub use gate::{Ask, Decision, Gate, Idle};
pub use metrics::AdmissionMetrics;

/// How much is lost if a request is refused; what is shed first stands last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Criticality {
    /// Somebody waits for it and cannot do without.
    Critical,
    /// What is said of a request that says nothing.
    Default,
    /// Prefetching, backfilling, whatever can come back later.
    Sheddable,
}

impl Criticality {
    /// The most critical first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Default, Self::Sheddable];

    /// As the header, the keys and the metrics name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Default => "default",
            Self::Sheddable => "sheddable",
        }
    }

    /// From a header's or a configuration's value.
    pub fn from_label(label: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.label().as_bytes().eq_ignore_ascii_case(label))
    }

    /// The place in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// Why a request is refused with 429. Labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The core has no room for its class.
    Capacity,
    /// It would have come to its turn too late for its own budget.
    Budget,
    /// As many requests of its API key are in progress as may be.
    KeyConcurrency,
    /// As many requests for its feature service are in progress as may be.
    ServiceConcurrency,
    /// It would have had to wait for rows, and as many requests as may do.
    Waiting,
    /// The same, and those that do keep as many bytes as they may.
    WaitingBytes,
}

impl Reason {
    pub const ALL: [Self; 6] = [
        Self::Capacity,
        Self::Budget,
        Self::KeyConcurrency,
        Self::ServiceConcurrency,
        Self::Waiting,
        Self::WaitingBytes,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Budget => "budget",
            Self::KeyConcurrency => "key_concurrency",
            Self::ServiceConcurrency => "service_concurrency",
            Self::Waiting => "waiting",
            Self::WaitingBytes => "waiting_bytes",
        }
    }

    /// The place in [`Self::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}
