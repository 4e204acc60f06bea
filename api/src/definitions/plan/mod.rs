//! What applying new definitions would change, and what that means for stored data and for callers.
//!
//! A plan compares meanings, not texts: comments, order of tables and the split into files do not show. A service's vector
//! is compared as callers see it, so that a change in a view shows at every service whose answers it alters.

mod compare;
mod fields;
mod render;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use compare::diff;

/// All changes from one version of the definitions to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Sorted by workspace, kind and name.
    pub changes: Vec<Change>,
    /// What is served now and is not from when this is applied until it was materialized, unless both are done at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interrupted: Vec<Interrupted>,
}

/// A view whose stored rows do not fit its new definition, or a service that reads a view without rows that fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    pub kind: Kind,
    pub workspace: String,
    pub name: String,
}

/// What becomes of one workspace, entity, stream source, view or service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub action: Action,
    pub kind: Kind,
    pub workspace: String,
    /// For a workspace, its own.
    pub name: String,
    /// What differs, field by field. For something added all that it has, for something removed nothing.
    pub fields: Vec<FieldChange>,
    /// Whether the view's stored rows no longer follow from its definition, or there are none yet.
    pub materialize: bool,
    /// Why a caller or reader of the old definitions would fail or read something else. Empty if none would.
    pub breaks: Vec<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Add,
    Change,
    Remove,
}

/// To what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Workspace,
    Entity,
    StreamSource,
    FeatureView,
    FeatureService,
}

/// One field before and after; absent where it had or has no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// `ttl`, `feature seats`, `tag team`, …
    pub field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

impl Plan {
    /// Whether the definitions mean the same.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many things are added, changed or removed.
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }

    /// `Plan: 2 to add, 1 to change, 0 to remove.`
    pub fn summary(&self) -> String {
        let [add, change, remove] = [Action::Add, Action::Change, Action::Remove].map(|action| self.count(action));
        format!("Plan: {add} to add, {change} to change, {remove} to remove.")
    }

    /// Whether somebody who relies on the old definitions would notice.
    pub fn is_breaking(&self) -> bool {
        self.changes.iter().any(|change| !change.breaks.is_empty())
    }

    /// The views whose data must be materialized (again), as pairs of workspace and name.
    pub fn to_materialize(&self) -> impl Iterator<Item = (&str, &str)> {
        let stale = self.changes.iter().filter(|change| change.materialize);
        stale.map(|change| (change.workspace.as_str(), change.name.as_str()))
    }

    /// The plan as text for people, ending with the summary. With `colour`, for a terminal.
    pub fn render(&self, colour: bool) -> String {
        render::render(self, colour)
    }
}

impl Kind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Entity => "entity",
            Self::StreamSource => "stream source",
            Self::FeatureView => "feature view",
            Self::FeatureService => "feature service",
        }
    }
}
