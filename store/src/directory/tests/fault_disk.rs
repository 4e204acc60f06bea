//! A disk that fails at its n-th operation and, when it is to look like a crash, at all later ones. It does not really
//! sync: a process that dies loses nothing it wrote, and thousands of syncs are slow.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    disk::{Access, Disk, DiskFile, HeldLock, Hold, Listed, SystemDisk},
    error::Error,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One operation fails, for want of space.
    Once,
    /// The process dies in it: it and all later ones fail, and a write leaves half its bytes.
    Crash,
    /// The process dies just after it, before it hears of success.
    CrashAfter,
}

#[derive(Debug, Clone)]
pub(crate) struct FaultDisk {
    fault: Fault,
    at: u64,
    operations: Arc<AtomicU64>,
    log: Arc<Mutex<Vec<(String, PathBuf)>>>,
}

impl FaultDisk {
    /// Fails the operation numbered `at`, from 0.
    pub(crate) fn new(fault: Fault, at: u64) -> Arc<Self> {
        Arc::new(Self { fault, at, operations: Arc::default(), log: Arc::default() })
    }

    /// Never fails.
    pub(crate) fn sound() -> Arc<Self> {
        Self::new(Fault::Once, u64::MAX)
    }

    /// What was done since the last call, one operation per line, below `root`. Of temporary names only the start is shown.
    pub(crate) fn take_log(&self, root: &Path) -> String {
        let shown = |(name, path): (String, PathBuf)| {
            let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let path = match path.split_once(".tmp-") {
                Some((start, rest)) => format!("{start}.tmp{}", rest.find('/').map_or("", |at| &rest[at..])),
                None => path,
            };
            format!("{name} {path}\n")
        };
        std::mem::take(&mut *self.log.lock().unwrap()).into_iter().map(shown).collect()
    }

    /// Whether the operation to fail was reached.
    pub(crate) fn has_struck(&self) -> bool {
        self.operations.load(Relaxed) > self.at
    }

    fn operation(
        &self,
        name: &str,
        path: &Path,
        run: impl FnOnce() -> io::Result<()>,
        half: impl FnOnce(),
    ) -> io::Result<()> {
        let number = self.operations.fetch_add(1, Relaxed);
        self.log.lock().unwrap().push((name.to_owned(), path.to_owned()));
        match self.fault {
            Fault::Once if number == self.at => Err(ErrorKind::StorageFull.into()),
            Fault::Crash if number == self.at => {
                half();
                Err(io::Error::other("crashed"))
            }
            Fault::CrashAfter if number == self.at => run().and_then(|()| Err(io::Error::other("crashed"))),
            Fault::Crash | Fault::CrashAfter if number > self.at => Err(io::Error::other("crashed")),
            _ => run(),
        }
    }
}

impl Disk for FaultDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.operation("create folder", folder, || SystemDisk.create_folder(folder), || {})
    }

    fn create(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut created = None;
        self.operation("create", file, || SystemDisk.create(file, access).map(|open| created = Some(open)), || {})?;
        Ok(Box::new(FaultFile { inner: created.expect("no fault"), disk: self.clone(), path: file.to_owned() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation("rename to", to, || SystemDisk.rename(from, to), || {})
    }

    fn remove_file(&self, file: &Path) -> io::Result<()> {
        self.operation("remove", file, || SystemDisk.remove_file(file), || {})
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.operation("remove folder", folder, || SystemDisk.remove_folder(folder), || {})
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.operation("sync folder", folder, || std::fs::metadata(folder).map(drop), || {})
    }

    fn restrict_folder(&self, folder: &Path) -> io::Result<()> {
        SystemDisk.restrict_folder(folder)
    }

    fn read(&self, file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        SystemDisk.read(file, bytes_max)
    }

    fn open(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.open(file, access)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        SystemDisk.list(folder)
    }

    fn lock(&self, file: &Path) -> Result<Box<dyn HeldLock>, Error> {
        SystemDisk.lock(file)
    }

    fn lock_folder(&self, folder: &Path, hold: Hold) -> Result<Box<dyn HeldLock>, Error> {
        SystemDisk.lock_folder(folder, hold)
    }
}

#[derive(Debug)]
struct FaultFile {
    inner: Box<dyn DiskFile>,
    disk: FaultDisk,
    path: PathBuf,
}

impl DiskFile for FaultFile {
    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        let inner = std::cell::RefCell::new(&mut self.inner);
        self.disk.operation(
            "write",
            &self.path,
            || inner.borrow_mut().write_at(bytes, at),
            || inner.borrow_mut().write_at(&bytes[..bytes.len() / 2], at).unwrap(),
        )
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.inner.read_at(bytes, at)
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.reserve(bytes)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.truncate(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.operation("sync", &self.path, || Ok(()), || {})
    }
}
