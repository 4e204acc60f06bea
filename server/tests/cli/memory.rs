//! What is not in memory: a data set beyond a control group's limit, and storage that is slow.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    data::{USERS_CSV, materialized, world},
    gannet::{World, files},
    serve::{Server, create_key, within},
};

/// What this machine does not grant, and a test that needs it therefore does not show. Where it is granted the gate says so in
/// `GANNET_TEST_REQUIRE`, a list with commas, and a test that is left out all the same has failed.
#[expect(clippy::print_stderr, reason = "a test that shows nothing says so")]
fn skip(needed: &str, why: &str) {
    let required = std::env::var("GANNET_TEST_REQUIRE").unwrap_or_default();
    assert!(!is_required(needed, &required), "{why}, and GANNET_TEST_REQUIRE={required} says that it can");
    eprintln!("skipped: {why}");
}

fn is_required(needed: &str, required: &str) -> bool {
    required.split(',').any(|name| name.trim() == needed)
}

#[test]
fn what_the_gate_requires_is_not_left_out() {
    for (required, expected) in [
        ("", [false, false]),
        ("cgroup", [true, false]),
        ("cgroup,mlock", [true, true]),
        (" mlock , other", [false, true]),
        ("cgroups", [false, false]),
    ] {
        assert_eq!(["cgroup", "mlock"].map(|needed| is_required(needed, required)), expected, "{required}");
    }
}

/// A memory control group of our own, in either version of the interface; removed in the end.
struct Group(PathBuf);

impl Group {
    /// `None`: none can be made here.
    fn with_limit(bytes: u64) -> Option<Self> {
        let name = format!("gannet-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let (parent, limit) = match root.join("memory/memory.limit_in_bytes").exists() {
            true => (root.join("memory"), "memory.limit_in_bytes"),
            false => {
                fs::write(root.join("cgroup.subtree_control"), "+memory").ok()?;
                (root.to_owned(), "memory.max")
            }
        };
        let group = Self(parent.join(name));
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    /// The same command, run within the group from its first page on.
    fn command(&self, command: &Command) -> Command {
        let mut within = Command::new("sh");
        within.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(self.0.join("cgroup.procs"));
        within.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        if let Some(folder) = command.get_current_dir() {
            within.current_dir(folder);
        }
        within.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        within
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..50 {
            // Refused while the kernel still counts a process that has just ended.
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Major faults of each serving thread, as the kernel counts them.
fn serving_faults(server: &Server) -> Vec<u64> {
    let tasks = format!("/proc/{}/task", server.child.id());
    let stats =
        fs::read_dir(tasks).unwrap().filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
    let serving = stats.filter(|stat| stat.contains("(shard"));
    serving.map(|stat| stat.rsplit_once(") ").unwrap().1.split(' ').nth(9).unwrap().parse().unwrap()).collect()
}

fn locked_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

pub(crate) fn metric(server: &Server, name: &str) -> f64 {
    let (_, text) = server.ask("GET", "/metrics", "", "");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Every value follows from the number: a spot check needs no second copy of the data.
fn score(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

const DEFINITIONS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[feature_views.profile]
entity = "user"
timestamp = "at"
source = { csv = "../data/users.csv" }
features = { score = "int64", text = "string" }
[feature_services.model]
features = ["profile"]
"#;

const ROWS: u64 = 65_000;
const TEXT_BYTES: usize = 4000;

/// So many users, with 4 KiB each.
fn large_world(rows: u64) -> World {
    let mut users = "user_id,at,score,text\n".to_owned();
    let text = text();
    for number in 0..rows {
        writeln!(users, "u{number},2026-01-01,{},{number}{text}", score(number)).unwrap();
    }
    materialized(DEFINITIONS, &users)
}

fn text() -> String {
    "x".repeat(TEXT_BYTES)
}

const LIMIT_BYTES: u64 = 160 << 20;

#[test]
fn data_beyond_its_control_groups_limit_is_served_without_a_major_fault() {
    let Some(group) = Group::with_limit(LIMIT_BYTES) else {
        return skip("cgroup", "no memory control group can be made here");
    };
    let world = large_world(ROWS);
    let key = create_key(&world);
    let segments = files(&world.path("store/segments"));
    let bytes: u64 = segments.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes > 3 * LIMIT_BYTES / 2, "{bytes}");
    for file in &segments {
        // Out of the page cache, where they would be on somebody else's account.
        let mut input = std::ffi::OsString::from("if=");
        input.push(file);
        assert!(
            Command::new("dd").args(["iflag=nocache", "count=0", "status=none"]).arg(input).status().unwrap().success()
        );
    }

    let command = world.command(&["serve", "--listen", "127.0.0.1:0", "--cores", "0"]);
    let mut server = Server::start(group.command(&command));
    // Of the limit, 96 MiB are the process's own, and of the rest a quarter is the cache's.
    let resident = || metric(&server, "gannet_segment_resident_bytes");
    within(Duration::from_secs(20), &true, || resident() > (LIMIT_BYTES / 4) as f64);
    if locked_bytes(&server) < LIMIT_BYTES / 4 {
        return skip("mlock", "memory may not be locked here");
    }
    let spot_check = |server: &Server, step| {
        for number in (0..ROWS).step_by(step).chain([ROWS - 1]) {
            let (status, body) = server.features(&key, &format!("u{number}"));
            assert_eq!(status, 200, "{number}: {body}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            let features = answer["result"]["features"].as_array().unwrap();
            assert_eq!(features[0], score(number).to_string(), "{number}");
            let found = features[1].as_str().unwrap();
            assert!(found.len() > TEXT_BYTES && found.strip_suffix(&text()) == Some(&number.to_string()), "{number}");
        }
    };
    spot_check(&server, 79);
    let cold = metric(&server, "gannet_cold_reads_total");
    assert!(cold > 100.0, "most rows are not in memory, and {cold} were read");
    assert_eq!(serving_faults(&server), [0]);
    assert!(resident() < LIMIT_BYTES as f64, "{}", resident());

    // For a moment two generations are mapped, each larger than the limit.
    world.succeed(&["materialize"]);
    server.log_until("message=serving generation=3");
    spot_check(&server, 331);
    assert_eq!(serving_faults(&server), [0]);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "{}", server.rest_of_log());
}

/// A request that waits holds the generation that it began under for a minute, and with it all of the budget.
#[test]
fn a_new_generation_comes_in_while_a_request_of_the_old_one_still_waits() {
    let world = large_world(5000);
    let key = create_key(&world);
    world.write("gannet.toml", "[memory]\nbudget_mib = 24\nrow_cache_mib = 0\nlock = \"never\"\n");
    let mut server =
        Server::start(world.command(&["serve", "--listen", "127.0.0.1:0", "--cores", "0", "--config", "gannet.toml"]));
    let all_in_memory = |server: &Server| {
        let resident = metric(server, "gannet_segment_resident_bytes{");
        resident > 0.0 && resident >= metric(server, "gannet_segment_bytes{")
    };
    within(Duration::from_secs(20), &true, || all_in_memory(&server));
    // From here on every lookup waits, in this generation and the next.
    world.write(
        "gannet.toml",
        "[memory]\nbudget_mib = 24\nrow_cache_mib = 0\nlock = \"never\"\n[simulate_slow_ms]\n\"prod/profile\" = 60000\n",
    );
    server.signal("HUP");
    server.log_until("message=serving generation=2");
    let body = r#"{"params":{"workspaceName":"prod","featureServiceName":"model","joinKeyMap":{"user_id":"u1"},
        "requestOptions":{"latencyBudgetMs":60000}}}"#;
    let _waits = server.begin("POST", "/api/v1/feature-service/get-features", &key, body);
    within(Duration::from_secs(20), &1.0, || metric(&server, "gannet_requests_waiting"));

    world.succeed(&["materialize"]);
    server.log_until("message=serving generation=3");
    within(Duration::from_secs(20), &true, || all_in_memory(&server));
    assert_eq!(metric(&server, "gannet_requests_waiting"), 1.0, "the old generation is still held");
    server.log_until("rows of a generation that was replaced gave way");
}

const TWO_VIEWS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[feature_views.near]
entity = "user"
timestamp = "at"
source = { csv = "../data/users.csv" }
features = { age = "int64" }
[feature_views.far]
entity = "user"
timestamp = "at"
source = { csv = "../data/users.csv" }
features = { score = "float64" }
[feature_services.model]
features = ["far", "near"]
"#;

#[test]
fn of_a_slow_view_alone_the_answer_says_time_out() {
    let world = materialized(TWO_VIEWS, USERS_CSV);
    world.write("gannet.toml", "[simulate_slow_ms]\n\"prod/far\" = 60000\n");
    let key = create_key(&world);
    let mut server =
        Server::start(world.command(&["serve", "--listen", "127.0.0.1:0", "--cores", "0", "--config", "gannet.toml"]));
    within(Duration::from_secs(20), &true, || {
        metric(&server, "gannet_segment_resident_bytes") >= metric(&server, "gannet_segment_bytes")
    });
    let request = r#"{"params":{"workspaceName":"prod","featureServiceName":"model","joinKeyMap":{"user_id":"a"},
        "requestOptions":{"latencyBudgetMs":200},"metadataOptions":{"includeServingStatus":true,"includeNames":true}}}"#;
    let (status, body) = server.ask("POST", "/api/v1/feature-service/get-features", &key, request);
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["result"]["features"], serde_json::json!([null, "2"]), "{body}");
    let metadata = answer["metadata"]["features"].as_array().unwrap();
    let told: Vec<_> = metadata.iter().map(|f| (f["name"].as_str().unwrap(), f["status"].as_str().unwrap())).collect();
    assert_eq!(told, [("far.score", "TIME_OUT"), ("near.age", "PRESENT")]);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_row_that_is_asked_for_again_is_not_read_again_though_its_index_is_not_in_memory() {
    let world = world();
    world.write("gannet.toml", "[memory]\npopulate = \"none\"\n");
    let key = create_key(&world);
    let server =
        Server::start(world.command(&["serve", "--listen", "127.0.0.1:0", "--cores", "0", "--config", "gannet.toml"]));
    let reads = || metric(&server, "gannet_cold_reads_total");
    for _ in 0..20 {
        let (status, body) = server.features(&key, "a");
        assert!(status == 200 && body.contains(r#"["2",1.5]"#), "{body}");
    }
    within(Duration::from_secs(5), &19.0, || metric(&server, "gannet_row_cache_hits_total"));
    assert_eq!(reads(), 2.0, "the line of the index that names it, and the row");
}
