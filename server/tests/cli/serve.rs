use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{data::world, gannet::World};

/// A running server; killed if a test fails before it stops it.
pub(crate) struct Server {
    pub(crate) child: Child,
    address: String,
    /// Kept open, so that the server can go on writing to it.
    log: BufReader<ChildStderr>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(world: &World, more: &[&str]) -> Server {
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--cores", "0"];
    arguments.extend(more);
    Server::start(world.command(&arguments))
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self { child, address: String::new(), log };
        let seen = server.log_until("message=listening address=");
        let (_, rest) = seen.split_once("message=listening address=").unwrap();
        rest.split(' ').next().unwrap().clone_into(&mut server.address);
        server
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Status and body.
    pub(crate) fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> (u16, String) {
        let (head, body) = self.exchange(method, path, &format!("Authorization: Tecton-key {key}\r\n"), body);
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Sends a request whose answer is not waited for.
    pub(crate) fn begin(&self, method: &str, path: &str, key: &str, body: &str) -> TcpStream {
        self.send(method, path, &format!("Authorization: Tecton-key {key}\r\n"), body)
    }

    fn send(&self, method: &str, path: &str, fields: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        stream
    }

    /// Head and body of the answer to a request with these fields.
    fn exchange(&self, method: &str, path: &str, fields: &str, body: &str) -> (String, String) {
        let mut stream = self.send(method, path, fields, body);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    pub(crate) fn features(&self, key: &str, user: &str) -> (u16, String) {
        let body = format!(
            r#"{{"params":{{"workspaceName":"prod","featureServiceName":"model","joinKeyMap":{{"user_id":"{user}"}}}}}}"#
        );
        self.ask("POST", "/api/v1/feature-service/get-features", key, &body)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Reads the log up to the line that holds `expected`.
    #[track_caller]
    pub(crate) fn log_until(&mut self, expected: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(expected) {
            assert_ne!(self.log.read_line(&mut seen).unwrap(), 0, "the server ended: {seen}");
        }
        seen
    }

    pub(crate) fn rest_of_log(&mut self) -> String {
        let mut text = String::new();
        self.log.read_to_string(&mut text).unwrap();
        text
    }
}

/// Asks again until `expected` or the time is up.
#[track_caller]
pub(crate) fn within<T: PartialEq + std::fmt::Debug>(time: Duration, expected: &T, mut ask: impl FnMut() -> T) {
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    let started = Instant::now();
    loop {
        let found = ask();
        if found == *expected {
            return;
        }
        assert!(started.elapsed() < time, "expected {expected:?}, found {found:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn create_key(world: &World) -> String {
    world.succeed(&["keys", "create"]).trim().to_owned()
}

#[test]
fn answers_takes_up_new_data_and_keys_and_drains() {
    let world = world();
    let key = create_key(&world);
    let mut server = start(&world, &[]);
    let (status, body) = server.features(&key, "a");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#"["2",1.5]"#), "{body}");
    assert_eq!(server.features("wrong", "a").0, 401);
    assert_eq!(server.ask("GET", "/readyz", "", "").0, 200);
    assert!(server.ask("GET", "/metrics", "", "").1.contains("gannet_http_requests_total"));
    assert_eq!(server.ask("GET", "/api/v1/observability/metrics", "wrong", "").0, 401);
    let observed = |server: &Server| {
        let (status, text) = server.ask("GET", "/api/v1/observability/metrics", &key, "");
        let names =
            ["feature_server_utilization{aws_region=\"local\"} ", "feature_service_requests_total_rate{", "\n# EOF\n"];
        (status, names.map(|name| text.contains(name)))
    };
    within(Duration::from_secs(2), &(200, [true; 3]), || observed(&server));

    world.write("data/users.csv", "user_id,at,age,score\na,2025-01-01,9,0.25\n");
    world.succeed(&["materialize"]);
    let answer = |server: &Server| server.features(&key, "a").1.contains(r#"["9",0.25]"#);
    within(Duration::from_secs(2), &true, || answer(&server));

    let second = create_key(&world);
    within(Duration::from_secs(1), &200, || server.features(&second, "a").0);
    world.succeed(&["keys", "revoke", key.split('_').nth(2).unwrap()]);
    within(Duration::from_secs(1), &401, || server.features(&key, "a").0);

    server.signal("HUP");
    let mut log = server.log_until("message=reloading");
    assert_eq!(server.features(&second, "a").0, 200);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    log.push_str(&server.rest_of_log());
    for expected in ["message=draining", "message=stopped", "generation=3"] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert!(!log.contains(&second) && !log.contains(&key), "a key is in the log");
}

#[test]
fn a_damaged_generation_is_refused_and_the_one_before_stays() {
    let world = world();
    let key = create_key(&world);
    let mut server = start(&world, &[]);
    world.write("data/users.csv", "user_id,at,age,score\na,2025-01-01,9,0.25\n");
    let current = world.current();
    let mut other = current.clone();
    let last = other.len() - 3;
    other[last] ^= 1;
    fs::write(world.path("store/CURRENT.new"), other).unwrap();
    fs::rename(world.path("store/CURRENT.new"), world.path("store/CURRENT")).unwrap();
    thread::sleep(Duration::from_millis(500));
    assert!(server.features(&key, "a").1.contains(r#"["2",1.5]"#));
    fs::write(world.path("store/CURRENT.new"), current).unwrap();
    fs::rename(world.path("store/CURRENT.new"), world.path("store/CURRENT")).unwrap();
    world.succeed(&["materialize"]);
    within(Duration::from_secs(2), &true, || server.features(&key, "a").1.contains(r#"["9",0.25]"#));
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.rest_of_log().contains("is refused; the one before is still served"));
}

#[test]
fn a_damaged_table_makes_it_unready_until_it_is_written_anew() {
    let world = world();
    let key = create_key(&world);
    let segments = crate::gannet::files(&world.path("store/segments"));
    let mut bytes = fs::read(&segments[0]).unwrap();
    let row = bytes.windows(8).position(|window| window == 1.5_f64.to_le_bytes()).unwrap();
    bytes[row] ^= 1;
    fs::write(&segments[0], bytes).unwrap();

    let mut server = start(&world, &[]);
    within(Duration::from_secs(5), &503, || server.ask("GET", "/readyz", "", "").0);
    let (_, reason) = server.ask("GET", "/readyz", "", "");
    assert!(reason.contains("prod/profile") && reason.contains("damaged"), "{reason}");
    assert_eq!(server.ask("GET", "/healthz", "", "").0, 200);

    world.succeed(&["materialize"]);
    within(Duration::from_secs(5), &200, || server.ask("GET", "/readyz", "", "").0);
    assert!(server.features(&key, "a").1.contains(r#"["2",1.5]"#));
    let mut log = server.log_until("message=verified generation=3 tables=1 damaged=0");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    log.push_str(&server.rest_of_log());
    assert_eq!(log.matches("message=verified generation=3").count(), 1, "{log}");
}

#[test]
fn what_could_not_be_read_is_tried_again_and_told_once() {
    let world = world();
    let key = create_key(&world);
    let segment = &crate::gannet::files(&world.path("store/segments"))[0];
    fs::rename(segment, world.path("away")).unwrap();
    let mut server = start(&world, &[]);
    assert_eq!(server.ask("GET", "/readyz", "", "").0, 503);
    thread::sleep(Duration::from_millis(700)); // three looks
    fs::rename(world.path("away"), segment).unwrap();
    within(Duration::from_secs(2), &200, || server.ask("GET", "/readyz", "", "").0);
    assert_eq!(server.features(&key, "a").0, 200);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let log = server.rest_of_log();
    assert!(log.matches("is refused").count() <= 1, "{log}");
}

#[test]
fn a_reload_takes_up_what_it_can_and_names_what_needs_a_restart() {
    let world = world();
    world.write("gannet.toml", "drain_seconds_max = 10\nspin_us = 0\n");
    let mut server = start(&world, &["--config", "gannet.toml"]);
    world.write("gannet.toml", "drain_seconds_max = 9\nlitsen = 1\n");
    server.signal("HUP");
    let log = server.log_until("the configuration is refused");
    assert!(log.contains("line 2") && log.contains("litsen") && !log.contains("\\n"), "{log}");
    world.write("gannet.toml", "drain_seconds_max = 7\nspin_us = 5\n[limits]\nfields_max = 90\n");
    server.signal("HUP");
    server.log_until("need a restart have changed\" settings=spin_us,fields_max");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.rest_of_log().contains("message=draining seconds_max=7"));
}

#[test]
fn slow_views_that_are_not_served_are_told() {
    let world = world();
    world.write("slow.toml", "[simulate_slow_ms]\n");
    let mut server = start(&world, &["--config", "slow.toml"]);
    let views = ["prod/profile", "prod/profil", "dev/profile:v2"];
    let lines: Vec<String> = views.iter().map(|view| format!("\"{view}\" = 1")).collect();
    world.write("slow.toml", format!("[simulate_slow_ms]\n{}\n", lines.join("\n")));
    server.signal("HUP");
    let log = server.log_until("message=serving generation=");
    let told: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("that is not served\" table=")).map(|(_, table)| table).collect();
    assert_eq!(told, ["dev/profile@v2", "prod/profil"], "{log}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

/// Through the whole process: a budget that comes with the key, storage that is slow, and a header that tells what took so long.
#[test]
fn a_keys_budget_ends_a_wait_for_slow_storage_and_the_answer_says_what_it_waited_for() {
    let world = world();
    world.write("slow.toml", "[simulate_slow_ms]\n\"prod/profile\" = 60000\n");
    let key = world.succeed(&["keys", "create", "--latency-budget", "20ms"]).trim().to_owned();
    let mut server = start(&world, &["--config", "slow.toml"]);
    let ask = |asking: &str| {
        let body = r#"{"params":{"featureServiceName":"model","joinKeyMap":{"user_id":"a"},
            "metadataOptions":{"includeServingStatus":true}}}"#;
        let fields = format!("Authorization: Tecton-key {key}\r\n{asking}");
        let (head, answer) = server.exchange("POST", "/api/v1/feature-service/get-features", &fields, body);
        let expected = r#"{"result":{"features":[null,null]},"metadata":{"features":[{"status":"TIME_OUT"},{"status":"TIME_OUT"}]}}"#;
        assert_eq!(answer, expected);
        head
    };
    assert!(!ask("").contains("Server-Timing"));
    let head = ask("Gannet-Server-Timing: 1\r\n");
    let timing = head.lines().find_map(|line| line.strip_prefix("Server-Timing: ")).unwrap();
    let stages: Vec<(&str, f64)> = timing
        .split(", ")
        .map(|stage| stage.split_once(";dur=").unwrap())
        .map(|(name, milliseconds)| (name, milliseconds.parse().unwrap()))
        .collect();
    let names: Vec<&str> = stages.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["queue", "parse", "lookup", "cold", "render"], "{timing}");
    assert!(stages[3].1 > 0.0, "{timing}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn without_data_it_starts_and_is_not_ready() {
    let world = World::new();
    fs::create_dir(world.path("store")).unwrap();
    create_key(&world);
    let server = start(&world, &[]);
    assert_eq!(server.ask("GET", "/readyz", "", "").0, 503);
    assert_eq!(server.ask("GET", "/healthz", "", "").0, 200);
}

#[test]
fn a_core_that_is_not_there_is_told_with_those_that_are() {
    let world = world();
    let allowed = gannet_engine::server::allowed_cpus();
    let cores = format!("{},4000", allowed[0]);
    // The main thread keeps off the first by then.
    let expected = format!("cannot run on core 4000 (Invalid argument (os error 22)); allowed here: {allowed:?}");
    world.fail(&["serve", "--listen", "127.0.0.1:0", "--cores", &cores], &expected);
}

#[test]
fn a_busy_port_is_one_clear_line() {
    let (world, other) = (world(), world());
    let server = start(&world, &[]);
    let run = other.run(&["serve", "--listen", &server.address, "--cores", "0"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let error = run.err.lines().last().unwrap();
    assert!(error.starts_with("error: ") && error.contains("in use"), "{run:?}");
    let run = world.run(&["quickstart", "--listen", &server.address]);
    assert_eq!((run.code, run.err.lines().count()), (Some(1), 1), "{run:?}");
}

#[test]
fn a_thousand_keys_revoked_while_serving_are_refused_within_a_second() {
    let world = world();
    let first = create_key(&world);
    let mut keys: serde_json::Value = serde_json::from_slice(&fs::read(world.path("store/keys")).unwrap()).unwrap();
    // A thousand records beside the first, as `keys create` would have written them one by one.
    let secrets: Vec<String> = (0..1000).map(|n| format!("key-number-{n}")).collect();
    let records = keys["keys"].as_array_mut().unwrap();
    let template = records[0].clone();
    for secret in &secrets {
        let mut record = template.clone();
        let sum = sha256(secret);
        record["id"] = format!("k{}", &sum[..10]).into();
        record["sha256"] = sum.into();
        records.push(record);
    }
    replace(&world, &keys);
    let mut server = start(&world, &[]);
    for secret in secrets.iter().step_by(100) {
        assert_eq!(server.features(secret, "a").0, 200);
    }

    for record in &mut keys["keys"].as_array_mut().unwrap()[1..] {
        record["revoked"] = true.into();
    }
    // Requests go on all the time; those of the key that stays are answered throughout.
    let answered = std::sync::atomic::AtomicU32::new(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(server.features(&first, "a").0, 200);
                answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
        replace(&world, &keys);
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            within(Duration::from_secs(1), &401, || server.features(&secrets[999], "a").0);
            for secret in &secrets {
                assert_eq!(server.features(secret, "a").0, 401);
            }
        }));
        done.store(true, std::sync::atomic::Ordering::Relaxed); // or the other thread would go on for ever
        refused.unwrap();
    });
    assert!(answered.into_inner() > 10);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

fn replace(world: &World, keys: &serde_json::Value) {
    fs::write(world.path("store/keys.new"), serde_json::to_vec(keys).unwrap()).unwrap();
    fs::rename(world.path("store/keys.new"), world.path("store/keys")).unwrap();
}

fn sha256(text: &str) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout[..64].to_vec()).unwrap()
}
