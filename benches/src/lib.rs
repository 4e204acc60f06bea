//! What the benches share: the canonical request, the four views of `fraud_bench`, and one that aggregates in their place.

pub mod service;
pub mod tables;
pub mod tiles;

/// A `get-features` request for one user of `fraud_bench` with all metadata, as `benches/get-features.lua` sends it.
pub fn request(user: u64) -> Vec<u8> {
    let body = request_body(user);
    let head = "POST /api/v1/feature-service/get-features HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Authorization: Tecton-key quickstart\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The body of [`request`].
pub fn request_body(user: u64) -> String {
    let before = r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"C"#;
    let after = r#""},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}"#;
    format!("{before}{user:010}{after}")
}

/// A cheap generator of numbers below `bound` that looks random enough to defeat caches and predictors.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
