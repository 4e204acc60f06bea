//! A folder of definitions, a data directory, and the binary run on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

/// One test's world: `definitions/`, `data/` for sources, `store/` for the data directory.
pub(crate) struct World {
    folder: TempDir,
}

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["definitions", "data"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
        command.args(arguments).current_dir(self.folder.path()).env("GANNET_DATA", "store").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: status.code(), out: text(stdout), err: text(stderr) }
    }

    /// Runs what must succeed; its stdout.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(0), "{arguments:?}: {run:?}");
        run.out
    }

    /// Runs what must fail with exit code 1 and one line of error that holds `expected`.
    #[track_caller]
    pub(crate) fn fail(&self, arguments: &[&str], expected: &str) {
        let run = self.run(arguments);
        assert_eq!(run.code, Some(1), "{arguments:?}: {run:?}");
        let last = run.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: ") && last.contains(expected), "{arguments:?}: {run:?}");
    }

    /// The row of a key, as `inspect` shows it.
    #[track_caller]
    pub(crate) fn row(&self, view: &str, key: &str) -> serde_json::Value {
        serde_json::from_str(&self.succeed(&["inspect", "key", view, key])).unwrap()
    }

    /// What names the live generation; changes exactly when another becomes live.
    pub(crate) fn current(&self) -> Vec<u8> {
        fs::read(self.path("store/CURRENT")).unwrap()
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
