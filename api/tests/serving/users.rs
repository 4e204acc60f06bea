//! The usual world: views of one entity, a row of the user `u` in each, and a turn with one request.

use gannet_engine::{
    Finished, Service,
    http::{Head, Request},
};
use gannet_store::Value;

use crate::fixture::{Rows, World, text};

/// A workspace with these views, each a name and its features, and with these services.
pub(crate) fn definitions(views: &[(&str, &str)], services: &str) -> String {
    let mut definitions = "workspace = \"prod\"\n[entities.user]\njoin_keys = { user_id = \"string\" }\n".to_owned();
    for (view, features) in views {
        definitions += &format!(
            "[feature_views.{view}]\nentity = \"user\"\ntimestamp = \"t\"\nsource = {{ parquet = \"x.parquet\" }}\n\
             features = {{ {features} }}\n"
        );
    }
    definitions + services
}

/// The row of `u`, from the beginning of time.
pub(crate) fn row(values: Vec<Value>) -> Rows {
    vec![(vec![text("u")], 0, values)]
}

/// What became of one request, alone in its turn and seen when that began, and what its sender was told.
pub(crate) fn turn(world: &mut World, head: Head<'_>, body: &str) -> (Finished, String) {
    let (mut body, mut out) = (body.as_bytes().to_vec(), Vec::new());
    world.core.turn(world.now);
    let request = Request { head, body: &mut body, seen_ns: world.now.monotonic_ns, asked: false };
    let ticket = world.core.begin(world.now, request);
    world.core.gather(world.now);
    let finished = world.core.finish(world.now, ticket, &mut out);
    world.core.turned(world.now);
    (finished, String::from_utf8(out).unwrap())
}
