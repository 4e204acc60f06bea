//! Every bound of this crate, with its reason.

/// Deepest nesting of a request body. The deepest body that means anything here has 4 levels, a struct in the request
/// context perhaps 10; the rest is margin.
pub(crate) const JSON_DEPTH_MAX: usize = 32;

/// Bodies above this size have their parsing memory released after the turn. A tape node is 24 bytes and a byte of JSON
/// can be a node, so one body of 4 MiB would otherwise leave up to 100 MiB with every core.
pub(crate) const JSON_KEPT_BYTES_MAX: usize = 64 << 10;

/// Up to so many names in one object, repeats are found by comparing each with each; above it by sorting. 32·31/2
/// comparisons of lengths cost less than a microsecond.
pub(crate) const PAIRWISE_NAMES_MAX: usize = 32;

/// What a message quotes of the caller's bytes is cut here.
pub(crate) const QUOTED_BYTES_MAX: usize = 256;

/// Shortest and longest latency budget, in milliseconds as requests write it.
pub(crate) const LATENCY_BUDGET_MS_MIN: f64 = 0.1;
pub(crate) const LATENCY_BUDGET_MS_MAX: f64 = 60_000.0;

/// The same in microseconds, for budgets that services and keys set.
pub(crate) const BUDGET_US_MIN: u32 = 100;
pub(crate) const BUDGET_US_MAX: u32 = 60_000_000;

/// A request without a budget is answered `Timed out` after this time, as Tecton does.
pub(crate) const TIMED_OUT_AFTER_NS: u64 = 2_000_000_000;

/// How much before the end of a budget an answer with what is there is begun: rendering and sending take a core about 10 µs,
/// waking it another 30. A quarter of budgets that are shorter than four times this.
pub(crate) const ANSWER_RESERVE_NS: u64 = 50_000;

/// Keys and rows of all requests of a core that wait, before no more may: the 4,096 that may wait have 16 KiB each. Rows that come
/// for those that wait already may bring it to twice this.
pub(crate) const WAITING_BYTES_MAX: usize = 64 << 20;

/// Memory that a place for a waiting request keeps for the next one: keys and rows of a wide service.
pub(crate) const WAITING_KEPT_BYTES_MAX: usize = 16 << 10;

/// Memory for rows of the overlay that a core keeps from turn to turn: 64 requests' four rows of 1 KiB.
pub(crate) const COPIED_KEPT_BYTES_MAX: usize = 256 << 10;

/// Store bytes above this make an answer ineligible for the service-level objective.
pub(crate) const SLO_STORE_BYTES_MAX: u64 = 2 << 20;

/// Store time above this makes an answer ineligible for the service-level objective, in nanoseconds.
pub(crate) const SLO_STORE_NS_MAX: u64 = 25_000_000;

/// Services that have counters of their own; later ones share the slot `other`. 128 bytes each and core for answers and
/// 192 for durations, and as many again for each look of the rates' window, for services that there are.
pub(crate) const SERVICE_SLOTS_MAX: usize = 2048;

/// Feature views that have counters of their own; later ones share the slot `other`. 64 bytes each and core.
pub(crate) const VIEW_SLOTS_MAX: usize = 4096;

/// How often a core adds its latency recorder to the published buckets.
pub(crate) const PUBLISH_EVERY_NS: u64 = 50_000_000;

/// Over which rates are shown, as Tecton does.
pub(crate) const RATE_WINDOW_NS: u64 = 300_000_000_000;

/// How often the counters behind them are looked at: the window is as exact as that.
pub(crate) const RATE_STEP_NS: u64 = 10_000_000_000;

/// A message of one kind is logged at most so often by one core.
pub(crate) const LOG_EVERY_NS: u64 = 10_000_000_000;

/// What a refused caller is told to wait while the server is not ready, in seconds.
pub(crate) const RETRY_AFTER_S: u32 = 1;

/// Longest duration the latency recorder tells apart, in nanoseconds; the largest bucket ends at 10 s.
pub(crate) const DURATION_NS_MAX: u64 = 60_000_000_000;

/// Records of one ingest request, and keys of one that deletes. At 400 bytes each they fill a body.
pub(crate) const RECORDS_MAX: usize = 10_000;

/// Record errors that an answer lists, and about how many bytes of them: a sender that is wrong about every record learns nothing from the
/// rest.
pub(crate) const RECORD_ERRORS_MAX: usize = 1000;
pub(crate) const RECORD_ERRORS_BYTES_MAX: usize = 256 << 10;

/// A write that is not durable after this time is answered `Timed out`. A disk that takes longer for a sync is broken.
pub(crate) const INGEST_WAIT_MS_MAX: u64 = 10_000;

/// Buffers of writes that a core keeps for the next ones, and up to which size: 4 MiB in all.
pub(crate) const WRITE_BUFFERS_KEPT: usize = 64;
pub(crate) const WRITE_BUFFER_KEPT_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(BUDGET_US_MIN as f64 == LATENCY_BUDGET_MS_MIN * 1000.0);
const _: () = assert!(BUDGET_US_MAX as f64 == LATENCY_BUDGET_MS_MAX * 1000.0);
const _: () = assert!(PUBLISH_EVERY_NS < 100_000_000); // promised: metrics lag by at most 100 ms
const _: () = assert!(SERVICE_SLOTS_MAX > 2 && VIEW_SLOTS_MAX > 2); // two slots are reserved
