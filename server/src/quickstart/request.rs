//! The requests that the quickstart shows, and one sent over the loopback to see that they will work.

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
    pub(crate) body: &'static str,
}

pub(crate) const SAMPLES: [Sample; 4] = [
    Sample {
        title: "Is this transaction fraudulent? One view is slowed down to 250 ms; within a budget of 200 ms it is TIME_OUT (invented data)",
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_detection_feature_service","joinKeyMap":{"user_id":"C1000262126"},"requestOptions":{"latencyBudgetMs":"200"},"metadataOptions":{"includeNames":true,"includeEffectiveTimes":true,"includeDataTypes":true,"includeSloInfo":true,"includeServingStatus":true}}}"#,
    },
    Sample {
        title: "The same without a budget: the answer waits for the slow view, and has its value",
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_detection_feature_service","joinKeyMap":{"user_id":"C1000262126"},"metadataOptions":{"includeNames":true,"includeServingStatus":true}}}"#,
    },
    Sample {
        title: "Will this flight leave late? (real flights of 2013)",
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"delay_model","joinKeyMap":{"tail_number":"N14228","carrier":"UA","origin":"EWR"},"metadataOptions":{"includeNames":true}}}"#,
    },
    Sample {
        title: "Ten features of one of many users (what the load tests ask for)",
        body: r#"{"params":{"workspaceName":"prod","featureServiceName":"fraud_bench","joinKeyMap":{"user_id":"C0000000042"},"metadataOptions":{"includeNames":true}}}"#,
    },
];

impl Sample {
    /// As a command line.
    pub(crate) fn curl(&self, address: SocketAddr, key: &str) -> String {
        format!(
            "curl -s -w '\\n' http://{address}{PATH} \\\n  -H 'Authorization: Tecton-key {key}' \\\n  -d '{}'",
            self.body
        )
    }

    /// Sends it; anything but an answer of 200 is an error with what came instead.
    pub(crate) fn send(&self, address: SocketAddr, key: &str) -> Result<()> {
        let mut stream =
            TcpStream::connect_timeout(&address, PATIENCE).context("the server does not accept connections")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (length, body) = (self.body.len(), self.body);
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Tecton-key {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).context("cannot send a request")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).context("the server does not answer")?;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            let shown: String = String::from_utf8_lossy(&answer).chars().take(400).collect();
            bail!("the server answers `{}`", shown.replace("\r\n", " "));
        }
        Ok(())
    }
}

const PATH: &str = "/api/v1/feature-service/get-features";

const PATIENCE: Duration = Duration::from_secs(5);
