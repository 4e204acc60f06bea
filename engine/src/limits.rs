//! Every bound of this crate, with its reason. Those that an operator may set are fields of [`Limits`].

use std::{fmt, time::Duration};

/// The bounds that an operator may set. `docs/http.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Method, target and version, without the line end; above: 414. RFC 9112 §3 wants at least 8,000.
    pub request_line_bytes_max: usize,
    /// One field line without its line end; above: 431. Holds the largest bearer tokens in use.
    pub field_line_bytes_max: usize,
    /// Request line to empty line, both included, and the lines of a trailer; above: 431. This much is held per
    /// connection before anything is known about the client.
    pub head_bytes_max: usize,
    /// Field lines, those of a trailer included; above: 431. Load balancers in front stop at about as many.
    pub fields_max: u16,
    /// A body after decoding; above: 413. Tecton documents at most 4 MB of request context.
    pub body_bytes_max: usize,
    /// Memory of one core for requests that are not whole or not taken up yet, of all its connections together and beyond the first
    /// [`POOLED_BUFFER_BYTES`] of each; above: 503. Sixty bodies of the largest size at a time, or thirty that are chunked.
    pub input_bytes_max: usize,
    /// The body of a refused request that is read so that the connection can go on; a larger one closes it. Reading is
    /// dearer than a handshake at some size; this is far below it.
    pub unread_body_bytes_max: usize,
    /// Requests of one connection whose answers are not yet written; above: stop reading it.
    pub requests_in_process_max: usize,
    /// Bytes of answers that the peer has not taken; above: stop reading the connection.
    pub unsent_bytes_max: usize,
    /// First byte to last byte of a head; above: 408. Does not restart while bytes trickle in.
    pub head_time_max: Duration,
    /// A body may take this long whatever its rate; above, [`BODY_BYTES_PER_SECOND_MIN`] applies, below that: 408.
    pub body_grace: Duration,
    /// First byte to last byte of a request, a hard stop; above: 408.
    pub request_time_max: Duration,
    /// Nothing received between two requests; above: the connection is dropped. Must exceed the pool timeout of any load
    /// balancer in front (60 s is common), or the pool races with the close.
    pub idle_time_max: Duration,
    /// The peer takes no byte of an answer; above: dropped.
    pub write_stall_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line_bytes_max: 8192,
            field_line_bytes_max: 8 * KIB,
            head_bytes_max: 32 * KIB,
            fields_max: 100,
            body_bytes_max: 4 * MIB,
            input_bytes_max: 256 * MIB,
            unread_body_bytes_max: 64 * KIB,
            requests_in_process_max: 16,
            unsent_bytes_max: 256 * KIB,
            head_time_max: Duration::from_secs(10),
            body_grace: Duration::from_secs(20),
            request_time_max: Duration::from_secs(60),
            idle_time_max: Duration::from_secs(75),
            write_stall_max: Duration::from_secs(30),
        }
    }
}

/// A setting outside its range, or two that contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    /// The setting, as the configuration file names it.
    pub setting: &'static str,
    /// What was asked for; milliseconds if it is a time.
    pub value: u64,
    /// The smallest value it may have.
    pub min: u64,
    /// The largest value it may have, as the other settings stand.
    pub max: u64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, value, min, max } = self;
        write!(f, "{setting} is {value}, but must be from {min} to {max}")
    }
}

impl std::error::Error for OutOfRange {}

/// A setting's name in the configuration file, its value and its range. Times are in milliseconds, and their names say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub value: u64,
    pub min: u64,
    pub max: u64,
}

impl Limits {
    /// Refuses settings that the code does not stand for.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn validate(&self) -> Result<(), OutOfRange> {
        let out = self.settings().into_iter().find(|s| !(s.min..=s.max).contains(&s.value));
        if let Some(Setting { name: setting, value, min, max }) = out {
            return Err(OutOfRange { setting, value, min, max });
        }
        // A line that fits its own limit fits the head, so that the narrower limit is the one that answers.
        let line_max = as_u64(self.head_bytes_max) - as_u64(HEAD_FRAME_BYTES);
        for (setting, value) in [
            ("request_line_bytes_max", self.request_line_bytes_max),
            ("field_line_bytes_max", self.field_line_bytes_max),
        ] {
            if as_u64(value) > line_max {
                return Err(OutOfRange { setting, value: as_u64(value), min: 0, max: line_max });
            }
        }
        Ok(())
    }

    /// Every setting with its range.
    pub fn settings(&self) -> [Setting; 14] {
        let size = |name, value, min, max| Setting { name, value: as_u64(value), min: as_u64(min), max: as_u64(max) };
        let seconds = |name, value: Duration, min: u64, max: u64| Setting {
            name,
            value: u64::try_from(value.as_millis()).unwrap_or(u64::MAX),
            min: min * 1000,
            max: max * 1000,
        };
        [
            size("request_line_bytes_max", self.request_line_bytes_max, 8000, 64 * KIB),
            size("field_line_bytes_max", self.field_line_bytes_max, KIB, 64 * KIB),
            size("head_bytes_max", self.head_bytes_max, 8 * KIB, HEAD_BYTES_CEILING),
            size("fields_max", usize::from(self.fields_max), 16, FIELDS_CEILING),
            size("body_bytes_max", self.body_bytes_max, KIB, BODY_BYTES_CEILING),
            size("input_bytes_max", self.input_bytes_max, self.message_bytes_max(), INPUT_BYTES_CEILING),
            size("unread_body_bytes_max", self.unread_body_bytes_max, 0, MIB),
            size("requests_in_process_max", self.requests_in_process_max, 1, 256),
            size("unsent_bytes_max", self.unsent_bytes_max, 64 * KIB, 8 * MIB),
            seconds("head_time_ms_max", self.head_time_max, 1, 60),
            seconds("body_grace_ms", self.body_grace, 1, 60),
            seconds("request_time_ms_max", self.request_time_max, 1, 300),
            seconds("idle_time_ms_max", self.idle_time_max, 5, 3600),
            seconds("write_stall_ms_max", self.write_stall_max, 1, 300),
        ]
    }

    /// Bytes that a chunked body may take on the wire. Framing of one-byte chunks is six times their data; twice the
    /// limit leaves room for any sender that does not do it on purpose.
    pub fn chunked_wire_bytes_max(&self) -> usize {
        2 * self.body_bytes_max + CHUNK_FRAMING_ALLOWANCE_BYTES
    }

    /// Bytes of one connection that can be waiting to become one request: more are never asked for.
    pub fn message_bytes_max(&self) -> usize {
        EMPTY_LINES_BYTES_MAX + self.head_bytes_max + self.chunked_wire_bytes_max()
    }
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A head is held on the tokeniser's way through once; a quarter of a mebibyte is beyond any honest one.
pub const HEAD_BYTES_CEILING: usize = 256 * KIB;

/// The tokeniser's largest table lives on the stack: 32 bytes each, 32 KiB in all.
pub const FIELDS_CEILING: usize = 1000;

/// What `body_bytes_max` may be set to.
pub const BODY_BYTES_CEILING: usize = 64 * MIB;

/// What `input_bytes_max` may be set to; more than a core's share of any machine.
pub const INPUT_BYTES_CEILING: usize = 64 * 1024 * MIB;

/// Two empty lines that may precede a request line.
pub const EMPTY_LINES_BYTES_MAX: usize = 4;

/// The line end of a request line and the empty line that ends a head.
const HEAD_FRAME_BYTES: usize = 4;

/// Chunk framing that is granted on top of twice the body limit.
pub const CHUNK_FRAMING_ALLOWANCE_BYTES: usize = 16 * KIB;

/// Digits of a chunk size: as many as 64 bits hold.
pub const CHUNK_SIZE_DIGITS_MAX: u8 = 16;

/// Extension of one chunk; nobody uses them, and unlimited ones are free work for an attacker.
pub const CHUNK_EXTENSION_BYTES_MAX: u16 = 1024;

/// Extensions of all chunks of one body.
pub const CHUNK_EXTENSIONS_BYTES_MAX: u16 = 8 * 1024;

/// Digits of a Content-Length: 2⁶³−1 has 19.
pub const CONTENT_LENGTH_DIGITS_MAX: usize = 19;

/// A longer method cannot be one that is known; it is refused without looking further.
pub const METHOD_BYTES_MAX: usize = 32;

/// Below this a body counts as stalled, once [`Limits::body_grace`] is over. A modem is ten times as fast.
pub const BODY_BYTES_PER_SECOND_MIN: u64 = 500;

/// The window that a body's rate is taken over.
pub const BODY_RATE_WINDOW: Duration = Duration::from_secs(5);

/// After the last answer the peer may still be sending; closing at once would reset the connection and lose that answer.
pub const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// Bytes read and thrown away while lingering.
pub const LINGER_BYTES_MAX: usize = 64 * KIB;

/// Bytes of one receive buffer. A request with its head fits one; larger ones are put together from several.
pub const RECEIVE_BUFFER_BYTES: usize = 4096;

/// Receive buffers of one shard, 4 MiB in all: what can come in during one turn before the kernel has to hold it back.
pub const RECEIVE_BUFFERS: u16 = 1024;

/// Entries of a shard's submission queue; a turn that has more enters the kernel once more.
pub const SUBMISSIONS: u32 = 2048;

/// Entries of a shard's completion queue. Overflow would end every multishot operation, so it holds a whole turn of all
/// receive buffers, and as many sends and accepts.
pub const COMPLETIONS: u32 = 8192;

/// Connections that the kernel completes for a listener before it is asked.
pub const ACCEPT_BACKLOG: i32 = 4096;

/// How long a shard that drains still takes connections whose handshake had begun. Several round trips within a site; what asks for a
/// connection meanwhile is not answered and asks again a second later, so longer would not be kinder.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_millis(1);

/// How long a shard that drains waits for a next request on connections that have none. Whoever asks once a second is told with an answer
/// that the connection ends; longer would make every drain as long, as clients keep connections that they do not use.
pub const DRAIN_IDLE_TIME_MAX: Duration = Duration::from_secs(1);

/// Places for connections that were ended to make room and that the kernel has not let go of yet.
pub const LEAVING_CONNECTIONS: usize = 64;

/// Connections of one shard, whatever the limit of open files.
pub const CONNECTIONS_PER_CORE_MAX: usize = 65_536;

/// Bytes that a pooled buffer starts with: a ten-feature answer with all its metadata fits several times.
pub const POOLED_BUFFER_BYTES: usize = 4096;

/// A buffer that grew beyond this is freed, not pooled.
pub const POOLED_BUFFER_BYTES_MAX: usize = 64 * KIB;

/// Buffers kept for reuse per shard; beyond them they are freed.
pub const POOLED_BUFFERS: usize = 1024;

/// What most reads need: one block of a file.
pub const SMALL_READ_BYTES: usize = 4096;

/// Reads of one block in flight per shard: 2 MiB. A fast disk does about 100 000 a second and core at 64 µs each, which is
/// seven in flight; this covers one forty times as slow, though a file alone gets half of them.
pub const SMALL_READS_MAX: u32 = 512;

/// What a row of several blocks needs; the widest rows in use (some thousand features) fit.
pub const LARGE_READ_BYTES: usize = 64 * KIB;

/// Larger reads in flight per shard: 2 MiB.
pub const LARGE_READS_MAX: u32 = 32;

/// Reads beyond [`LARGE_READ_BYTES`] in flight per shard; each has pages of its own, about 1 MiB at most.
pub const SINGLE_READS_MAX: u32 = 8;

/// Requests of one shard that wait for reads at the same time. At 100 000 reads a second and core this is what a disk that
/// answers within 40 ms can have under way; a request beyond it is refused.
pub const WAITING_MAX: usize = 4096;

/// Reads that queue for a buffer before those nobody waits for any more are taken out: sixteen views of every waiting request.
pub const READS_QUEUED_KEPT: usize = 16 * WAITING_MAX;

/// How soon a shard that holds connections back takes its next turn when nothing else wakes it: their credit grows with time alone,
/// and this is worth some thirty answers of it.
pub const HELD_LOOK_NS: u64 = 200_000;

// The relations that the code relies on.
const _: () = assert!(SMALL_READ_BYTES.is_multiple_of(4096) && LARGE_READ_BYTES.is_multiple_of(4096), "direct I/O");
const _: () = assert!(COMPLETIONS >= 4 * RECEIVE_BUFFERS as u32, "a turn of receives, sends, accepts and cancels fits");
const _: () = assert!(FIELDS_CEILING <= u16::MAX as usize, "field counts are u16");
const _: () = assert!(CHUNK_EXTENSION_BYTES_MAX <= CHUNK_EXTENSIONS_BYTES_MAX);
const _: () = assert!(CHUNK_SIZE_DIGITS_MAX as u32 * 4 <= u64::BITS, "a chunk size fits u64");
const _: () = assert!(
    EMPTY_LINES_BYTES_MAX + HEAD_BYTES_CEILING + 2 * BODY_BYTES_CEILING + CHUNK_FRAMING_ALLOWANCE_BYTES
        < u32::MAX as usize,
    "offsets within one message fit u32"
);

fn as_u64(n: usize) -> u64 {
    n as u64
}
