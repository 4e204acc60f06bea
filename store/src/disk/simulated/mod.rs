//! A disk in memory that crashes, tears and fails on demand, for tests of this crate and others.
//!
//! After [`SimulatedDisk::crash`] everything synced is there, and of what was done since any part: operations drop out and change
//! places, writes are torn at sectors, blocks or any byte, or end in noise; each name made, renamed or removed is so or is not. A
//! rename happens or does not; nothing else is taken to be atomic. [`SimulatedDisk::kill`] ends the process and not the machine: all
//! that was done is still seen, and still not durable.

mod choices;
mod platter;

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use choices::Choices;

use self::platter::{Entry, Platter};
use super::{Access, Disk, DiskFile, HeldLock, Hold, Listed};
use crate::{error::Error, limits::BLOCK_BYTES};

/// What happens at an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails. A write has written a part; after a sync some of what was written is lost without a further word.
    Failure,
    /// It fails for want of space; else as [`Self::Failure`].
    Full,
    /// A write ends early; other operations fail.
    ShortWrite,
    /// The power goes in the midst of it: it and all later ones fail, until [`SimulatedDisk::crash`] or [`SimulatedDisk::kill`].
    Crash,
}

impl Fault {
    pub const ALL: [Self; 4] = [Self::Failure, Self::Full, Self::ShortWrite, Self::Crash];
}

/// The disk. Clones are the same disk; [`Self::copy`] makes another.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Clone, Default)]
struct State {
    platter: Platter,
    /// Since a fault was set.
    operations: u64,
    fault: Option<(u64, Fault, Choices)>,
    is_down: bool,
    syncs_lie: bool,
    folder_syncs_lie: bool,
    has_no_room: bool,
    /// By name, how many hold it; whoever holds it alone counts for [`ALONE`].
    locks: BTreeMap<PathBuf, usize>,
    /// Files and locks of earlier processes are no longer anybody's.
    process: u64,
}

impl SimulatedDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// Another disk with the same on it.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Fails the operation numbered `at`, from 0 on from here. `seed` says in which way.
    pub fn fail_at(&self, at: u64, fault: Fault, seed: u64) {
        let mut state = self.state();
        state.operations = 0;
        state.fault = Some((at, fault, Choices::seeded(seed)));
    }

    /// Whether the operation to fail was reached.
    pub fn has_struck(&self) -> bool {
        let state = self.state();
        state.fault.as_ref().is_some_and(|(at, ..)| state.operations > *at)
    }

    /// How many operations there were since [`Self::fail_at`].
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Ends the process, and the machine with it. What was not synced is left as `choices` say.
    pub fn crash(&self, choices: &mut Choices) {
        self.state().platter.crash(choices);
        self.kill();
    }

    /// Ends the process only.
    pub fn kill(&self) {
        let mut state = self.state();
        state.process += 1;
        state.locks.clear();
        state.fault = None;
        state.is_down = false;
    }

    /// From now on a sync of a file does nothing, and says it did: a program that acknowledges before it syncs, or a drive that does.
    pub fn let_syncs_lie(&self, lie: bool) {
        self.state().syncs_lie = lie;
    }

    /// The same for folders.
    pub fn let_folder_syncs_lie(&self, lie: bool) {
        self.state().folder_syncs_lie = lie;
    }

    /// From now on there is no room: nothing is made and no file grows, until it is told otherwise. What is there may be written anew,
    /// renamed and removed.
    pub fn fill(&self, has_no_room: bool) {
        self.state().has_no_room = has_no_room;
    }

    /// What a file holds.
    pub fn contents(&self, file: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        match state.platter.entry(file) {
            Some(Entry::File(number)) => Some(state.platter.contents(number).to_vec()),
            _ => None,
        }
    }

    /// Puts bytes under a name, durably, as damage or a stranger would.
    pub fn put(&self, file: &Path, bytes: &[u8]) {
        self.state().platter.put(file, bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts an operation. `Ok` when it is to be carried out; else, how it fails.
    fn operation(&mut self) -> Result<(), (io::Error, Option<(Fault, Choices)>)> {
        if self.is_down {
            return Err((io::Error::other("the machine is down"), None));
        }
        let number = self.operations;
        self.operations += 1;
        match self.fault.clone() {
            Some((at, fault, choices)) if at == number => {
                self.is_down = fault == Fault::Crash;
                let error = match fault {
                    Fault::Full => ErrorKind::StorageFull.into(),
                    Fault::ShortWrite => ErrorKind::WriteZero.into(),
                    Fault::Failure | Fault::Crash => io::Error::other("input/output error"),
                };
                Err((error, Some((fault, choices))))
            }
            _ => Ok(()),
        }
    }

    /// Of an operation that changes a name: one that was cut off by a crash may have happened.
    fn name_operation(&mut self) -> Result<(), (io::Error, bool)> {
        self.operation().map_err(|(error, fault)| (error, matches!(fault, Some((Fault::Crash, _)))))
    }

    fn entry(&self, name: &Path) -> io::Result<Entry> {
        self.platter.entry(name).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn folder(&self, folder: &Path) -> io::Result<usize> {
        match self.entry(folder)? {
            Entry::Folder(number) => Ok(number),
            Entry::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn refuse_taken(&self, name: &Path) -> io::Result<()> {
        if self.entry(name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        name.parent().map_or(Ok(()), |parent| self.folder(parent).map(drop))
    }

    fn change_name(&mut self, change: impl FnOnce(&mut Platter)) -> io::Result<()> {
        match self.name_operation() {
            Ok(()) => {
                change(&mut self.platter);
                Ok(())
            }
            Err((error, may_have_happened)) => {
                if may_have_happened {
                    change(&mut self.platter);
                }
                Err(error)
            }
        }
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.refuse_taken(folder)?;
        state.change_name(|platter| platter.make_folder(folder))
    }

    fn restrict_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.entry(folder)?;
        state.operation().map_err(|(error, _)| error)
    }

    fn create(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.refuse_taken(file)?;
        if state.has_no_room {
            return Err(ErrorKind::StorageFull.into());
        }
        let mut number = 0;
        state.change_name(|platter| number = platter.make_file(file))?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), number, access, process: state.process }))
    }

    fn open(&self, file: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        let Entry::File(number) = state.entry(file)? else { return Err(ErrorKind::IsADirectory.into()) };
        state.operation().map_err(|(error, _)| error)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), number, access, process: state.process }))
    }

    fn read(&self, file: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let Entry::File(number) = state.entry(file)? else { return Err(ErrorKind::IsADirectory.into()) };
        state.operation().map_err(|(error, _)| error)?;
        let contents = state.platter.contents(number);
        let length = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(contents.len());
        Ok(contents.get(..length).unwrap_or_default().to_vec())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let entry = state.entry(from)?;
        state.change_name(|platter| platter.rename(from, to, entry))
    }

    fn remove_file(&self, file: &Path) -> io::Result<()> {
        let mut state = self.state();
        let entry = state.entry(file)?;
        state.change_name(|platter| platter.remove(file, entry))
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        let number = state.folder(folder)?;
        if state.platter.list(number).next().is_some() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        state.change_name(|platter| platter.remove(folder, Entry::Folder(number)))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        let number = state.folder(folder)?;
        state.operation().map_err(|(error, _)| error)?;
        if !state.folder_syncs_lie {
            state.platter.sync_folder(number);
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let mut state = self.state();
        let number = state.folder(folder)?;
        state.operation().map_err(|(error, _)| error)?;
        let listed = |(name, entry): (&str, Entry)| match entry {
            Entry::Folder(_) => Listed { name: name.to_owned(), is_folder: true, bytes: 0 },
            Entry::File(number) => {
                let bytes = state.platter.contents(number).len() as u64;
                Listed { name: name.to_owned(), is_folder: false, bytes }
            }
        };
        Ok(state.platter.list(number).map(listed).collect())
    }

    fn lock(&self, file: &Path) -> Result<Box<dyn HeldLock>, Error> {
        self.lock_folder(file, Hold::Alone)
    }

    fn lock_folder(&self, folder: &Path, hold: Hold) -> Result<Box<dyn HeldLock>, Error> {
        let mut state = self.state();
        let (held, more) = (state.locks.get(folder).copied().unwrap_or(0), if hold == Hold::Alone { ALONE } else { 1 });
        if held >= ALONE || held > 0 && hold == Hold::Alone {
            return Err(Error::Locked { file: folder.to_owned(), holder: "another process".to_owned() });
        }
        state.locks.insert(folder.to_owned(), held + more);
        Ok(Box::new(SimulatedLock { disk: self.clone(), file: folder.to_owned(), process: state.process, more }))
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    number: usize,
    access: Access,
    process: u64,
}

impl SimulatedFile {
    /// What a direct access to a real disk is refused for.
    fn refuse_unaligned(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let is_aligned = at.is_multiple_of(BLOCK_BYTES as u64)
            && bytes.len().is_multiple_of(BLOCK_BYTES)
            && bytes.as_ptr().align_offset(BLOCK_BYTES) == 0;
        if self.access == Access::Direct && !is_aligned {
            return Err(ErrorKind::InvalidInput.into());
        }
        Ok(())
    }

    /// The disk, if the process that opened this file lives.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.process == self.process { Ok(state) } else { Err(io::Error::other("of a process that has ended")) }
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        if state.has_no_room && at.saturating_add(bytes.len()) > state.platter.contents(self.number).len() {
            return Err(ErrorKind::StorageFull.into());
        }
        match state.operation() {
            Ok(()) => {
                state.platter.write(self.number, at, bytes);
                Ok(())
            }
            Err((error, None)) => Err(error),
            Err((error, Some((Fault::Crash, _)))) => {
                state.platter.write(self.number, at, bytes); // torn by the crash to come
                Err(error)
            }
            Err((error, Some((_, mut choices)))) => {
                let written = choices.below(bytes.len() + 1);
                state.platter.write(self.number, at, bytes.get(..written).unwrap_or_default());
                Err(error)
            }
        }
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.platter.contents(self.number).len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.refuse_unaligned(at, bytes)?;
        let mut state = self.state()?;
        state.operation().map_err(|(error, _)| error)?;
        let contents = state.platter.contents(self.number);
        let rest = contents.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let read = rest.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..read), rest.get(..read)) {
            to.copy_from_slice(from);
        }
        Ok(read)
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.refuse_unaligned(at, bytes)?;
        self.write(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state()?;
        match state.operation() {
            Ok(()) => {
                if !state.syncs_lie {
                    state.platter.sync(self.number);
                }
                Ok(())
            }
            Err((error, fault)) => {
                if let Some((Fault::Failure | Fault::Full | Fault::ShortWrite, mut choices)) = fault {
                    state.platter.fail_sync(self.number, &mut choices);
                }
                Err(error)
            }
        }
    }

    fn reserve(&mut self, bytes: u64) -> io::Result<()> {
        self.write(&vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)], 0)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.operation().map_err(|(error, _)| error)?;
        state.platter.set_length(self.number, usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    file: PathBuf,
    process: u64,
    /// What it counts for.
    more: usize,
}

/// More than share a lock.
const ALONE: usize = 1 << 20;

impl HeldLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.process == self.process
            && let Some(held) = state.locks.get_mut(&self.file)
        {
            *held -= self.more;
        }
    }
}
