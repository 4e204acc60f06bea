use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use crate::{data::world, gannet::World};

/// Enough rows that a small memory spills them while they are being read.
fn many_rows() -> String {
    let mut text = "user_id,at,age,score\n".to_owned();
    for i in 0..400_000 {
        writeln!(text, "user-{i:08},2024-01-01,{i},{i}.5").unwrap();
    }
    text
}

const MATERIALIZE: [&str; 3] = ["materialize", "--memory", "4MiB"];

/// Starts a materialization and waits until it has begun to write below `tmp/`.
fn start(world: &World) -> std::process::Child {
    let child = world.command(&MATERIALIZE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let tmp = world.path("store/tmp");
    #[expect(clippy::disallowed_methods, reason = "a test waits for another process")]
    let started = Instant::now();
    while crate::gannet::files(&tmp).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was written");
        thread::sleep(Duration::from_millis(1));
    }
    child
}

#[test]
fn kill_9_leaves_the_live_generation_untouched_and_a_rerun_works() {
    let world = world();
    let live = world.current();
    world.write("data/users.csv", many_rows());
    for _ in 0..3 {
        let mut child = start(&world);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(world.current(), live);
        assert_eq!(world.row("profile", "a")["features"]["age"], "2");
    }
    let out = world.succeed(&MATERIALIZE);
    assert!(out.contains("400,000 kept"), "{out}");
    assert_eq!(world.row("profile", "user-00000007")["features"]["age"], "7");
    assert_eq!(crate::gannet::files(&world.path("store/tmp")), Vec::<std::path::PathBuf>::new());
    world.succeed(&["verify", "--all"]);
}

#[test]
fn a_second_writer_waits_and_says_for_whom_while_keys_and_inspection_work() {
    let world = world();
    world.write("data/users.csv", many_rows());
    let mut first = start(&world);
    // Stopped, so that it does not end before the others have been heard.
    let stopped = std::process::Command::new("kill").args(["-STOP", &first.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    for command in [&["materialize"][..], &["apply", "definitions"]] {
        let mut waiting = world.command(command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(waiting.stderr.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("waiting: ") && said.contains("LOCK is held by"), "{said}");
        waiting.kill().unwrap();
        waiting.wait().unwrap();
    }
    world.succeed(&["keys", "create"]);
    world.succeed(&["inspect"]);
    let waiting = world.command(&["materialize"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(waiting.unwrap().wait().unwrap().success(), "it goes on when the first is gone");
}
