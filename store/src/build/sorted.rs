//! Everything that was pushed, sorted: part in memory, part in runs.

use std::{
    fs::File,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use crate::error::Error;

use super::{
    Build, RUNS_MERGED_MAX,
    merge::{Newest, Source, merge},
    parallel::parallel,
    run::{Run, RunWriter},
    sink::{Resident, RowSink},
};

#[derive(Debug)]
pub(super) struct Sorted {
    residents: Vec<Resident>,
    runs: Vec<Run>,
}

impl Sorted {
    pub(super) fn new(build: &Build, sinks: Vec<RowSink>) -> Result<Self, Error> {
        let (residents, runs): (Vec<Resident>, Vec<Vec<Run>>) = sinks.into_iter().map(RowSink::into_parts).unzip();
        let mut sorted = Self { residents, runs: runs.into_iter().flatten().collect() };
        sorted.each_resident(build, |resident| {
            resident.sort();
            Ok(())
        })?;
        Ok(sorted)
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Rows of all sources: of keys that were pushed more than once, some may be gone already.
    pub(super) fn rows(&self) -> u64 {
        let resident = self.residents.iter().map(|resident| resident.entries.len() as u64).sum::<u64>();
        resident + self.runs.iter().map(|run| run.rows).sum::<u64>()
    }

    pub(super) fn row_bytes(&self) -> u64 {
        let resident = self.residents.iter().map(|resident| resident.arena.row_bytes()).sum::<u64>();
        resident + self.runs.iter().map(|run| run.row_bytes).sum::<u64>()
    }

    /// The files of the runs, to be shared by all that read.
    pub(super) fn open(&self) -> Result<Vec<File>, Error> {
        self.runs.iter().map(Run::open).collect()
    }

    /// All rows whose hashes are in `hashes`.
    pub(super) fn sources<'s>(
        &'s self,
        files: &'s [File],
        hashes: &Range<Option<u64>>,
    ) -> Result<Vec<Source<'s>>, Error> {
        let mut sources: Vec<_> = self.residents.iter().map(|resident| Source::resident(resident, hashes)).collect();
        for (run, file) in self.runs.iter().zip(files) {
            sources.push(Source::run(run, file, hashes)?);
        }
        Ok(sources)
    }

    /// Merges runs until there are no more than can be read at a time within the memory given.
    pub(super) fn bound_runs(&mut self, build: &Build) -> Result<(), Error> {
        let fan_in = build.fan_in();
        let workers = build.workers().min(RUNS_MERGED_MAX / fan_in).max(1); // a bound on open files
        while self.runs.len() > fan_in {
            let groups: Vec<&[Run]> = self.runs.chunks(fan_in).collect();
            self.runs = parallel(workers, groups.len(), |index| merge_runs(build, groups[index]))?;
        }
        Ok(())
    }

    /// The same rows under another seed. Rare: two keys have met in 64 bits.
    pub(super) fn reseed(mut self, build: &Arc<Build>, seed: u64) -> Result<Self, Error> {
        if self.runs.is_empty() {
            self.each_resident(build, |resident| resident.reseed(build, seed))?;
            return Ok(self);
        }
        // What is in memory joins the runs, which makes room for one sink to sort them all again.
        for resident in self.residents.drain(..) {
            self.runs.push(resident.spill(build)?);
        }
        let mut sink = RowSink::new(Arc::clone(build), seed);
        for run in self.runs.drain(..) {
            let file = run.open()?;
            let source = Source::run(&run, &file, &(None..None))?;
            merge(&mut [source], |rank, row| sink.push(row, build.ordinal(rank)))?;
        }
        Self::new(build, vec![sink])
    }

    fn each_resident(
        &mut self,
        build: &Build,
        run: impl Fn(&mut Resident) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        // Each lock is taken once, by the one thread that has its index.
        let residents: Vec<Mutex<&mut Resident>> = self.residents.iter_mut().map(Mutex::new).collect();
        parallel(build.workers(), residents.len(), |index| {
            run(&mut residents[index].lock().unwrap_or_else(PoisonError::into_inner))
        })?;
        Ok(())
    }
}

fn merge_runs(build: &Build, runs: &[Run]) -> Result<Run, Error> {
    let files = runs.iter().map(Run::open).collect::<Result<Vec<_>, _>>()?;
    let sources = runs.iter().zip(&files).map(|(run, file)| Source::run(run, file, &(None..None)));
    let mut sources = sources.collect::<Result<Vec<_>, _>>()?;
    let mut merged = RunWriter::create(&build.scratch, build.block_bytes())?;
    let mut newest = Newest::new(&build.layout);
    merge(&mut sources, |rank, row| match build.keeps(newest.see(rank.hash, row)?) {
        true => merged.push(rank, row),
        false => Ok(()),
    })?;
    merged.finish()
}
