//! The requests that the quickstart shows, and what sends them over the loopback to see that they will work.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// A request that people can paste.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) title: &'static str,
    path: &'static str,
    body: &'static str,
}

pub(crate) const SAMPLES: [Sample; 4] = [
    Sample {
        title: "Is this transaction fraudulent? One view is slowed down to 250 ms; within a budget of 200 ms it is TIME_OUT (invented data)",
        path: GET_FEATURES,
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_detection_feature_service","joinKeyMap":{"user_id":"C1000262126"},"requestOptions":{"latencyBudgetMs":"200"},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}"#,
    },
    Sample {
        title: "The same without a budget: the answer waits for the slow view, and has its value",
        path: GET_FEATURES,
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_detection_feature_service","joinKeyMap":{"user_id":"C1000262126"},"metadataOptions":{"includeNames":true,"includeServingStatus":true}}}"#,
    },
    Sample {
        title: "Will this flight leave late? (real flights of 2013)",
        path: GET_FEATURES,
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"delay_model","joinKeyMap":{"tail_number":"N14228","carrier":"UA","origin":"EWR"},"metadataOptions":{"includeNames":true}}}"#,
    },
    Sample {
        title: "Ten features of one of many users (what the load tests ask for)",
        path: GET_FEATURES,
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"C0000000042"},"metadataOptions":{"includeNames":true}}}"#,
    },
];

/// A departure that nobody has seen yet. Not sent by the quickstart: to watch a feature change is for whoever pastes it.
pub(crate) const ONE_RECORD: Sample = Sample {
    title: "One more departure, 1000 minutes late: the answer comes when it is on the disk. It counts as often as it is sent",
    path: INGEST,
    body: r#"{"workspace_name":"prod","dry_run":false,"records":{"flights":[{"record":{"scheduled_at":"2013-12-31T23:00:00Z","tail_number":"N14228","carrier":"UA","departure_delay_minutes":1000}}]}}"#,
};

/// What the record changes.
pub(crate) const DELAY_HISTORY: Sample = Sample {
    title: "It is in the features from then on: the mean, the greatest and the number of delays",
    path: GET_FEATURES,
    body: r#"{"params":{"workspaceName":"prod","featureServiceName":"delay_history","joinKeyMap":{"tail_number":"N14228","carrier":"UA"},"metadataOptions":{"includeNames":true}}}"#,
};

impl Sample {
    /// As a command line.
    pub(crate) fn curl(&self, address: SocketAddr, key: &str) -> String {
        format!(
            "curl -s -w '\\n' http://{address}{} \\\n  -H 'Authorization: Tecton-key {key}' \\\n  -d '{}'",
            self.path, self.body
        )
    }

    /// Sends it; the answer.
    pub(crate) fn send(&self, address: SocketAddr, key: &str) -> Result<String> {
        post(address, key, self.path, self.body).with_context(|| format!("the request `{}` failed", self.title))
    }
}

/// The body of the answer; anything but an answer of 200 is an error with what came instead.
pub(crate) fn post(address: SocketAddr, key: &str, path: &str, body: &str) -> Result<String> {
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).context("the server does not accept connections")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Tecton-key {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).context("cannot send a request")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the server does not answer")?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => {
            let shown: String = answer.chars().take(400).collect();
            bail!("the server answers `{}`", shown.replace("\r\n", " "));
        }
    }
}

const GET_FEATURES: &str = "/api/v1/feature-service/get-features";

pub(crate) const INGEST: &str = "/ingest";

/// A write may wait ten seconds for the disk before the server gives it up.
const PATIENCE: Duration = Duration::from_secs(15);
