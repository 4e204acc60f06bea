//! Existing callers against the binary: tecton-client from PyPI, installed into the target folder by this test.
#![expect(clippy::tests_outside_test_module, clippy::unwrap_used, reason = "everything here is a test")]

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

const CLIENT: &str = "tecton-client==0.4.0";

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

/// A virtual environment with the client in the target folder, made once.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = folder.join("bin/python");
    let has_client = || {
        let check = "import importlib.metadata as m; print('tecton-client==' + m.version('tecton-client'))";
        let found = Command::new(&python).args(["-c", check]).output();
        found.is_ok_and(|output| output.stdout.trim_ascii() == CLIENT.as_bytes())
    };
    if !has_client() {
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
        run(&python, &["-m", "pip", "install", "--quiet", CLIENT], "PyPI must be within reach the first time");
        assert!(has_client());
    }
    python
}

#[test]
fn tecton_client_gets_what_it_expects_sync_and_async() {
    let folder = tempfile::tempdir().unwrap();
    let server = Quickstart::start(&folder.path().join("data"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/tecton_client_check.py");
    let output = Command::new(python()).arg(script).args([&server.url, "quickstart"]).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.trim_end().ends_with("ok"), "{said}");
}
