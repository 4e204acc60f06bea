//! The command line: what was typed. What it means is decided in `settings`.

use clap::{Parser, ValueEnum};

use crate::{
    settings::typed::{Address, Duration, Steps, StreamText},
    workload::{keys::Keys, request::KeyFormat},
};

/// Sends HTTP requests when a plan says, not when the server lets it, and reports what callers would have met.
///
/// Open loop: every request has a planned time, fixed before the run. A server that stalls does not slow the plan down; the
/// requests that had to wait are counted from when they were due. Without --rate, --steps or --closed there is no load to plan.
#[derive(Debug, Parser)]
#[command(name = "gannet-loadgen", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Where requests go; http only
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/api/v1/feature-service/get-features")]
    pub(crate) url: Address,

    /// Requests a second
    #[arg(long, value_name = "PER_SECOND", help_heading = "When", group = "load", value_parser = rate)]
    pub(crate) rate: Option<f64>,

    /// Several rates in a row, as in 80000:5s,160000:2s,80000:5s; a rate of 0 is a pause
    #[arg(long, value_name = "RATE:TIME,…", help_heading = "When", group = "load", conflicts_with = "duration")]
    pub(crate) steps: Option<Steps>,

    /// Closed loop: each connection asks again as soon as it is answered. For the most a server can do; its latencies leave
    /// out everybody who would have had to wait
    #[arg(long, help_heading = "When", group = "load", conflicts_with_all = ["pipeline", "shed_after"])]
    pub(crate) closed: bool,

    /// How requests are spread over a second
    #[arg(long, help_heading = "When", value_enum, default_value_t = Schedule::Constant)]
    pub(crate) schedule: Schedule,

    /// How long to measure
    #[arg(long, value_name = "TIME", help_heading = "When", default_value = "10s")]
    pub(crate) duration: Duration,

    /// How long to send before that, uncounted, at the first rate
    #[arg(long, value_name = "TIME", help_heading = "When", default_value = "1s")]
    pub(crate) warmup: Duration,

    /// How long to wait behind the end for answers under way
    #[arg(long, value_name = "TIME", help_heading = "When", default_value = "2s")]
    pub(crate) drain: Duration,

    /// Fixes arrivals, streams and keys
    #[arg(long, help_heading = "When", default_value_t = 42)]
    pub(crate) seed: u64,

    /// Connections, kept open
    #[arg(long, value_name = "N", help_heading = "How", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,

    /// Requests that may be under way on one connection
    #[arg(long, value_name = "N", help_heading = "How", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) pipeline: u32,

    /// Requests that may wait here while every connection is full; those beyond are counted as unsent
    #[arg(long, value_name = "N", help_heading = "How", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) backlog_max: u32,

    /// The callers' patience: a request that is still waiting here so long after its planned time is dropped and counted
    #[arg(long, value_name = "MS", help_heading = "How", value_parser = milliseconds)]
    pub(crate) shed_after: Option<f64>,

    /// The core to run on; the server should have another
    #[arg(long, value_name = "N", help_heading = "How")]
    pub(crate) cpu: Option<usize>,

    /// `Authorization: Tecton-key KEY`
    #[arg(long, value_name = "KEY", help_heading = "What")]
    pub(crate) key: Option<String>,

    /// A header; may be given several times
    #[arg(long, value_name = "NAME: VALUE", help_heading = "What")]
    pub(crate) header: Vec<String>,

    /// The method
    #[arg(long, help_heading = "What", default_value = "POST")]
    pub(crate) method: String,

    /// The body, or @FILE [default: ten features of fraud_bench, for POST]. In it, in the URL and in headers, {key} is where the
    /// request's key goes, {another-key} one drawn for that place, {counter} a number of its own, {random:N} one below N, {now}
    /// the time of sending
    #[arg(long, value_name = "TEXT|@FILE", help_heading = "What")]
    pub(crate) body: Option<String>,

    /// Which keys: uniform:N, zipf:N:EXPONENT, hot:N:HOT:SHARE or one:KEY
    #[arg(long, value_name = "KEYS", help_heading = "What", default_value = "uniform:1000000")]
    pub(crate) keys: Keys,

    /// Share of requests for keys beyond the N that exist
    #[arg(long, value_name = "SHARE", help_heading = "What", default_value_t = 0.0, value_parser = share)]
    pub(crate) absent: f64,

    /// How a key's number is written
    #[arg(long, value_name = "FORMAT", help_heading = "What", default_value = "C{:010}")]
    pub(crate) key_format: KeyFormat,

    /// A class of traffic, recorded apart: name=critical,weight=1,connections=8,header=X-Class: 1,keys=one:7,absent=0.1,body=@FILE,path=/x,key=KEY.
    /// May be given several times; what it leaves out it takes from the other options. With `connections` it has as many for
    /// itself, beside those that the others share. A comma within a value is written \,
    #[arg(long, value_name = "FIELD=VALUE,…", help_heading = "What")]
    pub(crate) stream: Vec<StreamText>,

    /// A 200 that took longer, from its sending, is late and not good
    #[arg(long, value_name = "MS", help_heading = "What counts", value_parser = milliseconds)]
    pub(crate) budget_ms: Option<f64>,

    /// Count a 200 with "TIME_OUT" in its body as partial
    #[arg(long, help_heading = "What counts")]
    pub(crate) expect_timeouts: bool,

    /// End with exit code 3 if this client was the limit
    #[arg(long, help_heading = "What counts")]
    pub(crate) strict: bool,

    /// This client was the limit if the 99th percentile of its own lateness lies above
    #[arg(long, value_name = "US", help_heading = "What counts", default_value_t = 100.0, value_parser = microseconds)]
    pub(crate) lateness_max_us: f64,

    /// Watch the clock on this core meanwhile: what the machine itself is late by
    #[arg(long, value_name = "CPU", help_heading = "What counts")]
    pub(crate) jitter_thread: Option<usize>,

    /// Write everything measured, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(crate) json: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schedule {
    /// Equal gaps
    Constant,
    /// Independent arrivals
    Poisson,
}

fn rate(text: &str) -> Result<f64, String> {
    crate::settings::typed::rate(text).and_then(|r| if r > 0.0 { Ok(r) } else { Err("a rate is above 0".to_owned()) })
}

fn bounded(text: &str, max: f64, what: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number <= max => Ok(number),
        _ => Err(format!("expected {what} from 0 to {max}")),
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    bounded(text, 3_600_000.0, "milliseconds")
}

fn microseconds(text: &str) -> Result<f64, String> {
    bounded(text, 1e9, "microseconds")
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    bounded(text, 1.0, "a share")
}

const EXAMPLES: &str = "\
Examples:
  gannet-loadgen --cpu 1 --key quickstart --rate 20000
      20,000 requests a second for ten seconds, in equal gaps, to the quickstart's server
  gannet-loadgen --cpu 1 --key quickstart --closed
      the most it can do with 64 connections
  gannet-loadgen --cpu 1 --key quickstart --schedule poisson --steps 80000:5s,160000:2s,80000:5s --budget-ms 5 --shed-after 20
      an overload of two seconds, callers that give up after 20 ms, and the recovery
  gannet-loadgen --key quickstart --rate 50000 --stream 'name=critical,weight=1,header=X-Class: critical' --stream name=default,weight=9
      two classes of traffic in one run, recorded apart

Times are written 500us, 20ms, 5s or 2m.

Exit codes: 0 the report is there, 1 no connection or no report, 2 wrong usage, 3 with --strict: this client, not the server, was the limit.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
