//! `gannet apply`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::Args;
use gannet_api::definitions::{
    diff,
    model::{Definitions, FeatureView},
};
use gannet_store::directory::{DataDirectory, Manifest, TableEntry, WriterLock};

use super::materialize::{self, Options};
use crate::{
    clock, output,
    repository::{self, Applied, plural},
};

/// Make a folder of definitions the live one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gannet apply definitions
  gannet apply definitions --materialize   # definitions and the data they need, in one step

Applying definitions that are already live changes nothing. Tables of views that are gone are no longer served; their files
stay for two more generations. A view whose keys or features changed is served again once it was materialized: with
--materialize both become live at the same moment.")]
pub(crate) struct Apply {
    /// The folder with the definitions
    folder: PathBuf,

    /// Also materialize the views that need it, and publish both together
    #[arg(long)]
    materialize: bool,

    #[command(flatten)]
    options: Options,
}

impl Apply {
    pub(crate) fn run(self, root: &Path) -> Result<ExitCode> {
        apply(root, &self.folder, self.materialize.then_some(&self.options))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Applies `folder`, with the data that changed views need if there are `options` for that. Returns the live manifest.
pub(crate) fn apply(root: &Path, folder: &Path, options: Option<&Options>) -> Result<Option<Manifest>> {
    let files = repository::read(folder)?;
    let definitions = repository::checked(&files)?;
    let folder = folder.canonicalize().with_context(|| format!("cannot resolve {}", folder.display()))?;
    let data = DataDirectory::create(root).context("cannot open the data directory")?;
    let lock = super::lock(&data)?;
    let current = data.current()?;
    let live = repository::applied(&data, current.as_ref())?;

    let empty = Definitions::default();
    let plan = diff(live.as_ref().map_or(&empty, |live| &live.definitions), &definitions);
    let same = live.as_ref().is_some_and(|live| plan.is_empty() && live.folder == folder);
    if options.is_some_and(|options| options.brief) && !plan.is_empty() {
        output::say(plan.summary())?;
    } else if !plan.is_empty() {
        output::say(plan.render(std::io::stdout().is_terminal()).trim_end())?;
    }
    let applied = Applied { version: 0, folder, definitions };
    let built = match options {
        Some(options) => materialize::build_changed(&data, &lock, current.as_ref(), &applied, options)?,
        None => materialize::Built::default(),
    };
    if same && built.is_empty() {
        output::say("Nothing to change: these definitions are live.")?;
        return Ok(current);
    }
    let manifest = publish(&data, &lock, &files, live.filter(|_| same), &applied, built)?;
    let version = manifest.definitions_version.unwrap_or_default();
    output::say(format_args!("Definitions version {version} is live in generation {}.", manifest.generation))?;
    tell_what_is_missing(&manifest, &applied.definitions)?;
    Ok(Some(manifest))
}

fn publish(
    data: &DataDirectory,
    lock: &WriterLock,
    files: &repository::Files,
    live: Option<Applied>,
    applied: &Applied,
    built: materialize::Built,
) -> Result<Manifest> {
    let now_us = clock::unix_us();
    let version = match live {
        Some(live) => live.version,
        None => data.put_definitions(lock, files, now_us, &applied.folder.to_string_lossy())?,
    };
    let tables = tables_of(&applied.definitions);
    let manifest = materialize::publish(data, lock, built, |manifest| {
        manifest.created_at_us = now_us;
        manifest.definitions_version = Some(version);
        manifest.retain_tables(|name| tables.contains(name));
    })?;
    Ok(manifest)
}

fn tell_what_is_missing(manifest: &Manifest, definitions: &Definitions) -> Result<()> {
    let missing = missing(&manifest.tables, definitions);
    if !missing.is_empty() {
        let views = plural(missing.len(), "view");
        output::say(format_args!("{views} without data: {}. Next: gannet materialize", missing.join(", ")))?;
    }
    Ok(())
}

/// Views with a source that have no table, or one of another shape.
fn missing(tables: &BTreeMap<String, TableEntry>, definitions: &Definitions) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, workspace) in &definitions.workspaces {
        for view in workspace.feature_views.values() {
            let table = tables.get(&FeatureView::table_name(name, &view.name));
            if view.source.is_some() && table.is_none_or(|table| table.schema != view.schema()) {
                missing.push(format!("{name}/{}", view.name));
            }
        }
    }
    missing
}

fn tables_of(definitions: &Definitions) -> BTreeSet<String> {
    let workspaces = definitions.workspaces.iter();
    workspaces
        .flat_map(|(name, workspace)| workspace.feature_views.keys().map(|view| FeatureView::table_name(name, view)))
        .collect()
}
