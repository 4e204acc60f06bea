//! What an operator may set about admission.

use std::time::Duration;

use super::Criticality;
use crate::limits::{OutOfRange, Setting};

/// When a class of requests is shed, in percent of the core, judged by what it and those more critical ask for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Above, it begins to be shed.
    pub enter_percent: u32,
    /// Below, it is no longer shed. Far enough from the other that a window's chance does not reach across.
    pub leave_percent: u32,
    /// What refusals, the class and those more critical may use together while it is being shed.
    pub limit_percent: u32,
}

/// Thresholds, shares and windows of a shard's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// Off: everything is admitted and only measured.
    pub enabled: bool,
    /// Nearly all of the core: beyond it, critical requests would only wait for each other.
    pub critical: Mark,
    /// Below critical's by what a burst of critical requests may need before the classes below give way.
    pub default: Mark,
    /// A fifth of the core is kept from what can come back later, so that ordinary peaks never meet it.
    pub sheddable: Mark,
    /// The window over which load is judged. As short as it can be while it still holds some tens of dear requests: it is also
    /// how late overload is noticed and its end believed.
    pub window: Duration,
    /// A full core refuses nobody but the sheddable as long as what is at hand takes less than this. Some 160 ordinary requests: so many
    /// callers, each of which asks again only when it was answered, fill a core without anybody waiting for long.
    pub queue_time_min: Duration,
    /// What may be admitted in one turn while shedding, in answers. A request waits for the turn before its own and for its own, so
    /// this bounds waiting at about twice as many answers, near what a core at 80 % makes one in a hundred wait anyway.
    pub turn_answers: u32,
    /// What a turn takes on in any case, unless it is critical or less than `turn_answers`. A burst beyond it is taken up in several
    /// turns, the most critical first.
    pub turn_time_max: Duration,
    /// What a core may spend on saying 429 to everybody, in percent. Within it all who are refused are told at once.
    pub refusal_percent: u32,
    /// What it spends when that did not suffice. Most must be held anyway, and each refusal more is an answer less.
    pub refusal_percent_held: u32,
    /// A connection held longer than this makes the core spend `refusal_percent` again.
    pub held_time_max: Duration,
    /// `Retry-After` says from this many seconds …
    pub retry_after_s_min: u32,
    /// … to this many, evenly spread, or all who were refused together would come back together.
    pub retry_after_s_max: u32,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            critical: Mark { enter_percent: 99, leave_percent: 94, limit_percent: 100 },
            default: Mark { enter_percent: 95, leave_percent: 90, limit_percent: 100 },
            sheddable: Mark { enter_percent: 80, leave_percent: 75, limit_percent: 80 },
            window: Duration::from_millis(10),
            queue_time_min: Duration::from_micros(1250),
            turn_answers: 8,
            turn_time_max: Duration::from_micros(800),
            refusal_percent: 15,
            refusal_percent_held: 4,
            held_time_max: Duration::from_millis(500),
            retry_after_s_min: 1,
            retry_after_s_max: 3,
        }
    }
}

impl AdmissionConfig {
    pub fn mark(&self, criticality: Criticality) -> Mark {
        match criticality {
            Criticality::Critical => self.critical,
            Criticality::Default => self.default,
            Criticality::Sheddable => self.sheddable,
        }
    }

    /// Refuses settings that the code does not stand for.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        match self.settings().into_iter().find(|s| !(s.min..=s.max).contains(&s.value)) {
            Some(Setting { name: setting, value, min, max }) => Err(OutOfRange { setting, value, min, max }),
            None => Ok(()),
        }
    }

    /// Every setting with its range as the other settings stand: marks rise with criticality, and each is left below where it
    /// is entered.
    pub fn settings(&self) -> [Setting; 18] {
        let number = |name, value: u32, min: u32, max: u32| Setting {
            name,
            value: value.into(),
            min: min.into(),
            max: max.into(),
        };
        let ms = |name, value: Duration, min, max| Setting {
            name,
            value: u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
            min,
            max,
        };
        let us = |name, value: Duration, min, max| Setting {
            name,
            value: u64::try_from(value.as_micros()).unwrap_or(u64::MAX),
            min,
            max,
        };
        let below = |n: u32| n.saturating_sub(1);
        [
            number("critical_enter_percent", self.critical.enter_percent, 50, 100),
            number("critical_leave_percent", self.critical.leave_percent, 1, below(self.critical.enter_percent)),
            number("default_enter_percent", self.default.enter_percent, 30, self.critical.enter_percent),
            number("default_leave_percent", self.default.leave_percent, 1, below(self.default.enter_percent)),
            number("sheddable_enter_percent", self.sheddable.enter_percent, 10, self.default.enter_percent),
            number("sheddable_leave_percent", self.sheddable.leave_percent, 1, below(self.sheddable.enter_percent)),
            number("critical_limit_percent", self.critical.limit_percent, 50, 100),
            number("default_limit_percent", self.default.limit_percent, 30, self.critical.limit_percent),
            number("sheddable_limit_percent", self.sheddable.limit_percent, 10, self.default.limit_percent),
            ms("window_ms", self.window, 1, 1000),
            us("queue_time_us_min", self.queue_time_min, 0, 1_000_000),
            number("turn_answers", self.turn_answers, 1, 1024),
            us("turn_time_us_max", self.turn_time_max, 10, 100_000),
            number("refusal_percent", self.refusal_percent, 1, 50),
            number("refusal_percent_held", self.refusal_percent_held, 1, self.refusal_percent),
            ms("held_time_ms_max", self.held_time_max, 1, 60_000),
            number("retry_after_s_min", self.retry_after_s_min, 1, self.retry_after_s_max),
            number("retry_after_s_max", self.retry_after_s_max, 1, 3600),
        ]
    }
}
