use std::fs;

use crate::{
    data::{USERS, world},
    gannet::World,
};

#[test]
fn a_plan_changes_nothing_and_tells_by_its_exit_code() {
    let world = World::new();
    world.write("definitions/users.toml", USERS);
    let plan = world.run(&["plan", "definitions", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{plan:?}");
    assert!(plan.out.contains("profile"), "{plan:?}");
    assert!(!world.path("store").exists());
    world.succeed(&["plan", "definitions"]);

    world.succeed(&["apply", "definitions"]);
    assert!(world.succeed(&["plan", "definitions", "--detailed-exitcode"]).contains("No changes"));
}

#[test]
fn applying_twice_makes_one_version() {
    let world = World::new();
    world.write("definitions/users.toml", USERS);
    assert!(world.succeed(&["apply", "definitions"]).contains("version 1 is live"));
    let live = world.current();
    assert!(world.succeed(&["apply", "definitions"]).contains("Nothing to change"));
    assert_eq!(world.current(), live);
    assert_eq!(world.succeed(&["inspect", "definitions"]).lines().count(), 1);
    assert!(world.succeed(&["inspect", "definitions", "1"]).contains("[feature_views.profile]"));
}

#[test]
fn every_error_is_told_and_nothing_changes() {
    let world = world();
    let live = world.current();
    world.write("definitions/users.toml", USERS.replace("int64", "integer").replace("[\"profile\"]", "[\"profil\"]"));
    let run = world.run(&["apply", "definitions"]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("integer") && run.err.contains("profil"), "{run:?}");
    assert!(run.err.lines().last().unwrap().contains("2 errors"), "{run:?}");
    assert_eq!(world.current(), live);
}

#[test]
fn a_removed_view_takes_its_table_along() {
    let world = world();
    assert!(world.succeed(&["inspect"]).contains("prod/profile"));
    world.write(
        "definitions/users.toml",
        "workspace = \"prod\"\n[entities.user]\njoin_keys = { user_id = \"string\" }\n",
    );
    world.succeed(&["apply", "definitions"]);
    assert!(!world.succeed(&["inspect"]).contains("prod/profile"));
    world.succeed(&["verify", "--all"]);
}

#[test]
fn definitions_and_the_data_they_need_become_live_together() {
    let world = world();
    world.write("definitions/users.toml", USERS.replace("age = \"int64\"", "age = \"float64\""));
    let planned = world.succeed(&["plan", "definitions"]);
    let gap = "Not served from apply until materialized: feature view prod/profile, feature service prod/model.";
    assert!(planned.contains(gap), "{planned}");
    let applied = world.succeed(&["apply", "definitions", "--materialize"]);
    assert!(applied.contains("version 2 is live in generation 3"), "{applied}");
    assert_eq!(world.row("profile", "a")["features"]["age"], 2.0);
}

#[test]
fn an_empty_folder_is_refused() {
    let world = World::new();
    world.fail(&["plan", "definitions"], "no *.toml");
    fs::remove_dir(world.path("definitions")).unwrap();
    world.fail(&["plan", "definitions"], "cannot list");
}
