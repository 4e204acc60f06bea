//! Disks that are full, and disks that fail: a small ext4 of their own, in a mount namespace, which takes root. That the log is
//! poisoned by every single failure that there is, and that nothing is lost whenever a machine stops, is shown by the simulated disk
//! of `store`; here a real kernel says no to a real process.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    client::Answer,
    data::{purchase, purchases, world},
    gannet::World,
    server::{Server, command, create_key, within},
};

/// A file system of 512 MiB for `store/`, whose blocks lie in a file in memory, which grows as they are written.
struct Disk {
    /// Keeps the namespace; ends when its stdin does.
    holder: Child,
    folder: PathBuf,
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

const MAKE: &str = r#"
set -e
mv store before && mkdir store backing
mount -t tmpfs -o size=1280m tmpfs backing
truncate -s 512m backing/image
mkfs.ext4 -q -m 0 -E lazy_itable_init=0,lazy_journal_init=0 backing/image
mount -o loop backing/image store
cp -a before/. store/ && sync -f store
echo ready
exec cat
"#;

impl Disk {
    /// `None`, and why, where such a thing cannot be made.
    fn of(world: &World) -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", MAKE]).current_dir(world.path(""));
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut holder) = spawned else {
            skip("there is no `unshare` here");
            return None;
        };
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "ready\n" {
            let _ = holder.kill(); // it has failed by itself
            let mut said = String::new();
            holder.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            holder.wait().unwrap();
            skip(&said);
            return None;
        }
        Some(Self { holder, folder: world.path("") })
    }

    /// The same command, where this disk is.
    fn within(&self, command: &Command) -> Command {
        let mut entering = Command::new("nsenter");
        let enter = r#"cd "$0" && exec "$@""#;
        entering.args(["--mount", "--target", &self.holder.id().to_string(), "sh", "-c", enter]);
        entering.arg(command.get_current_dir().unwrap()).arg(command.get_program()).args(command.get_args());
        entering.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
        entering
    }

    fn shell(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&self.folder);
        assert!(self.within(&command).status().unwrap().success(), "{script}");
    }

    /// A path there, seen from here.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), self.folder.join(name).display()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = fs::File::create(self.path("store/filler")).unwrap();
        for block in [1 << 20, 4096, 1] {
            while file.write_all(&vec![b'x'; block]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path("store/filler")).unwrap();
    }

    /// From here on the device has an error for whatever lies beyond its first MiB, read or written. The file system is frozen meanwhile:
    /// what a server that does nothing asked for writes just then would make the image longer again.
    fn fail(&self) {
        self.shell("fsfreeze -f store && cp --sparse=always backing/image backing/saved && truncate -s 1m backing/image && losetup -c $(losetup -nO NAME -j backing/image) && fsfreeze -u store");
    }

    /// The device as it was, with everything that it has taken; the file system is mounted anew, as after a restart of the machine.
    fn repair(&self) {
        self.shell("umount store && dd if=backing/image of=backing/saved bs=1M count=1 conv=notrunc status=none && mount -o loop backing/saved store");
    }

    fn start(&self, world: &World, key: &str) -> Server {
        Server::start(self.within(&command(world, &[])), key)
    }
}

#[expect(clippy::print_stderr, reason = "a test that shows nothing says so")]
fn skip(why: &str) {
    eprintln!("skipped: no disk of its own can be made here (it takes root, ext4 and a loop device): {why}");
}

/// A record of half a megabyte, so that what was reserved beforehand is soon used up.
fn large(n: i64) -> String {
    let mut record = purchase("ann", n, 1);
    record["record"]["shop"] = json!("x".repeat(400_000));
    purchases(&[record]).to_string()
}

/// Writes until one is refused with 503; that answer, and how many were done.
fn write_until_refused(server: &Server, from: i64) -> (Answer, i64) {
    let mut connection = server.connect();
    let mut n = from;
    for _ in 0..5_000 {
        let answer = connection.ask("POST", "/ingest", &large(n)).unwrap();
        match answer.status {
            200 => n += 1,
            429 => std::thread::sleep(Duration::from_millis(5)),
            _ => return (answer, n),
        }
    }
    panic!("{n} writes of 400 kB fit a disk of 512 MiB");
}

fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["requestError"]["errorType"], "InternalError", "{body}");
    assert!(body["requestError"]["errorMessage"].is_string(), "{body}");
    assert!(answer.head.contains("retry-after:"), "{answer:?}");
}

fn totals(n: i64) -> Value {
    json!([n.to_string(), n.to_string()])
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let world = world();
    let key = create_key(&world, &["--role", "admin"]);
    let Some(disk) = Disk::of(&world) else { return };
    let server = disk.start(&world, &key);
    server.ingest(&purchases(&[purchase("ann", 0, 1)])).ok();
    disk.fill();
    let (refusal, n) = write_until_refused(&server, 1);
    is_unavailable(&refusal);
    for _ in 0..20 {
        assert_eq!(server.features("sums", "ann"), totals(n), "reads go on, and nothing refused is there");
        assert_eq!(server.features("profiles", "ann"), json!(["30"]));
        is_unavailable(&server.connect().ask("POST", "/ingest", &large(n)).unwrap());
    }
    assert_eq!(server.ask("GET", "/healthz", &json!({})).status, 200);
    server.kill();
    let server = disk.start(&world, &key);
    assert_eq!(server.features("sums", "ann"), totals(n), "and after a start");
    is_unavailable(&server.connect().ask("POST", "/ingest", &large(n)).unwrap());
    disk.make_room();
    within(Duration::from_secs(30), &200, || server.connect().ask("POST", "/ingest", &large(n)).unwrap().status);
    assert_eq!(server.features("sums", "ann"), totals(n + 1));
    server.kill();
    assert_eq!(disk.start(&world, &key).features("sums", "ann"), totals(n + 1));
}

#[test]
fn a_disk_that_fails_poisons_the_log_and_reads_go_on() {
    let world = world();
    let key = create_key(&world, &["--role", "admin"]);
    let Some(disk) = Disk::of(&world) else { return };
    let server = disk.start(&world, &key);
    server.ingest(&purchases(&[purchase("ann", 0, 1)])).ok();
    assert_eq!(server.ask("GET", "/readyz", &json!({})).status, 200);
    disk.fail();
    let (refusal, n) = write_until_refused(&server, 1);
    is_unavailable(&refusal);
    for _ in 0..20 {
        is_unavailable(&server.connect().ask("POST", "/ingest", &large(n)).unwrap());
        let sums = server.features("sums", "ann");
        assert_eq!(sums, totals(n), "reads go on");
        assert_eq!(server.features("profiles", "ann"), json!(["30"]));
    }
    let ready = server.ask("GET", "/readyz", &json!({}));
    assert_eq!(ready.status, 503, "{ready:?}");
    assert!(ready.body.contains("log"), "it says why: {ready:?}");
    assert_eq!(server.ask("GET", "/healthz", &json!({})).status, 200);
    server.kill();

    disk.repair();
    let server = disk.start(&world, &key);
    // What was answered is there; of the one whose outcome nobody knew, all or nothing.
    let found = server.features("sums", "ann");
    assert!(found == totals(n) || found == totals(n + 1), "{n}: {found}");
    server.ingest(&purchases(&[purchase("bob", 0, 1)])).ok();
    assert_eq!(server.features("sums", "bob"), totals(1));
    assert_eq!(server.ask("GET", "/readyz", &json!({})).status, 200);
}
