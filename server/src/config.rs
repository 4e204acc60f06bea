//! The configuration file of `gannet serve`. `docs/operating/gannet.toml` shows every setting with its default; a test
//! holds the two together.

mod ingest;
mod places;

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use gannet_api::{MetadataOptions, definitions::model::FeatureView};
use gannet_engine::{
    admission::{AdmissionConfig, Mark},
    limits::{CONNECTIONS_PER_CORE_MAX, Limits, OutOfRange},
    server::allowed_cpus,
};
use gannet_store::table::{Lock, Populate};
use serde::Deserialize;

use self::{
    ingest::IngestConfig,
    places::{Misfit, line_of},
};
use crate::serving::{MemorySettings, cores};

/// What the file says; what it leaves out is `None` and gets its default from whoever uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) cores: Option<String>,
    pub(crate) spin_us: Option<u64>,
    pub(crate) connections_per_core: Option<usize>,
    pub(crate) drain_seconds_max: Option<u64>,
    pub(crate) default_workspace: Option<String>,
    pub(crate) default_metadata_options: Vec<String>,
    pub(crate) server_timing: bool,
    pub(crate) aws_region: Option<String>,
    pub(crate) limits: LimitsConfig,
    pub(crate) admission: AdmissionSettings,
    pub(crate) memory: MemoryConfig,
    pub(crate) ingest: IngestConfig,
    /// Milliseconds by `workspace/view`.
    pub(crate) simulate_slow_ms: BTreeMap<String, u64>,
}

/// Bounds of the HTTP layer; `docs/http.md` says what happens beyond each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    request_line_bytes_max: Option<usize>,
    field_line_bytes_max: Option<usize>,
    head_bytes_max: Option<usize>,
    fields_max: Option<u16>,
    body_bytes_max: Option<usize>,
    input_bytes_max: Option<usize>,
    unread_body_bytes_max: Option<usize>,
    requests_in_process_max: Option<usize>,
    unsent_bytes_max: Option<usize>,
    head_time_ms_max: Option<u64>,
    body_grace_ms: Option<u64>,
    request_time_ms_max: Option<u64>,
    idle_time_ms_max: Option<u64>,
    write_stall_ms_max: Option<u64>,
}

/// When requests are refused; `docs/operating/overload.md` says why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AdmissionSettings {
    enabled: Option<bool>,
    critical_enter_percent: Option<u32>,
    critical_leave_percent: Option<u32>,
    critical_limit_percent: Option<u32>,
    default_enter_percent: Option<u32>,
    default_leave_percent: Option<u32>,
    default_limit_percent: Option<u32>,
    sheddable_enter_percent: Option<u32>,
    sheddable_leave_percent: Option<u32>,
    sheddable_limit_percent: Option<u32>,
    window_ms: Option<u64>,
    queue_time_us_min: Option<u64>,
    turn_answers: Option<u32>,
    turn_time_us_max: Option<u64>,
    refusal_percent: Option<u32>,
    refusal_percent_held: Option<u32>,
    held_time_ms_max: Option<u64>,
    retry_after_s_min: Option<u32>,
    retry_after_s_max: Option<u32>,
}

/// How tables come into memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MemoryConfig {
    populate: Option<PopulateConfig>,
    lock: Option<LockConfig>,
    huge_pages: Option<bool>,
    budget_mib: Option<u64>,
    row_cache_mib: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PopulateConfig {
    None,
    Index,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LockConfig {
    Auto,
    Never,
    Required,
}

impl Config {
    /// Reads a file; what it does not know or cannot use is refused, with the line.
    /// `cores_named` are those that serve instead of the file's.
    pub(crate) fn read(file: &Path, cores_named: Option<&[usize]>) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed = Self::parse(&text).with_context(|| format!("{} is not a configuration", file.display()))?;
        parsed.check(cores_named).map_err(|misfit| match line_of(&text, &misfit) {
            Some(line) => anyhow!("{}, line {line}: {misfit}", file.display()),
            None => anyhow!("{}: {misfit}", file.display()),
        })?;
        Ok(parsed)
    }

    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| anyhow!("{}", e.to_string().trim_end()))
    }

    fn check(&self, cores_named: Option<&[usize]>) -> Result<(), Misfit> {
        let widened = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let connections = self.connections_per_core.map(widened);
        for (table, key, value, min, max) in [
            (None, "spin_us", self.spin_us, 0, SPIN_US_MAX),
            (None, "connections_per_core", connections, 1, widened(CONNECTIONS_PER_CORE_MAX)),
            (None, "drain_seconds_max", self.drain_seconds_max, 0, DRAIN_SECONDS_HIGHEST),
            (MEMORY, "budget_mib", self.memory.budget_mib, BUDGET_MIB_MIN, MIB_MAX),
            (MEMORY, "row_cache_mib", self.memory.row_cache_mib.map(widened), 0, MIB_MAX),
        ] {
            if let Some(value) = value.filter(|value| !(min..=max).contains(value)) {
                let reason = format!("{key} = {value} is out of range: {min} to {max}");
                return Err(Misfit::new(table, key, reason));
            }
        }
        self.memory.check(self.cores(cores_named)?.len())?;
        self.ingest.check()?;
        self.metadata_options()?;
        for (view, ms) in &self.simulate_slow_ms {
            let misfit =
                |reason: String| Err(Misfit::new(SLOW, view, format!("simulate_slow_ms: \"{view}\" {reason}")));
            if view.split('/').count() != 2 {
                let expected = "is no feature view; expected workspace/view, such as \"prod/plane_delays\"";
                return misfit(expected.to_owned());
            }
            if !(1..=SLOW_MS_MAX).contains(ms) {
                return misfit(format!("= {ms} is out of range: 1 to {SLOW_MS_MAX}"));
            }
        }
        let beyond = |table| move |e: OutOfRange| Misfit::new(Some(table), e.setting, e.to_string());
        self.limits.apply().map_err(beyond("limits"))?;
        self.admission.apply().map_err(beyond("admission"))?;
        Ok(())
    }

    /// The cores that serve: those `named` on the command line, else those of the file, else all that the process may use.
    pub(crate) fn cores(&self, named: Option<&[usize]>) -> Result<Vec<usize>, Misfit> {
        let parsed = self.cores.as_deref().map(cores::parse).transpose();
        let of_file = parsed.map_err(|e| Misfit::new(None, "cores", format!("cores: {e}")))?;
        Ok(named.map(<[usize]>::to_vec).or(of_file).unwrap_or_else(allowed_cpus))
    }

    /// Tables whose reads are to be held back.
    pub(crate) fn slow_tables(&self) -> BTreeMap<String, Duration> {
        let tables = self.simulate_slow_ms.iter().filter_map(|(named, ms)| {
            let (workspace, view) = named.split_once('/')?; // checked
            Some((FeatureView::table_name(workspace, view), Duration::from_millis(*ms)))
        });
        tables.collect()
    }

    pub(crate) fn metadata_options(&self) -> Result<MetadataOptions, Misfit> {
        let mut options = MetadataOptions::default();
        for name in &self.default_metadata_options {
            let option = MetadataOptions::named(name).ok_or_else(|| {
                let known: Vec<_> = MetadataOptions::ALL.iter().map(|(name, _)| *name).collect();
                let reason = format!("default_metadata_options: `{name}` is none of {}", known.join(", "));
                Misfit::new(None, "default_metadata_options", reason)
            })?;
            options = options.with(option);
        }
        Ok(options)
    }
}

impl LimitsConfig {
    /// The defaults with what is set here in their place; refused beyond what the code stands for.
    pub(crate) fn apply(&self) -> Result<Limits, OutOfRange> {
        let default = Limits::default();
        let time = |ms: Option<u64>, default: Duration| ms.map_or(default, Duration::from_millis);
        let limits = Limits {
            request_line_bytes_max: self.request_line_bytes_max.unwrap_or(default.request_line_bytes_max),
            field_line_bytes_max: self.field_line_bytes_max.unwrap_or(default.field_line_bytes_max),
            head_bytes_max: self.head_bytes_max.unwrap_or(default.head_bytes_max),
            fields_max: self.fields_max.unwrap_or(default.fields_max),
            body_bytes_max: self.body_bytes_max.unwrap_or(default.body_bytes_max),
            input_bytes_max: self.input_bytes_max.unwrap_or(default.input_bytes_max),
            unread_body_bytes_max: self.unread_body_bytes_max.unwrap_or(default.unread_body_bytes_max),
            requests_in_process_max: self.requests_in_process_max.unwrap_or(default.requests_in_process_max),
            unsent_bytes_max: self.unsent_bytes_max.unwrap_or(default.unsent_bytes_max),
            head_time_max: time(self.head_time_ms_max, default.head_time_max),
            body_grace: time(self.body_grace_ms, default.body_grace),
            request_time_max: time(self.request_time_ms_max, default.request_time_max),
            idle_time_max: time(self.idle_time_ms_max, default.idle_time_max),
            write_stall_max: time(self.write_stall_ms_max, default.write_stall_max),
        };
        limits.validate()?;
        Ok(limits)
    }
}

impl AdmissionSettings {
    /// The defaults with what is set here in their place; refused beyond what the code stands for.
    pub(crate) fn apply(&self) -> Result<AdmissionConfig, OutOfRange> {
        let default = AdmissionConfig::default();
        let mark = |enter: Option<u32>, leave: Option<u32>, limit: Option<u32>, default: Mark| Mark {
            enter_percent: enter.unwrap_or(default.enter_percent),
            leave_percent: leave.unwrap_or(default.leave_percent),
            limit_percent: limit.unwrap_or(default.limit_percent),
        };
        let config = AdmissionConfig {
            enabled: self.enabled.unwrap_or(default.enabled),
            critical: mark(
                self.critical_enter_percent,
                self.critical_leave_percent,
                self.critical_limit_percent,
                default.critical,
            ),
            default: mark(
                self.default_enter_percent,
                self.default_leave_percent,
                self.default_limit_percent,
                default.default,
            ),
            sheddable: mark(
                self.sheddable_enter_percent,
                self.sheddable_leave_percent,
                self.sheddable_limit_percent,
                default.sheddable,
            ),
            window: self.window_ms.map_or(default.window, Duration::from_millis),
            queue_time_min: self.queue_time_us_min.map_or(default.queue_time_min, Duration::from_micros),
            turn_answers: self.turn_answers.unwrap_or(default.turn_answers),
            turn_time_max: self.turn_time_us_max.map_or(default.turn_time_max, Duration::from_micros),
            refusal_percent: self.refusal_percent.unwrap_or(default.refusal_percent),
            refusal_percent_held: self.refusal_percent_held.unwrap_or(default.refusal_percent_held),
            held_time_max: self.held_time_ms_max.map_or(default.held_time_max, Duration::from_millis),
            retry_after_s_min: self.retry_after_s_min.unwrap_or(default.retry_after_s_min),
            retry_after_s_max: self.retry_after_s_max.unwrap_or(default.retry_after_s_max),
        };
        config.validate()?;
        Ok(config)
    }
}

impl MemoryConfig {
    /// What caches take is part of the budget: beyond it nothing would be left for tables, and the process would outgrow it.
    fn check(&self, cores: usize) -> Result<(), Misfit> {
        let (Some(budget_mib), Some(cache_mib)) = (self.budget_mib, self.row_cache_mib) else { return Ok(()) };
        let caches_mib = u64::try_from(cache_mib.saturating_mul(cores)).unwrap_or(u64::MAX);
        if caches_mib <= budget_mib {
            return Ok(());
        }
        let each = if cores == 1 { String::new() } else { format!(" for each of {cores} cores") };
        let reason =
            format!("row_cache_mib = {cache_mib}{each} is more than budget_mib = {budget_mib}, of which it is a part");
        Err(Misfit::new(MEMORY, "row_cache_mib", reason))
    }

    pub(crate) fn settings(&self) -> MemorySettings {
        let populate = match self.populate.unwrap_or(PopulateConfig::All) {
            PopulateConfig::None => Populate::None,
            PopulateConfig::Index => Populate::Index,
            PopulateConfig::All => Populate::All,
        };
        let lock = match self.lock.unwrap_or(LockConfig::Auto) {
            LockConfig::Auto => Lock::IfAllowed,
            LockConfig::Never => Lock::Never,
            LockConfig::Required => Lock::Required,
        };
        MemorySettings {
            populate,
            lock,
            // Under huge pages what is brought in for one row is two mebibytes: right when all is wanted anyway.
            huge_pages: self.huge_pages.unwrap_or(populate == Populate::All),
            budget_bytes: self.budget_mib.map(|mib| mib << 20),
            row_cache_bytes: self.row_cache_mib.map(|mib| mib << 20),
        }
    }
}

const MEMORY: Option<&str> = Some("memory");
const SLOW: Option<&str> = Some("simulate_slow_ms");

/// Less would not hold the index of a small table.
const BUDGET_MIB_MIN: u64 = 16;

/// A pebibyte.
const MIB_MAX: u64 = 1 << 30;

/// As long as the longest latency budget.
const SLOW_MS_MAX: u64 = 60_000;

/// A core that looks for work longer than a second does nothing else.
pub(crate) const SPIN_US_MAX: u64 = 1_000_000;

/// An hour: whoever orchestrates has killed the process long before.
const DRAIN_SECONDS_HIGHEST: u64 = 3600;

#[cfg(test)]
mod tests;
