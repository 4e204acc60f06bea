//! How much memory tables may take, and what of it goes to the caches of rows.
//!
//! ```text
//! what the control group or the machine has ──70 %──► budget ──┬─ a quarter: caches of rows, one per core, filled as rows are read
//!                                                               └─ the rest: every index first, then rows as far as it goes
//!                                                                  (an eighth is left free for deltas where records are taken)
//! ```
//! The other 30 %, but never less than the process needs for itself, are for connections, for the kernel, and for a run of
//! `materialize` beside the server. What is locked cannot be taken back, so a budget beyond the control group's limit would
//! get the process killed.

mod machine;

use std::path::Path;

use gannet_store::table::{Lock, Populate};

use super::live::DELTA_BROUGHT_IN_BYTES_MAX;

/// What an operator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemorySettings {
    pub(crate) populate: Populate,
    pub(crate) lock: Lock,
    pub(crate) huge_pages: bool,
    /// For tables and caches together.
    pub(crate) budget_bytes: Option<u64>,
    /// Of each core.
    pub(crate) row_cache_bytes: Option<usize>,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self {
            populate: Populate::All,
            lock: Lock::IfAllowed,
            huge_pages: true,
            budget_bytes: None,
            row_cache_bytes: None,
        }
    }
}

/// What that comes to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryPlan {
    pub(super) tables_bytes: u64,
    pub(super) row_cache_bytes: usize,
}

impl MemoryPlan {
    /// For so many cores, on this machine.
    pub(super) fn new(settings: &MemorySettings, cores: usize) -> Self {
        Self::on(Path::new("/"), settings, cores)
    }

    /// On the machine that a tree of files like that at `/` tells of.
    fn on(root: &Path, settings: &MemorySettings, cores: usize) -> Self {
        let memory_bytes = || machine::memory_bytes(root);
        let budget = settings.budget_bytes.unwrap_or_else(|| usual_budget_bytes(memory_bytes(), cores));
        Self::within(budget, settings.row_cache_bytes, cores)
    }

    /// The cache of a core that is to serve tables of so many bytes of rows: no larger than that is of use, with room to grow. A cache
    /// that is far too large spreads what little it holds over all its pages.
    pub(super) fn row_cache_for(&self, settings: &MemorySettings, rows_bytes: Option<u64>) -> usize {
        let (None, Some(rows_bytes)) = (settings.row_cache_bytes, rows_bytes) else { return self.row_cache_bytes };
        let useful = rows_bytes.saturating_mul(ROW_CACHE_GROWTH).max(ROW_CACHE_BYTES_LEAST);
        self.row_cache_bytes.min(usize::try_from(useful).unwrap_or(usize::MAX))
    }

    /// Of what tables may take, this is left free for deltas to come: they are asked for by those who just wrote.
    pub(super) fn deltas_bytes(&self) -> u64 {
        (self.tables_bytes / DELTAS_SHARE).min(DELTA_BROUGHT_IN_BYTES_MAX)
    }

    fn within(budget_bytes: u64, row_cache_bytes: Option<usize>, cores: usize) -> Self {
        let cores_u64 = u64::try_from(cores.max(1)).unwrap_or(u64::MAX);
        let usual = (budget_bytes / CACHE_SHARE / cores_u64).min(ROW_CACHE_BYTES_USUAL);
        let row_cache_bytes = row_cache_bytes.unwrap_or_else(|| usize::try_from(usual).unwrap_or(usize::MAX));
        let caches = u64::try_from(row_cache_bytes).unwrap_or(u64::MAX).saturating_mul(cores_u64);
        Self { tables_bytes: budget_bytes.saturating_sub(caches), row_cache_bytes }
    }
}

/// What is left of so much memory for tables and caches.
fn usual_budget_bytes(memory_bytes: u64, cores: usize) -> u64 {
    let further_cores = u64::try_from(cores.saturating_sub(1)).unwrap_or(u64::MAX);
    let own = OWN_BYTES.saturating_add(further_cores.saturating_mul(OWN_BYTES_PER_CORE));
    memory_bytes.saturating_sub(own.max(memory_bytes / 10 * 3))
}

/// Caches get one part in so many. They hold the rows that are asked for most, so a byte of them answers more requests than a
/// byte of a table; but where all tables fit, they are never used.
const CACHE_SHARE: u64 = 4;

/// Deltas get one part in so many, if others would take all there is. A table of which a delta is a quarter is compacted.
const DELTAS_SHARE: u64 = 8;

/// Measured: 45 MiB with one core and 20 of program, and then checksums and connections.
const OWN_BYTES: u64 = 96 << 20;

const OWN_BYTES_PER_CORE: u64 = 16 << 20;

/// How much larger the rows may become before the server is started again.
const ROW_CACHE_GROWTH: u64 = 4;

/// What tables of no size to speak of get.
const ROW_CACHE_BYTES_LEAST: u64 = 16 << 20;

/// More than this per core is for an operator to decide.
const ROW_CACHE_BYTES_USUAL: u64 = 4 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_quarter_goes_to_the_caches_of_all_cores() {
        assert_eq!(
            MemoryPlan::within(8 << 30, None, 2),
            MemoryPlan { tables_bytes: 6 << 30, row_cache_bytes: 1 << 30 }
        );
        assert_eq!(MemoryPlan::within(8 << 30, Some(0), 2), MemoryPlan { tables_bytes: 8 << 30, row_cache_bytes: 0 });
        assert_eq!(MemoryPlan::within(1 << 20, Some(1 << 20), 4).tables_bytes, 0);
        assert_eq!(MemoryPlan::within(1 << 40, None, 1).row_cache_bytes, 4 << 30);
    }

    #[test]
    fn an_eighth_is_left_for_deltas_and_no_more_than_one_is_brought_in_at_once() {
        let of = |tables_bytes| MemoryPlan { tables_bytes, row_cache_bytes: 0 }.deltas_bytes();
        assert_eq!((of(0), of(80 << 20), of(64 << 30)), (0, 10 << 20, 256 << 20));
    }

    #[test]
    fn a_small_group_leaves_room_for_the_process_itself() {
        assert_eq!(usual_budget_bytes(10 << 30, 1), (10 << 30) / 10 * 7);
        assert_eq!(usual_budget_bytes(160 << 20, 1), 64 << 20);
        assert_eq!(usual_budget_bytes(160 << 20, 3), 32 << 20);
        assert_eq!(usual_budget_bytes(64 << 20, 1), 0);
    }

    #[test]
    fn a_cache_is_no_larger_than_the_rows_are_worth_unless_it_was_set() {
        let plan = MemoryPlan { tables_bytes: 0, row_cache_bytes: 1 << 30 };
        let usual = MemorySettings::default();
        assert_eq!(plan.row_cache_for(&usual, None), 1 << 30);
        assert_eq!(plan.row_cache_for(&usual, Some(0)), 16 << 20);
        assert_eq!(plan.row_cache_for(&usual, Some(100 << 20)), 400 << 20);
        assert_eq!(plan.row_cache_for(&usual, Some(u64::MAX)), 1 << 30);
        let set = MemorySettings { row_cache_bytes: Some(1 << 30), ..usual };
        assert_eq!(plan.row_cache_for(&set, Some(0)), 1 << 30);
    }

    /// As systemd and container runtimes lay it out under version 2: the group's own limit, or one above it, and not the machine's.
    #[test]
    fn the_budget_is_taken_from_the_limit_of_the_control_group() {
        let root = Scratch::new();
        root.write("proc/meminfo", "MemTotal:       16777216 kB\n");
        let plan = |settings: &MemorySettings| MemoryPlan::on(root.path(), settings, 2);
        let usual = MemorySettings::default();
        let seventy_percent = |bytes: u64| MemoryPlan::within(bytes - bytes / 10 * 3, None, 2);
        assert_eq!(plan(&usual), seventy_percent(16 << 30), "no group");

        root.write("proc/self/cgroup", "0::/system.slice/gannet.service\n");
        root.write("sys/fs/cgroup/system.slice/gannet.service/memory.max", "max\n");
        root.write("sys/fs/cgroup/system.slice/memory.max", "max\n");
        assert_eq!(plan(&usual), seventy_percent(16 << 30), "no limit");
        root.write("sys/fs/cgroup/system.slice/gannet.service/memory.max", "1073741824\n");
        assert_eq!(plan(&usual), seventy_percent(1 << 30));
        root.write("sys/fs/cgroup/system.slice/memory.max", "536870912\n");
        assert_eq!(plan(&usual), seventy_percent(512 << 20));

        let set = MemorySettings { budget_bytes: Some(2 << 30), row_cache_bytes: Some(0), ..usual };
        assert_eq!(plan(&set).tables_bytes, 2 << 30, "an operator's word counts");
    }
}
