//! What a shard counts about itself.

use std::sync::Arc;

use super::connection::Expiry;
use crate::{
    admission::AdmissionMetrics,
    http::Fault,
    metrics::{Counter, Kind, Sample},
};

/// Counters of one shard. The shard writes, anyone reads. Aligned so that two shards' counters share no cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct ShardMetrics {
    pub(super) turns: Counter,
    pub(super) requests: Counter,
    pub(super) accepted: Counter,
    pub(super) open: Counter,
    pub(super) refused_full: Counter,
    pub(super) pushed_out: Counter,
    pub(super) accept_failed: Counter,
    pub(super) resets: Counter,
    /// What connections keep of their input, and how many were closed for want of room for more.
    pub(super) input_bytes: Counter,
    pub(super) input_refused: Counter,
    pub(super) receive_failed: Counter,
    pub(super) rearmed: Counter,
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    /// CPU time of the shard's thread without what it spent spinning, nanoseconds.
    pub(super) cpu_ns: Counter,
    /// Requests that wait now, and those that ever waited.
    pub(super) waiting: Counter,
    pub(super) waited: Counter,
    /// File reads that are over, their bytes, and those of them that failed.
    pub(super) reads: Counter,
    pub(super) read_bytes: Counter,
    pub(super) reads_failed: Counter,
    pub(super) reads_in_flight: Counter,
    pub(super) reads_queued: Counter,
    pub(super) major_faults: Counter,
    pub(super) admission: Arc<AdmissionMetrics>,
    expired: [Counter; EXPIRIES.len()],
    faults: [Counter; Fault::ALL.len()],
}

/// Every way to expire, with its label; the place in this table is the place among the counters.
const EXPIRIES: [(Expiry, &str); 6] = [
    (Expiry::Idle, "idle"),
    (Expiry::Head, "head"),
    (Expiry::Body, "body"),
    (Expiry::Request, "request"),
    (Expiry::WriteStall, "write_stall"),
    (Expiry::Linger, "linger"),
];

impl Default for ShardMetrics {
    fn default() -> Self {
        let zero = Counter::default;
        Self {
            turns: zero(),
            requests: zero(),
            accepted: zero(),
            open: zero(),
            refused_full: zero(),
            pushed_out: zero(),
            accept_failed: zero(),
            resets: zero(),
            input_bytes: zero(),
            input_refused: zero(),
            receive_failed: zero(),
            rearmed: zero(),
            received_bytes: zero(),
            sent_bytes: zero(),
            cpu_ns: zero(),
            waiting: zero(),
            waited: zero(),
            reads: zero(),
            read_bytes: zero(),
            reads_failed: zero(),
            reads_in_flight: zero(),
            reads_queued: zero(),
            major_faults: zero(),
            admission: Arc::default(),
            expired: std::array::from_fn(|_| zero()),
            faults: std::array::from_fn(|_| zero()),
        }
    }
}

impl ShardMetrics {
    /// How often accepting stopped for want of descriptors or memory.
    pub fn accept_failed(&self) -> u64 {
        self.accept_failed.value()
    }

    /// How often there was no memory for what connections send: none that they may have, or none in the machine.
    pub fn input_failed(&self) -> u64 {
        self.input_refused.value() + self.receive_failed.value()
    }

    /// Turns that are over. Two more, and whatever the shard was at has ended: nothing that was read in place is kept between turns.
    pub fn turns(&self) -> u64 {
        self.turns.value()
    }

    pub(super) fn expired(&self, expiry: Expiry) -> &Counter {
        let at = EXPIRIES.iter().position(|(e, _)| *e == expiry).unwrap_or(0);
        &self.expired[at]
    }

    pub(super) fn fault(&self, fault: Fault) -> &Counter {
        &self.faults[fault.index()]
    }

    /// Everything this shard exposes; faults that never happened are left out.
    #[expect(clippy::cast_precision_loss, reason = "a metric is a float by its format")]
    pub fn samples(&self, each: &mut dyn FnMut(Sample)) {
        let mut put = |name, help, kind, label, value: f64| each(Sample { name, help, kind, label, value });
        let count = |c: &Counter| c.value() as f64;
        put("gannet_connections_open", "Connections open now.", Kind::Gauge, None, count(&self.open));
        put("gannet_connections_accepted_total", "Connections accepted.", Kind::Counter, None, count(&self.accepted));
        let help = "Connections closed at once because the shard was full of busy ones.";
        put("gannet_connections_refused_total", help, Kind::Counter, None, count(&self.refused_full));
        let help = "Connections closed to make room for new ones: idle, or held if none was idle.";
        put("gannet_connections_pushed_out_total", help, Kind::Counter, None, count(&self.pushed_out));
        let help = "Times accepting stopped for want of descriptors or memory.";
        put("gannet_accept_failed_total", help, Kind::Counter, None, count(&self.accept_failed));
        let help = "Connections that the peer reset, or that failed while sending.";
        put("gannet_connections_reset_total", help, Kind::Counter, None, count(&self.resets));
        let help = "Connections ended by a timer, by which.";
        for ((_, label), counter) in EXPIRIES.iter().zip(&self.expired) {
            put("gannet_connections_expired_total", help, Kind::Counter, Some(("timer", *label)), count(counter));
        }
        let help = "Requests framed, before anything is known of what they mean.";
        put("gannet_http_requests_total", help, Kind::Counter, None, count(&self.requests));
        let help = "Requests refused by the HTTP layer, by rule (docs/http.md).";
        for (fault, counter) in Fault::ALL.iter().zip(&self.faults) {
            if counter.value() > 0 {
                put("gannet_http_faults_total", help, Kind::Counter, Some(("rule", fault.label())), count(counter));
            }
        }
        put("gannet_received_bytes_total", "Bytes received.", Kind::Counter, None, count(&self.received_bytes));
        put("gannet_sent_bytes_total", "Bytes sent.", Kind::Counter, None, count(&self.sent_bytes));
        let help = "Receives armed again because every receive buffer was in use, or after a pause.";
        put("gannet_receives_rearmed_total", help, Kind::Counter, None, count(&self.rearmed));
        let help =
            "Memory for requests that are not whole or not taken up yet, beyond the first 4 KiB of each connection.";
        put("gannet_input_bytes", help, Kind::Gauge, None, count(&self.input_bytes));
        let help =
            "Connections closed with 503 because there was no room for more of what they send (input_bytes_max).";
        put("gannet_input_refused_total", help, Kind::Counter, None, count(&self.input_refused));
        let help = "Receives that the machine had no memory for; each is tried again within a tenth of a second.";
        put("gannet_receive_failed_total", help, Kind::Counter, None, count(&self.receive_failed));
        put("gannet_turns_total", "Turns of the shard's loop.", Kind::Counter, None, count(&self.turns));
        let help = "CPU time of the core's serving thread, user and system, without time spent spinning for work.";
        put("gannet_core_busy_seconds_total", help, Kind::Counter, None, count(&self.cpu_ns) / 1e9);
        let help = "Requests that wait for rows to be read, or for writes to be durable, now.";
        put("gannet_requests_waiting", help, Kind::Gauge, None, count(&self.waiting));
        let help = "Requests that had to wait for rows to be read, or for writes to be durable.";
        put("gannet_requests_waited_total", help, Kind::Counter, None, count(&self.waited));
        put(
            "gannet_cold_reads_total",
            "Reads of rows that were not in memory.",
            Kind::Counter,
            None,
            count(&self.reads),
        );
        let help = "Bytes that those reads brought.";
        put("gannet_cold_read_bytes_total", help, Kind::Counter, None, count(&self.read_bytes));
        let help = "Reads that failed.";
        put("gannet_cold_reads_failed_total", help, Kind::Counter, None, count(&self.reads_failed));
        let help = "Reads that the kernel is at, now.";
        put("gannet_cold_reads_in_flight", help, Kind::Gauge, None, count(&self.reads_in_flight));
        let help = "Reads that wait for a buffer, now.";
        put("gannet_cold_reads_queued", help, Kind::Gauge, None, count(&self.reads_queued));
        let help = "Page faults of the serving thread that had to read from a disk; more than 0 is a fault of ours.";
        put("gannet_core_major_faults_total", help, Kind::Counter, None, count(&self.major_faults));
        self.admission.samples(each);
    }
}
