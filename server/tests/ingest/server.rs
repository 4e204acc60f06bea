//! A running server, and what it says.

use std::{
    io::{self, BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    client::{Answer, Connection},
    gannet::World,
};

/// Killed if a test fails before it stops it.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) key: String,
    log: Arc<Mutex<String>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `serve` on up to two cores, with `more` behind.
pub(crate) fn command(world: &World, more: &[&str]) -> Command {
    let cores: Vec<String> = gannet_engine::server::allowed_cpus().iter().take(2).map(ToString::to_string).collect();
    let cores = cores.join(",");
    let mut arguments = vec!["serve", "--cores", &cores];
    if !more.contains(&"--listen") {
        arguments.extend(["--listen", "127.0.0.1:0"]);
    }
    arguments.extend(more);
    world.command(&arguments)
}

/// Whatever is there is served; requests carry a new key that may do everything.
pub(crate) fn start(world: &World, more: &[&str]) -> Server {
    let key = create_key(world, &["--role", "admin"]);
    Server::start(command(world, more), &key)
}

pub(crate) fn create_key(world: &World, roles: &[&str]) -> String {
    world.succeed(&[&["keys", "create"], roles].concat()).trim().to_owned()
}

impl Server {
    /// Waits until it listens.
    #[track_caller]
    pub(crate) fn start(command: Command, key: &str) -> Self {
        let mut server = Self::spawn(command, key);
        let seen = server.log_until("message=listening address=");
        let (_, rest) = seen.split_once("message=listening address=").unwrap();
        rest.split([' ', '\n']).next().unwrap().clone_into(&mut server.address);
        server
    }

    /// Does not wait for anything: it has no address yet.
    pub(crate) fn spawn(mut command: Command, key: &str) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&log);
        thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).unwrap_or(0) > 0 {
                said.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { child, address: String::new(), key: key.to_owned(), log }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn log_until(&mut self, expected: &str) -> String {
        for _ in 0..60_000 {
            let log = self.log();
            if log.contains(expected) {
                return log;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the server ended with {ended:?} before it said {expected}: {}", self.log());
            thread::sleep(Duration::from_millis(1));
        }
        panic!("the server did not say {expected}: {}", self.log());
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(&self.address, &self.key).unwrap()
    }

    pub(crate) fn connect_as(&self, key: &str) -> Connection {
        Connection::open(&self.address, key).unwrap()
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.connect().ask(method, path, &body.to_string()).unwrap()
    }

    pub(crate) fn ingest(&self, body: &Value) -> Answer {
        self.ask("POST", "/ingest", body)
    }

    /// The vector of a user, as [`features`] has it.
    pub(crate) fn features(&self, service: &str, user: &str) -> Value {
        features(&mut self.connect(), service, user).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM, and the end of it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What a service says about a user: the list of its values.
pub(crate) fn features(connection: &mut Connection, service: &str, user: &str) -> io::Result<Value> {
    let params = json!({"workspaceName": "prod", "featureServiceName": service, "joinKeyMap": {"user_id": user}});
    let body = json!({ "params": params }).to_string();
    let answer = connection.ask("POST", "/api/v1/feature-service/get-features", &body)?;
    Ok(answer.ok()["result"]["features"].clone())
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

/// A configuration with so little memory for recent writes that they are flushed all the time.
pub(crate) fn small_overlay(world: &World) -> &'static str {
    world.write("small.toml", "[ingest]\noverlay_mib = 8\n");
    "small.toml"
}
