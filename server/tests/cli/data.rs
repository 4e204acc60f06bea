//! Definitions and source files that several tests use.

use crate::gannet::World;

pub(crate) const USERS: &str = r#"
workspace = "prod"
[entities.user]
join_keys = { user_id = "string" }
[feature_views.profile]
entity = "user"
timestamp = "at"
source = { csv = "../data/users.csv" }
features = { age = "int64", score = "float64" }
[feature_services.model]
features = ["profile"]
"#;

/// Three users; `a` is there twice.
pub(crate) const USERS_CSV: &str = "\
user_id,at,age,score
a,2024-01-01T00:00:00Z,1,0.5
b,2024-01-01 00:00:00,,NaN
a,2024-01-02,2,1.5
c,2024-01-01T02:00:00+02:00,3,
";

/// `USERS`, applied and materialized.
pub(crate) fn world() -> World {
    materialized(USERS, USERS_CSV)
}

/// These definitions, applied and materialized from `data/users.csv`.
pub(crate) fn materialized(definitions: &str, users: &str) -> World {
    let world = applied(definitions);
    world.write("data/users.csv", users).succeed(&["materialize"]);
    world
}

/// These definitions, applied.
pub(crate) fn applied(definitions: &str) -> World {
    let world = World::new();
    world.write("definitions/users.toml", definitions).succeed(&["apply", "definitions"]);
    world
}
