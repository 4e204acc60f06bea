//! What was typed becomes what it means, once: a plan, a workload and the rules of counting. Whatever is wrong with it is
//! said here, before anything is sent.

pub(crate) mod typed;

use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cli::{Cli, Schedule},
    clock::{NS_PER_MS, NS_PER_US},
    cpu,
    pacing::{Spread, Step},
    workload::{
        Stream,
        request::{FRAUD_BENCH_BODY, Parts, Template},
    },
};
use typed::StreamText;

/// When requests are sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Load {
    Open { steps: Vec<Step>, spread: Spread },
    Closed { length_ns: u64 },
}

impl Load {
    pub(crate) fn length_ns(&self) -> u64 {
        match self {
            Self::Open { steps, .. } => steps.iter().map(|s| s.length_ns).sum(),
            Self::Closed { length_ns } => *length_ns,
        }
    }
}

/// A run, apart from its streams.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) url: String,
    /// Where the host may be; the first that can be connected to is taken.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) load: Load,
    pub(crate) warmup_ns: u64,
    pub(crate) drain_ns: u64,
    pub(crate) seed: u64,
    pub(crate) connections: usize,
    /// How many connections there are of each kind: those that streams share, and those that one of them has for itself.
    pub(crate) pools: Vec<usize>,
    pub(crate) pipeline: usize,
    pub(crate) backlog_max: usize,
    pub(crate) shed_after_ns: Option<u64>,
    pub(crate) budget_ns: Option<u64>,
    pub(crate) expect_timeouts: bool,
    pub(crate) lateness_max_ns: u64,
    pub(crate) cpu: Option<usize>,
    pub(crate) jitter_cpu: Option<usize>,
}

pub(crate) fn settings(cli: &Cli) -> Result<Settings> {
    let load = match (cli.rate, &cli.steps, cli.closed) {
        (Some(rate_per_s), _, _) => open(cli, vec![Step { rate_per_s, length_ns: cli.duration.0 }]),
        (_, Some(steps), _) => open(cli, steps.0.clone()),
        (_, _, true) => Load::Closed { length_ns: cli.duration.0 },
        _ => bail!("say how much: --rate, --steps or --closed"),
    };
    ensure!(load.length_ns() >= NS_PER_MS, "a run takes at least 1ms");
    for cpu in [cli.cpu, cli.jitter_thread].into_iter().flatten() {
        ensure!(cpu::may_run_on(cpu), "this process may not run on core {cpu}");
    }
    ensure!(
        cli.jitter_thread.is_none() || cli.jitter_thread != cli.cpu,
        "--jitter-thread on the client's own core would be what makes it late"
    );
    let pools = pools(cli)?;
    let connections: usize = pools.iter().sum();
    let files = cpu::raise_open_files();
    let needed = connections as u64 + FILES_BESIDE;
    ensure!(files >= needed, "{connections} connections need {needed} open files, and {files} are allowed");
    let host = &cli.url.host_and_port;
    let addresses = host.to_socket_addrs().with_context(|| format!("cannot resolve {host}"))?;
    Ok(Settings {
        url: format!("http://{}{}", cli.url.authority, cli.url.target),
        addresses: addresses.collect(),
        load,
        warmup_ns: cli.warmup.0,
        drain_ns: cli.drain.0,
        seed: cli.seed,
        connections,
        pools,
        pipeline: cli.pipeline as usize,
        backlog_max: cli.backlog_max as usize,
        shed_after_ns: cli.shed_after.map(|ms| nanoseconds(ms, NS_PER_MS)),
        budget_ns: cli.budget_ms.map(|ms| nanoseconds(ms, NS_PER_MS)),
        expect_timeouts: cli.expect_timeouts,
        lateness_max_ns: nanoseconds(cli.lateness_max_us, NS_PER_US),
        cpu: cli.cpu,
        jitter_cpu: cli.jitter_thread,
    })
}

/// The shared connections come first, and there are none if every stream has its own.
fn pools(cli: &Cli) -> Result<Vec<usize>> {
    let own: Vec<usize> = cli.stream.iter().filter_map(|s| s.connections).map(|n| n as usize).collect();
    ensure!(
        !cli.closed || own.is_empty(),
        "a closed loop asks again on whatever connection was answered: its streams share them all"
    );
    let shared = if cli.stream.is_empty() || own.len() < cli.stream.len() { cli.connections as usize } else { 0 };
    Ok([&[shared], &own[..]].concat())
}

fn open(cli: &Cli, steps: Vec<Step>) -> Load {
    let spread = match cli.schedule {
        Schedule::Constant => Spread::Constant,
        Schedule::Poisson => Spread::Poisson,
    };
    Load::Open { steps, spread }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the command line")]
#[expect(clippy::cast_precision_loss, reason = "units are exact in a double")]
fn nanoseconds(number: f64, unit_ns: u64) -> u64 {
    (number * unit_ns as f64).round() as u64
}

/// The streams; one, called `all`, unless some were given.
pub(crate) fn streams(cli: &Cli) -> Result<Vec<Stream>> {
    ensure!(is_token(&cli.method), "`{}` is no method", cli.method);
    ensure!(cli.method != "HEAD", "answers to HEAD have no body to read, whatever their length says");
    if cli.stream.is_empty() {
        return Ok(vec![stream(cli, &StreamText { name: "all".to_owned(), ..StreamText::default() }, 0)?]);
    }
    for (nth, text) in cli.stream.iter().enumerate() {
        ensure!(!cli.stream[..nth].iter().any(|s| s.name == text.name), "two streams are called `{}`", text.name);
    }
    let mut own = 0;
    let with_pool = cli.stream.iter().map(|text| {
        own += usize::from(text.connections.is_some());
        stream(cli, text, text.connections.map_or(0, |_| own)).with_context(|| format!("stream `{}`", text.name))
    });
    with_pool.collect()
}

fn stream(cli: &Cli, text: &StreamText, pool: usize) -> Result<Stream> {
    let mut headers = vec![];
    let body = match text.body.as_ref().or(cli.body.as_ref()) {
        None if cli.method == "POST" => FRAUD_BENCH_BODY.into(),
        None => Vec::new(),
        Some(body) => match body.strip_prefix('@') {
            Some(file) => std::fs::read(file).with_context(|| format!("cannot read the body from {file}"))?,
            None => body.clone().into_bytes(),
        },
    };
    let given: Vec<&String> = cli.header.iter().chain(&text.headers).collect();
    if !body.is_empty() && !given.iter().any(|h| h.to_ascii_lowercase().starts_with("content-type:")) {
        headers.push("Content-Type: application/json".to_owned());
    }
    if let Some(key) = text.key.as_ref().or(cli.key.as_ref()) {
        headers.push(format!("Authorization: Tecton-key {key}"));
    }
    headers.extend(given.into_iter().cloned());
    for header in &headers {
        let name = header.split_once(':').map(|(name, _)| name);
        let sound = name.is_some_and(is_token) && !header.contains(|c: char| c.is_ascii_control());
        ensure!(sound, "`{header}` is no header; expected `Name: value`");
        let framing = ["content-length", "transfer-encoding", "host", "connection"];
        let own = name.is_some_and(|name| framing.contains(&name.to_ascii_lowercase().as_str()));
        ensure!(!own, "`{header}`: this header is written here");
    }
    let parts = Parts {
        method: &cli.method,
        target: text.path.as_ref().unwrap_or(&cli.url.target),
        host: &cli.url.authority,
        headers: &headers,
        body: &body,
    };
    Ok(Stream {
        name: text.name.clone(),
        weight: text.weight.unwrap_or(1.0),
        keys: text.keys.clone().unwrap_or_else(|| cli.keys.clone()),
        absent: text.absent.unwrap_or(cli.absent),
        template: Template::new(&parts, &cli.key_format).map_err(anyhow::Error::msg)?,
        pool,
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Standard streams, the epoll, the report.
const FILES_BESIDE: u64 = 16;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// The first stream's request for key 42, and how many streams there are.
    fn request(arguments: &[&str]) -> Result<(String, usize)> {
        let cli = Cli::try_parse_from([&["gannet-loadgen"], arguments].concat())?;
        let mut workload = crate::workload::Workload::new(streams(&cli)?, cli.seed);
        let mut out = Vec::new();
        workload.render(0, 42, 0, &mut out);
        Ok((String::from_utf8(out)?, workload.streams().len()))
    }

    #[test]
    fn by_default_the_quickstarts_users_are_asked_for() {
        let (text, streams) = request(&["--key", "quickstart"]).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let expected = format!(
            "POST /api/v1/feature-service/get-features HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\
             Content-Type: application/json\r\nAuthorization: Tecton-key quickstart\r\nContent-Length: {}",
            body.len()
        );
        assert_eq!((head, streams), (expected.as_str(), 1));
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(json["params"]["joinKeyMap"]["user_id"], "C0000000042");
        assert_eq!(json["params"]["featureServiceName"], "fraud_bench");
    }

    #[test]
    fn a_stream_adds_its_headers_and_replaces_the_rest() {
        let all = ["--url", "http://h/x", "--header", "A: 1", "--key", "k", "--body", "b", "--key-format", "{}"];
        let stream = ["--stream", "name=s,header=B: {key},key=other,body=c,path=/y", "--stream", "name=t"];
        let (text, streams) = request(&[&all[..], &stream[..]].concat()).unwrap();
        let expected = "POST /y HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
                        Authorization: Tecton-key other\r\nA: 1\r\nB: 42\r\nContent-Length: 1\r\n\r\nc";
        assert_eq!((text.as_str(), streams), (expected, 2));
        let get = ["--url", "http://h/{key}", "--method", "GET"];
        assert_eq!(request(&get).unwrap().0, "GET /C0000000042 HTTP/1.1\r\nHost: h\r\n\r\n");
    }

    #[test]
    fn a_stream_may_have_connections_of_its_own() {
        let pools_of = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["gannet-loadgen", "--connections", "5"], arguments].concat()).unwrap();
            (pools(&cli).unwrap(), streams(&cli).unwrap().iter().map(|s| s.pool).collect::<Vec<_>>())
        };
        assert_eq!(pools_of(&[]), (vec![5], vec![0]));
        let two = ["--stream", "name=a", "--stream", "name=b,connections=2", "--stream", "name=c,connections=3"];
        assert_eq!(pools_of(&two), (vec![5, 2, 3], vec![0, 1, 2]));
        assert_eq!(pools_of(&two[2..]), (vec![0, 2, 3], vec![1, 2]));
        let closed = ["gannet-loadgen", "--closed", "--stream", "name=b,connections=2"];
        let error = pools(&Cli::try_parse_from(closed).unwrap()).unwrap_err().to_string();
        assert!(error.contains("closed loop"), "{error}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_before_anything_is() {
        for (arguments, says) in [
            (&["--method", "A B"][..], "no method"),
            (&["--method", "HEAD"], "HEAD"),
            (&["--header", "no colon"], "no header"),
            (&["--header", "A: 1\r\nB: 2"], "no header"),
            (&["--header", "content-length: 5"], "written here"),
            (&["--body", "@/no/such/file"], "cannot read the body"),
            (&["--body", "{random:0}"], "{random:N}"),
            (&["--stream", "name=a", "--stream", "name=a"], "two streams"),
            (&["--absent", "1.5"], "a share"),
            (&["--rate", "1", "--closed"], "cannot be used with"),
            (&["--closed", "--pipeline", "2"], "cannot be used with"),
            (&["--stream", "name=a,connections=x"], "above 0"),
        ] {
            let error = format!("{:#}", request(arguments).unwrap_err());
            assert!(error.contains(says), "{arguments:?}: {error}");
        }
    }
}
