//! The configuration file of `gannet serve`. `docs/operating/gannet.toml` shows every setting with its default; a test
//! holds the two together.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use gannet_api::MetadataOptions;
use gannet_engine::{
    admission::{AdmissionConfig, Mark},
    limits::{CONNECTIONS_PER_CORE_MAX, Limits},
};
use gannet_store::table::{Lock, Populate};
use serde::Deserialize;

use crate::serving::MemorySettings;

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
    /// Reads a file; what it does not know is refused, with the line.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let parsed = Self::parse(&text).with_context(|| format!("{} is not a configuration", file.display()))?;
        parsed.validate().with_context(|| file.display().to_string())?;
        parsed.limits.apply().with_context(|| format!("{}: [limits]", file.display()))?;
        parsed.admission.apply().with_context(|| format!("{}: [admission]", file.display()))?;
        Ok(parsed)
    }

    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| anyhow!("{}", e.to_string().trim_end()))
    }

    fn validate(&self) -> Result<()> {
        let widened = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        for (key, value, min, max) in [
            ("spin_us", self.spin_us, 0, SPIN_US_MAX),
            ("connections_per_core", self.connections_per_core.map(widened), 1, widened(CONNECTIONS_PER_CORE_MAX)),
            ("drain_seconds_max", self.drain_seconds_max, 0, DRAIN_SECONDS_HIGHEST),
            ("budget_mib", self.memory.budget_mib, BUDGET_MIB_MIN, MIB_MAX),
            ("row_cache_mib", self.memory.row_cache_mib.map(widened), 0, MIB_MAX),
        ] {
            if let Some(value) = value.filter(|value| !(min..=max).contains(value)) {
                bail!("{key} = {value} is out of range: {min} to {max}");
            }
        }
        if let Some(view) = self.simulate_slow_ms.keys().find(|view| view.split('/').count() != 2) {
            bail!(
                "simulate_slow_ms: \"{view}\" is no feature view; expected workspace/view, such as \"prod/plane_delays\""
            );
        }
        if let Some((view, ms)) = self.simulate_slow_ms.iter().find(|(_, ms)| !(1..=SLOW_MS_MAX).contains(*ms)) {
            bail!("simulate_slow_ms: \"{view}\" = {ms} is out of range: 1 to {SLOW_MS_MAX}");
        }
        Ok(())
    }

    /// Tables whose reads are to be held back.
    pub(crate) fn slow_tables(&self) -> BTreeMap<String, Duration> {
        self.simulate_slow_ms.iter().map(|(view, ms)| (view.clone(), Duration::from_millis(*ms))).collect()
    }

    pub(crate) fn metadata_options(&self) -> Result<MetadataOptions> {
        let mut options = MetadataOptions::default();
        for name in &self.default_metadata_options {
            let option = MetadataOptions::named(name).with_context(|| {
                let known: Vec<_> = MetadataOptions::ALL.iter().map(|(name, _)| *name).collect();
                format!("default_metadata_options: `{name}` is none of {}", known.join(", "))
            })?;
            options = options.with(option);
        }
        Ok(options)
    }
}

impl LimitsConfig {
    /// The defaults with what is set here in their place; refused beyond what the code stands for.
    pub(crate) fn apply(&self) -> Result<Limits> {
        let default = Limits::default();
        let time = |ms: Option<u64>, default: Duration| ms.map_or(default, Duration::from_millis);
        let limits = Limits {
            request_line_bytes_max: self.request_line_bytes_max.unwrap_or(default.request_line_bytes_max),
            field_line_bytes_max: self.field_line_bytes_max.unwrap_or(default.field_line_bytes_max),
            head_bytes_max: self.head_bytes_max.unwrap_or(default.head_bytes_max),
            fields_max: self.fields_max.unwrap_or(default.fields_max),
            body_bytes_max: self.body_bytes_max.unwrap_or(default.body_bytes_max),
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
    pub(crate) fn apply(&self) -> Result<AdmissionConfig> {
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
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../docs/operating/gannet.toml");

    #[test]
    fn the_documented_example_parses_and_is_all_defaults() {
        let config = Config::parse(EXAMPLE).unwrap();
        assert_eq!(config.limits.apply().unwrap(), Limits::default());
        assert_eq!(config.admission.apply().unwrap(), AdmissionConfig::default());
        assert_eq!(config.memory.settings(), MemorySettings::default());
        assert!(config.metadata_options().unwrap().is_empty());
    }

    #[test]
    fn the_documented_example_shows_every_setting() {
        // Commented-out settings count: they are shown, with no default worth fixing.
        let shown =
            |name: &str| EXAMPLE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{name} =")));
        let debug = format!("{:?}", Config::default());
        let mut words = debug.split(['{', ',', ' ']).filter_map(|word| word.strip_suffix(':'));
        assert_eq!(
            words.find(|name| !shown(name) && !["limits", "admission", "memory", "simulate_slow_ms"].contains(name)),
            None
        );
    }

    #[test]
    fn the_documented_example_names_every_metadata_option() {
        let words: Vec<_> = EXAMPLE.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for (name, _) in MetadataOptions::ALL {
            assert!(words.contains(&name), "{name}");
        }
    }

    #[test]
    fn unknown_settings_are_refused_with_their_line() {
        let error = Config::parse("listen = \"127.0.0.1:1\"\nlitsen = 1\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("litsen"), "{error}");
    }

    #[test]
    fn limits_beyond_their_range_are_refused() {
        let config = Config::parse("[limits]\nbody_bytes_max = 1\n").unwrap();
        assert!(config.limits.apply().unwrap_err().to_string().contains("body_bytes_max"));
    }

    #[test]
    fn values_out_of_range_are_refused_with_key_value_and_range() {
        let refused = |text: &str, expected: &str| {
            let error = Config::parse(text).unwrap().validate().unwrap_err().to_string();
            assert_eq!(error, expected);
        };
        refused("connections_per_core = 0", "connections_per_core = 0 is out of range: 1 to 65536");
        refused("connections_per_core = 65537", "connections_per_core = 65537 is out of range: 1 to 65536");
        refused("spin_us = 1000001", "spin_us = 1000001 is out of range: 0 to 1000000");
        refused(
            "[simulate_slow_ms]\nplane_delays = 5",
            "simulate_slow_ms: \"plane_delays\" is no feature view; expected workspace/view, such as \"prod/plane_delays\"",
        );
        refused("[simulate_slow_ms]\n\"a/b\" = 0", "simulate_slow_ms: \"a/b\" = 0 is out of range: 1 to 60000");
        refused("drain_seconds_max = 3601", "drain_seconds_max = 3601 is out of range: 0 to 3600");
        let bounds = "connections_per_core = 65536\nspin_us = 1000000\ndrain_seconds_max = 0";
        Config::parse(bounds).unwrap().validate().unwrap();
    }

    #[test]
    fn metadata_options_go_by_their_names_on_the_wire() {
        let config = Config::parse("default_metadata_options = [\"includeNames\"]").unwrap();
        assert_eq!(config.metadata_options().unwrap(), MetadataOptions::NAMES);
        let config = Config::parse("default_metadata_options = [\"names\"]").unwrap();
        assert!(config.metadata_options().unwrap_err().to_string().contains("includeNames"));
    }
}
