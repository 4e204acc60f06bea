//! Roles: what a key may do, in which workspaces.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// What a key may do in a workspace. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees definitions and metadata, and may try out writes (`dry_run`).
    Viewer,
    /// Reads features.
    Consumer,
    /// Writes and deletes.
    Editor,
    /// Everything.
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Consumer, Self::Editor, Self::Admin];

    pub fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Consumer => "consumer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    pub fn from_label(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.label() == text)
    }
}

/// A key's roles: in every workspace, and in single ones. Where it has both, the higher counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(BTreeMap<String, Role>);

impl Roles {
    /// No role anywhere, to be added to.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// This role in every workspace.
    pub fn everywhere(role: Role) -> Self {
        let mut roles = Self::none();
        roles.add(None, role);
        roles
    }

    /// Adds a role, in one workspace or (`None`) in every one.
    pub fn add(&mut self, workspace: Option<&str>, role: Role) {
        let entry = self.0.entry(workspace.unwrap_or(EVERY).to_owned()).or_insert(role);
        *entry = role.max(*entry);
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The role that it has in every workspace.
    pub(crate) fn of_every(&self) -> Option<Role> {
        self.0.get(EVERY).copied()
    }

    /// Whether it has this role, or a higher one, in this workspace by name.
    pub(crate) fn may_in(&self, workspace: &str, role: Role) -> bool {
        workspace != EVERY && self.0.get(workspace).is_some_and(|has| *has >= role)
    }
}

/// What a key may do of which nobody said anything: read, everywhere. Keys were made before there were roles.
impl Default for Roles {
    fn default() -> Self {
        Self::everywhere(Role::Consumer)
    }
}

/// `consumer,prod=editor`.
impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (workspace, role)) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            match workspace.as_str() {
                EVERY => write!(f, "{comma}{}", role.label())?,
                workspace => write!(f, "{comma}{workspace}={}", role.label())?,
            }
        }
        if self.0.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// Stands for every workspace in `keys`: no name of one.
const EVERY: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_higher_of_two_roles_counts_and_they_read_back() {
        let check = |given: &[(Option<&str>, Role)], shown: &str, workspace: &str, role: Option<Role>| {
            let mut roles = Roles::none();
            given.iter().for_each(|(workspace, role)| roles.add(*workspace, *role));
            assert_eq!(roles.to_string(), shown);
            let may = |role| roles.of_every() >= Some(role) || roles.may_in(workspace, role);
            assert_eq!(Role::ALL.into_iter().filter(|role| may(*role)).max(), role, "{shown} in {workspace}");
            let stored = serde_json::to_string(&roles).unwrap();
            assert_eq!(serde_json::from_str::<Roles>(&stored).unwrap(), roles);
        };
        use Role::{Admin, Consumer, Editor, Viewer};
        check(&[], "none", "prod", None);
        check(&[(None, Consumer)], "consumer", "prod", Some(Consumer));
        check(&[(Some("prod"), Editor)], "prod=editor", "prod", Some(Editor));
        check(&[(Some("prod"), Editor)], "prod=editor", "test", None);
        check(&[(None, Consumer), (Some("prod"), Viewer)], "consumer,prod=viewer", "prod", Some(Consumer));
        check(&[(None, Viewer), (Some("prod"), Admin)], "viewer,prod=admin", "prod", Some(Admin));
        check(&[(Some("a"), Editor), (Some("a"), Viewer)], "a=editor", "a", Some(Editor));
        check(&[(None, Viewer)], "viewer", "*", Some(Viewer));
    }
}
