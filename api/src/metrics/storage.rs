//! What the storage plane counts, as `/metrics` shows it.

use gannet_store::plane::{COMMIT_BUCKETS_US, PlaneState};

use super::exposition::Series;
use crate::StorageFigures;

/// Every metric of the plane: name, type, help. The documentation's table is tied to this one by a test.
pub(super) const DECLARED: [(&str, &str, &str); 21] = [
    (
        "gannet_writes_ready",
        "gauge",
        "1 if writes are taken; 0 while the log cannot go on, as on a full disk, or once it failed.",
    ),
    ("gannet_writes_total", "counter", "Writes that are done; each is one request's rows."),
    ("gannet_writes_known_total", "counter", "Writes whose source token says that they were taken before."),
    ("gannet_writes_failed_total", "counter", "Writes of which nothing was done, by reason."),
    ("gannet_written_rows_total", "counter", "Rows that were written."),
    ("gannet_written_bytes_total", "counter", "Bytes of the writes as the log has them."),
    ("gannet_write_queue_length", "gauge", "Writes that wait for the storage plane."),
    ("gannet_log_commit_duration_seconds", "histogram", "Writing and syncing a group of writes."),
    ("gannet_log_bytes", "gauge", "Bytes of the write log's files."),
    (
        "gannet_log_behind_records",
        "gauge",
        "Records of the log that are in no generation yet: what a start reads back.",
    ),
    ("gannet_log_recovered_records", "gauge", "Records that were read back at the start."),
    ("gannet_overlay_bytes", "gauge", "Memory of what was written and is in no file yet."),
    ("gannet_overlay_budget_bytes", "gauge", "What that may take."),
    ("gannet_overlay_rows", "gauge", "Keys with rows in the part that is written to."),
    ("gannet_flushes_total", "counter", "Times that what was written became files."),
    ("gannet_flush_seconds_total", "counter", "How long that took."),
    ("gannet_compactions_total", "counter", "Tables whose files became one again."),
    ("gannet_compaction_seconds_total", "counter", "How long that took."),
    ("gannet_storage_failures_total", "counter", "Flushes and compactions that failed and are tried again."),
    ("gannet_tables_damaged", "gauge", "Tables with files that a flush or compaction could not read."),
    (
        "gannet_aggregate_rows_cut_total",
        "counter",
        "Times that a key's tiles outgrew a row and the oldest were left out.",
    ),
];

/// Appends all of them.
pub(super) fn expose(figures: &StorageFigures, text: &mut String) {
    let status = &figures.plane;
    let seconds = |us: u64| us as f64 / 1e6;
    for (name, kind, help) in DECLARED {
        let mut series = Series { name, text };
        series.declare(kind, help);
        match name {
            "gannet_writes_ready" => series.add(&[], u64::from(status.state == PlaneState::Ready)),
            "gannet_writes_total" => series.add(&[], status.writes),
            "gannet_writes_known_total" => series.add(&[], status.writes_known),
            "gannet_writes_failed_total" => {
                series.add(&[("reason", "memory_full")], status.failures_full);
                series.add(&[("reason", "disk_full")], status.failures_disk_full);
                series.add(&[("reason", "log_failed")], status.failures_poisoned);
                series.add(&[("reason", "malformed")], status.failures_malformed);
                series.add(&[("reason", "unavailable")], status.failures_unavailable);
            }
            "gannet_written_rows_total" => series.add(&[], status.rows),
            "gannet_written_bytes_total" => series.add(&[], status.bytes),
            "gannet_write_queue_length" => series.add(&[], status.queue_length),
            "gannet_log_commit_duration_seconds" => {
                for (bound_us, below) in COMMIT_BUCKETS_US.iter().zip(status.commit_buckets) {
                    series.add_suffixed("_bucket", &[("le", &seconds(*bound_us).to_string())], below);
                }
                series.add_suffixed("_bucket", &[("le", "+Inf")], status.commits);
                series.add_suffixed("_sum", &[], format_args!("{:.6}", seconds(status.commit_us_sum)));
                series.add_suffixed("_count", &[], status.commits);
            }
            "gannet_log_bytes" => series.add(&[], status.log_bytes),
            "gannet_log_behind_records" => series.add(&[], status.log_committed.saturating_sub(status.log_covered)),
            "gannet_log_recovered_records" => series.add(&[], status.recovered_records),
            "gannet_overlay_bytes" => series.add(&[], status.overlay_bytes),
            "gannet_overlay_budget_bytes" => series.add(&[], status.overlay_budget_bytes),
            "gannet_overlay_rows" => series.add(&[], status.overlay_rows),
            "gannet_flushes_total" => series.add(&[], status.flushes),
            "gannet_flush_seconds_total" => series.add(&[], seconds(status.flush_us_sum)),
            "gannet_compactions_total" => series.add(&[], status.compactions),
            "gannet_compaction_seconds_total" => series.add(&[], seconds(status.compaction_us_sum)),
            "gannet_storage_failures_total" => series.add(&[], status.work_failures),
            "gannet_tables_damaged" => series.add(&[], status.damaged.len()),
            "gannet_aggregate_rows_cut_total" => series.add(&[], figures.aggregate_rows_cut),
            _ => {}
        }
    }
}
