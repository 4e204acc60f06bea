//! Everything that can be wrong with a message, in one table: the row of `docs/http.md` it breaks, what it is answered
//! with, and what the log and the metrics call it.
//!
//! Whether the connection survives is not a property of the fault alone (a 413 may go either way); the parser says so
//! with each [`Step::Fault`](super::Step).

use super::status::Status;

/// Builds the enum and its table from one list, so that neither can grow without the other.
macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $name:ident = $row:literal, $status:literal, $code:literal, $message:literal;)+) => {
        /// What is wrong with a message; its doc lines name the situations.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Fault {
            /// Every fault, in the order of the table; its position is [`Fault::index`].
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            const TABLE: &[Row] = &[$(Row {
                label: $row,
                status: Status($status),
                code: $code,
                message: $message,
                body: concat!(r#"{"error":""#, $message, r#"","message":""#, $message, r#"","code":"#, $code, "}"),
            },)+];
        }
    };
}

/// One row of the table.
struct Row {
    label: &'static str,
    status: Status,
    code: u32,
    message: &'static str,
    body: &'static str,
}

impl Fault {
    /// The row id of `docs/http.md`: the metric label and the log field.
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// The status it is answered with.
    pub fn status(self) -> Status {
        self.row().status
    }

    /// The gRPC code in the answer's body.
    pub fn code(self) -> u32 {
        self.row().code
    }

    /// The message in the answer's body.
    pub fn message(self) -> &'static str {
        self.row().message
    }

    /// The answer's whole body: one line of JSON, ready to be copied.
    pub fn body(self) -> &'static str {
        self.row().body
    }

    /// Position in [`Fault::ALL`], for an array of counters.
    pub fn index(self) -> usize {
        self as usize
    }

    fn row(self) -> &'static Row {
        // The table is generated from the enum's own list, so the position exists.
        #[expect(clippy::indexing_slicing, reason = "enum and table come from one list; no byte of a peer is involved")]
        &Self::TABLE[self as usize]
    }
}

faults! {
    /// A third empty line before the request line.
    EmptyLines = "L2", 400, 3, "Too many empty lines before the request";
    /// A line of the head that ends with LF alone.
    BareLineFeed = "L3", 400, 3, "Line ended without CR";
    /// A CR in the head that no LF follows.
    BareCarriageReturn = "L4", 400, 3, "CR without LF";
    /// Whitespace in the request line that is not one SP between two parts.
    RequestLineSpace = "L5", 400, 3, "Stray whitespace in the request line";
    /// A request line that is not method, target and version.
    RequestLineParts = "L6", 400, 3, "Malformed request line";
    /// A method that is not a token.
    MethodNotToken = "L7", 400, 3, "Malformed method";
    /// A method longer than any that is known.
    MethodTooLong = "L8", 501, 12, "Method not implemented";
    /// A version that is not written as one.
    VersionMalformed = "L9", 400, 3, "Malformed HTTP version";
    /// A major version other than 1.
    VersionUnsupported = "L10", 505, 12, "HTTP version not supported";
    /// A request line above its limit.
    RequestLineTooLong = "L12", 414, 3, "Request line too long";
    /// A byte in the target that a target cannot hold.
    TargetByte = "L13", 400, 3, "Invalid byte in the request target";
    /// A percent-escape that is incomplete, not hexadecimal, or NUL.
    PercentEscape = "L14", 400, 3, "Invalid percent-escape in the request target";
    /// An absolute-form target with user information, without a host, or with a foreign scheme.
    AbsoluteForm = "L17", 400, 3, "Invalid absolute-form request target";
    /// `*` with a method other than OPTIONS.
    AsteriskForm = "L18", 400, 3, "Invalid request target for this method";
    /// Authority-form without CONNECT, or CONNECT without it.
    AuthorityForm = "L19", 400, 3, "Invalid request target for this method";
    /// A target of no known form.
    TargetForm = "L20", 400, 3, "Malformed request target";

    /// Whitespace before the first field line.
    FieldIndented = "F1", 400, 3, "Whitespace before the first header field";
    /// Whitespace between a field's name and its colon.
    FieldNameSpace = "F2", 400, 3, "Whitespace before the colon of a header field";
    /// A folded field line.
    FieldFolded = "F3", 400, 3, "Folded header field";
    /// A field line without a colon, or whose name is not a token.
    FieldName = "F4", 400, 3, "Malformed header field name";
    /// NUL in a field's value.
    FieldNul = "F5", 400, 3, "NUL in a header field value";
    /// Another control byte in a field's value.
    FieldControl = "F6", 400, 3, "Control byte in a header field value";
    /// A field line, the number of fields, or the whole section above its limit.
    FieldsTooLarge = "F9", 431, 3, "Request header fields too large";
    /// No Host in HTTP/1.1.
    HostMissing = "F10", 400, 3, "Missing Host header field";
    /// More than one Host.
    HostRepeated = "F11", 400, 3, "More than one Host header field";
    /// A Host that is not host and optional port.
    HostInvalid = "F12", 400, 3, "Invalid Host header field";
    /// An empty Host in HTTP/1.1.
    HostEmpty = "F13", 400, 3, "Empty Host header field";
    /// Authorization or Content-Type given twice.
    FieldRepeated = "F15", 400, 3, "A header field that may be sent once was repeated";
    /// A field name that another server may take for a framing field.
    FieldLookAlike = "F16", 400, 3, "Header field name resembles a framing field";
    /// A PROXY protocol line where none is expected.
    ProxyLine = "F20", 400, 3, "Unexpected PROXY protocol line";

    /// Transfer-Encoding and Content-Length together.
    BothLengths = "B1", 400, 3, "Both Transfer-Encoding and Content-Length";
    /// Content-Length values that differ.
    LengthsDiffer = "B2", 400, 3, "Content-Length values differ";
    /// The same Content-Length more than once.
    LengthRepeated = "B3", 400, 3, "Content-Length repeated";
    /// A Content-Length that is not digits.
    LengthNotDigits = "B4", 400, 3, "Malformed Content-Length";
    /// A Content-Length beyond what can be counted.
    LengthOverflow = "B5", 400, 3, "Content-Length out of range";
    /// A Content-Length with leading zeros.
    LengthLeadingZero = "B6", 400, 3, "Content-Length with leading zeros";
    /// A declared body above the limit.
    BodyTooLarge = "B7", 413, 8, "Request body too large";
    /// A Transfer-Encoding whose last coding is not chunked.
    NotChunkedLast = "B8", 400, 3, "Transfer-Encoding does not end in chunked";
    /// A transfer coding that is not supported, with chunked last.
    CodingUnsupported = "B9", 501, 12, "Transfer coding not implemented";
    /// Chunked applied twice.
    ChunkedTwice = "B10", 400, 3, "Transfer-Encoding applies chunked twice";
    /// A parameter on chunked.
    ChunkedParameter = "B11", 400, 3, "Parameter on the chunked transfer coding";
    /// A Transfer-Encoding that is not a list of tokens.
    CodingMalformed = "B12", 400, 3, "Malformed Transfer-Encoding";
    /// Transfer-Encoding in HTTP/1.0.
    CodingInHttp10 = "B14", 400, 3, "Transfer-Encoding in an HTTP/1.0 request";

    /// A chunk size that is not hexadecimal digits and a line end.
    ChunkSize = "C1", 400, 3, "Malformed chunk size";
    /// A chunk size beyond what can be counted.
    ChunkSizeOverflow = "C2", 400, 3, "Chunk size out of range";
    /// Chunks that add up to more than the body limit.
    ChunksTooLarge = "C3", 413, 8, "Request body too large";
    /// Chunk data that its line end does not follow.
    ChunkDataEnd = "C6", 400, 3, "Chunk data does not match its size";
    /// A bare LF or CR in chunk framing.
    ChunkLineEnd = "C7", 400, 3, "Malformed line end in chunk framing";
    /// A chunk extension that is malformed or too long.
    ChunkExtension = "C9", 400, 3, "Chunk extension malformed or too long";
    /// Far more framing than data.
    ChunksTooSmall = "C10", 413, 8, "Chunk framing too large for the body";
    /// A trailer field that may not be one.
    TrailerForbidden = "C12", 400, 3, "Header field not allowed in a trailer";
    /// A malformed trailer line.
    TrailerMalformed = "C13", 400, 3, "Malformed trailer field";

    /// The peer ended inside a message.
    Truncated = "I2", 400, 3, "Request ended early";
    /// The peer stalled inside a message.
    Stalled = "I3", 408, 4, "Request not received in time";

    /// More is being received than there is room for.
    NoRoom = "I4", 503, 14, "Too many requests are being received, please retry later";

    /// A method that no route can have.
    MethodUnknown = "M1", 501, 12, "Method not implemented";
    /// CONNECT.
    Connect = "M2", 501, 12, "Method not implemented";
    /// An expectation other than 100-continue.
    Expectation = "E6", 417, 3, "Expectation not supported";
}
