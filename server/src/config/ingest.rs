//! How writes are taken: `[ingest]` of the configuration file.

use std::time::Duration;

use serde::Deserialize;

use super::places::Misfit;
use crate::serving::IngestSettings;

/// What the file says of writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct IngestConfig {
    durability: Option<DurabilityConfig>,
    interval_ms: Option<u64>,
    overlay_mib: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DurabilityConfig {
    Always,
    Interval,
}

impl IngestConfig {
    pub(super) fn check(&self) -> Result<(), Misfit> {
        for (key, value, min, max) in [
            ("interval_ms", self.interval_ms, 1, INTERVAL_MS_MAX),
            ("overlay_mib", self.overlay_mib, OVERLAY_MIB_MIN, OVERLAY_MIB_MAX),
        ] {
            if let Some(value) = value.filter(|value| !(min..=max).contains(value)) {
                let reason = format!("{key} = {value} is out of range: {min} to {max}");
                return Err(Misfit::new(INGEST, key, reason));
            }
        }
        if self.interval_ms.is_some() && self.durability != Some(DurabilityConfig::Interval) {
            let reason = "interval_ms is of no use without durability = \"interval\"";
            return Err(Misfit::new(INGEST, "interval_ms", reason.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn settings(&self) -> IngestSettings {
        let default = IngestSettings::default();
        let interval = Duration::from_millis(self.interval_ms.unwrap_or(INTERVAL_MS));
        IngestSettings {
            sync_every: (self.durability == Some(DurabilityConfig::Interval)).then_some(interval),
            overlay_bytes: self.overlay_mib.map_or(default.overlay_bytes, |mib| mib << 20),
            ..default
        }
    }
}

const INGEST: Option<&str> = Some("ingest");

/// What a crash may cost whoever chose not to wait for the disk.
const INTERVAL_MS: u64 = 100;

/// Whoever can lose more than ten seconds of writes needs no log.
const INTERVAL_MS_MAX: u64 = 10_000;

/// Two parts of the longest rows, with some room for others.
const OVERLAY_MIB_MIN: u64 = 8;

/// What the overlay can address.
const OVERLAY_MIB_MAX: u64 = (gannet_store::limits::OVERLAY_BUDGET_BYTES_MAX >> 20) as u64;
