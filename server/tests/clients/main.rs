//! Programs that know nothing of ours against the binary: tecton-client as an existing caller, DuckDB as one who computes the same.
//! Both come from PyPI, installed into the target folder by these tests.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "everything here is a test")]

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

const PACKAGES: [&str; 2] = ["tecton-client==0.4.0", "duckdb==2.0.1"];

struct Quickstart {
    child: Child,
    url: String,
}

impl Drop for Quickstart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Quickstart {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
        command.args(["quickstart", "--users", "100", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        command.env_remove("GANNET_DATA").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        while !said.contains("Ctrl-C ends it.") {
            assert_ne!(out.read_line(&mut said).unwrap(), 0, "it ended: {said}");
        }
        let (_, rest) = said.split_once("Gannet answers on ").unwrap();
        let url = rest.split(['.', ' ', '\n']).take(4).collect::<Vec<_>>().join(".");
        Self { child, url }
    }
}

/// A virtual environment with these packages in the target folder, made once.
fn python() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new(); // or two tests would make it at once
    MADE.get_or_init(make_python).clone()
}

fn make_python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = folder.join("bin/python");
    let has_packages = || {
        let check =
            "import importlib.metadata as m; print(*(n + '==' + m.version(n) for n in ('tecton-client', 'duckdb')))";
        let found = Command::new(&python).args(["-c", check]).output();
        found.is_ok_and(|output| output.stdout.trim_ascii() == PACKAGES.join(" ").as_bytes())
    };
    if !has_packages() {
        let run = |program: &Path, arguments: &[&str], help: &str| {
            let output = Command::new(program).args(arguments).output();
            let output = output.unwrap_or_else(|e| panic!("cannot run {}: {e}; {help}", program.display()));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} {arguments:?} failed: {said}\n{help}", program.display());
        };
        let folder = folder.to_str().unwrap();
        run(
            "python3".as_ref(),
            &["-m", "venv", "--clear", folder],
            "python3 with venv is needed (Debian: python3-venv)",
        );
        let install = [&["-m", "pip", "install", "--quiet"], &PACKAGES[..]].concat();
        run(&python, &install, "PyPI must be within reach the first time");
        assert!(has_packages());
    }
    python
}

/// Runs one of the scripts beside this file, which must end with `ok`.
#[track_caller]
fn passes(script: &str, arguments: &[&OsStr]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script);
    let output = Command::new(python()).arg(script).args(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim_end().ends_with("ok"), "{said}");
}

#[test]
fn tecton_client_gets_what_it_expects_sync_and_async() {
    let folder = tempfile::tempdir().unwrap();
    let server = Quickstart::start(&folder.path().join("data"));
    passes("tecton_client_check.py", &[server.url.as_ref(), "quickstart".as_ref()]);
}

/// `GANNET_ORACLE_KEYS` says how many planes are looked at, `GANNET_SEED` which ones and in what order their flights come.
#[test]
fn batch_and_stream_and_duckdb_agree_on_every_aggregate() {
    let folder = tempfile::tempdir().unwrap();
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/flights/data/flights-2013.parquet");
    let or = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let (keys, seed) = (or("GANNET_ORACLE_KEYS", "24"), or("GANNET_SEED", "1"));
    let gannet = env!("CARGO_BIN_EXE_gannet");
    let arguments = [gannet.as_ref(), flights.as_os_str(), folder.path().as_os_str(), keys.as_ref(), seed.as_ref()];
    passes("aggregates_oracle.py", &arguments);
}
