//! What files say, one by one, before references between them are followed. `None` stands for a part that was wrong and
//! has been reported.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::{
    faults::{Place, Spanned},
    model::{Feature, JoinKey, Source},
};
use crate::budget::LatencyBudget;

/// One file.
#[derive(Debug)]
pub(super) struct FileDeclared {
    pub(super) workspace: Option<Spanned<String>>,
    pub(super) entities: Vec<EntityDeclared>,
    pub(super) views: Vec<ViewDeclared>,
    pub(super) services: Vec<ServiceDeclared>,
    /// False when parts of the file could not be read, so that what others refer to may be in them.
    pub(super) whole: bool,
}

/// What every kind has.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) name: Spanned<String>,
    pub(super) description: String,
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct EntityDeclared {
    pub(super) heading: Heading,
    pub(super) join_keys: Option<Vec<JoinKey>>,
}

#[derive(Debug)]
pub(super) struct ViewDeclared {
    pub(super) heading: Heading,
    pub(super) entities: Option<Vec<Spanned<String>>>,
    pub(super) timestamp: Option<Spanned<String>>,
    pub(super) source: Option<Source>,
    pub(super) ttl_us: Option<i64>,
    pub(super) first: bool,
    pub(super) features: Vec<Spanned<Feature>>,
    /// False when some feature was wrong and is not in `features`.
    pub(super) features_whole: bool,
}

#[derive(Debug)]
pub(super) struct ServiceDeclared {
    pub(super) heading: Heading,
    pub(super) selections: Option<Vec<SelectionDeclared>>,
    pub(super) latency_budget: Option<LatencyBudget>,
    pub(super) concurrency_max: Option<NonZeroU32>,
}

#[derive(Debug)]
pub(super) struct SelectionDeclared {
    pub(super) place: Place,
    pub(super) view: Spanned<String>,
    pub(super) namespace: Option<Spanned<String>>,
    /// `None` for all of them.
    pub(super) features: Option<Vec<Spanned<String>>>,
    pub(super) renames: Vec<Rename>,
}

/// Callers send `to` for the view's join key `from`.
#[derive(Debug)]
pub(super) struct Rename {
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
}
