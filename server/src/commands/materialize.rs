//! `gannet materialize`.

use std::{collections::BTreeMap, num::NonZero, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use gannet_api::definitions::model::FeatureView;
use gannet_store::{
    build::BuildOptions,
    directory::{DataDirectory, Manifest, TableEntry, WriterLock},
    levels::{self, FlushOptions, Stop},
    plane::Combine,
};

use crate::{
    clock,
    materialize::{self as reading, Job, Note, Notes, Report},
    output,
    repository::{self, Applied, plural},
    text,
};

/// Read source files and publish them as tables: one new generation, whole or not at all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet materialize                           # every view of the live definitions
  gannet materialize --changed                 # only those whose definition or files changed
  gannet materialize plane_latest_flight user_profile --workspace prod
  gannet materialize --strict --memory 4GiB    # fail on any bad row; sort more in memory

Rows that cannot be taken (no join key, no event time, a value that the declared type cannot hold) are counted, the first
ones are shown, and the others go on. Until the end nothing changes for servers, whatever happens; a running server takes up
the new generation by itself.")]
pub(crate) struct Materialize {
    /// Feature views; all of them when none is named
    views: Vec<String>,

    /// Only views of this workspace
    #[arg(long, short)]
    workspace: Option<String>,

    /// Only views whose definition or source files changed since they were materialized
    #[arg(long)]
    changed: bool,

    #[command(flatten)]
    options: Options,
}

/// How to read and build.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Fail if there is any bad row
    #[arg(long)]
    pub(crate) strict: bool,

    /// Memory for sorting; what does not fit goes through files in the data directory
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = text::parse_bytes)]
    pub(crate) memory: usize,

    /// Threads [default: available cores]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZero<usize>>,

    /// One line per view, for the quickstart.
    #[arg(skip)]
    pub(crate) brief: bool,
}

impl Materialize {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        let data = super::open(root)?;
        let lock = super::lock(&data)?;
        let current = data.current()?;
        let Some(applied) = repository::applied(&data, current.as_ref())? else {
            bail!("no definitions are live in {}; apply some first: gannet apply FOLDER", root.display());
        };
        let all = views(&applied);
        let chosen = self.choose(&all)?;
        let built = build(&data, current.as_ref(), &applied, &chosen, self.changed, &self.options)?;
        if built.is_empty() {
            output::say("Nothing to do: every view is as its files are.")?;
            return Ok(ExitCode::SUCCESS);
        }
        let tables = built.tables.len();
        let manifest = publish(&data, &lock, built, |manifest| manifest.created_at_us = clock::unix_us())?;
        output::say(format_args!("Published {} in generation {}.", plural(tables, "table"), manifest.generation))?;
        Ok(ExitCode::SUCCESS)
    }

    fn choose<'a>(&self, all: &[View<'a>]) -> Result<Vec<View<'a>>> {
        let in_workspace = |view: &View<'_>| self.workspace.as_deref().is_none_or(|name| name == view.workspace);
        if let Some(workspace) = self.workspace.as_ref().filter(|_| !all.iter().any(in_workspace)) {
            bail!("there is no feature view in a workspace `{workspace}`");
        }
        if self.views.is_empty() {
            return Ok(all.iter().filter(|view| in_workspace(view)).copied().collect());
        }
        let mut chosen: Vec<View<'a>> = Vec::new();
        for name in &self.views {
            let view = find(all, self.workspace.as_deref(), name)?;
            if view.view.source.is_none() {
                bail!("{} has no source to read: what it serves is pushed to its stream", view.name());
            }
            if !chosen.iter().any(|other| std::ptr::eq(other.view, view.view)) {
                chosen.push(view);
            }
        }
        Ok(chosen)
    }
}

/// A view and the workspace it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) workspace: &'a str,
    pub(crate) view: &'a FeatureView,
}

impl View<'_> {
    /// As people write it.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.workspace, self.view.name)
    }

    pub(crate) fn table(&self) -> String {
        FeatureView::table_name(self.workspace, &self.view.name)
    }
}

/// Every view of every workspace.
pub(crate) fn views(applied: &Applied) -> Vec<View<'_>> {
    let workspaces = applied.definitions.workspaces.iter();
    workspaces
        .flat_map(|(name, workspace)| workspace.feature_views.values().map(move |view| View { workspace: name, view }))
        .collect()
}

/// The one view called `name`, which may be written `workspace/view`.
pub(crate) fn find<'a>(all: &[View<'a>], workspace: Option<&str>, name: &str) -> Result<View<'a>> {
    let (workspace, name) = match name.split_once('/') {
        Some((workspace, name)) => (Some(workspace), name),
        None => (workspace, name),
    };
    let fits =
        |view: &&View<'_>| view.view.name == name && workspace.is_none_or(|workspace| workspace == view.workspace);
    let mut found = all.iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(view), None) => Ok(*view),
        (Some(view), Some(other)) => {
            bail!(
                "`{name}` is in the workspaces `{}` and `{}`; say which with --workspace",
                view.workspace,
                other.workspace
            )
        }
        (None, _) => {
            let known: Vec<_> = all.iter().map(View::name).collect();
            bail!("there is no feature view `{name}`; there are {}", known.join(", "))
        }
    }
}

/// Tables that were built and are in no manifest yet, with what they were built from.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) tables: BTreeMap<String, TableEntry>,
    notes: BTreeMap<String, Note>,
    /// How rows of those tables are put together whose rows do not replace each other.
    pub(crate) combines: BTreeMap<String, Arc<dyn Combine>>,
}

impl Built {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}

/// Builds every view whose definition or source files changed.
pub(crate) fn build_changed(
    data: &DataDirectory,
    _lock: &WriterLock,
    current: Option<&Manifest>,
    applied: &Applied,
    options: &Options,
) -> Result<Built> {
    build(data, current, applied, &views(applied), true, options)
}

/// The writer's lock must be held, from before `current` was read until what is built was published.
fn build(
    data: &DataDirectory,
    current: Option<&Manifest>,
    applied: &Applied,
    views: &[View<'_>],
    only_changed: bool,
    options: &Options,
) -> Result<Built> {
    let now_us = clock::unix_us();
    let workers = options.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let notes = Notes::read(data)?;
    let mut built = Built::default();
    for view in views {
        let in_view = || format!("cannot materialize {}", view.name());
        let (name, table) = (view.name(), view.table());
        let Some(source) = &view.view.source else { continue }; // what it serves is pushed
        let files = reading::source::files(&applied.folder, &source.path).with_context(in_view)?;
        let note = Note::of(view.view, &files, now_us).with_context(in_view)?;
        let live = current.and_then(|manifest| manifest.tables.get(&table));
        if only_changed && live.is_some_and(|live| notes.still_holds(&table, live, &note)) {
            continue;
        }
        let build = BuildOptions {
            root: data.root().to_owned(),
            table: table.clone(),
            memory_bytes: options.memory,
            workers,
            now_us,
        };
        let schema = Arc::new(view.view.schema());
        let format = source.format;
        let job = Job { name: name.clone(), view: view.view, schema, format, files, now_us, build };
        let (entry, report) = reading::materialize(job).with_context(in_view)?;
        tell(report, options).with_context(in_view)?;
        // What is cut then is cut once more, and counted, by whoever serves.
        built.combines.extend(view.view.combine(&Arc::default()).map(|combine| (table.clone(), combine)));
        built.tables.insert(table.clone(), entry);
        built.notes.insert(table, note);
    }
    Ok(built)
}

fn tell(mut report: Report, options: &Options) -> Result<()> {
    for line in report.bad_lines() {
        output::note(format_args!("warning: {line}"));
    }
    if options.brief {
        output::say(report.brief())?;
    } else {
        output::say(&report)?;
    }
    let bad = report.bad.total();
    if bad > 0 && report.built.rows_kept == 0 {
        bail!("none of its rows can be taken; nothing was published");
    }
    if options.strict && bad > 0 {
        bail!(
            "{} bad (--strict); nothing was published",
            text::count(bad) + if bad == 1 { " row is" } else { " rows are" }
        );
    }
    Ok(())
}

/// Makes what was built live, together with whatever else `change` does, and removes what is no longer needed.
pub(crate) fn publish(
    data: &DataDirectory,
    lock: &WriterLock,
    built: Built,
    change: impl FnOnce(&mut Manifest),
) -> Result<Manifest> {
    let Built { tables, notes, combines } = built;
    // What was written to a table that was built anew stays beside it.
    let live = data.current()?;
    let options = FlushOptions {
        root: data.root().to_owned(),
        memory_bytes: SET_ASIDE_BYTES,
        now_us: clock::unix_us(),
        stop: Stop::default(),
    };
    let aside = |live: &Manifest| {
        let aside = |name: &String| levels::set_aside(&options, live, name, combines.get(name).map(AsRef::as_ref));
        tables.keys().filter_map(|name| aside(name).transpose()).collect::<Result<Vec<_>, _>>()
    };
    let aside = live.as_ref().map_or_else(|| Ok(Vec::new()), aside)?;
    let manifest = data.publish(lock, |manifest| {
        aside.into_iter().for_each(|aside| aside.change(manifest));
        tables.into_iter().for_each(|(name, entry)| manifest.put_built(name, entry));
        change(manifest);
    })?;
    Notes::add(data, notes)?;
    data.collect_garbage(lock, GENERATIONS_KEPT).context("published, but old generations could not be removed")?;
    Ok(manifest)
}

/// The live generation, one to go back to, and one for readers that are slow to notice.
const GENERATIONS_KEPT: usize = 3;

/// Memory for bringing what was written out of the way of a table that was built anew, should it have to be sorted.
const SET_ASIDE_BYTES: usize = 64 << 20;
