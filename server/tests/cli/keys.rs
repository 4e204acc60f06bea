use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::data::world;

#[test]
fn a_key_is_shown_once_listed_by_id_and_revoked() {
    let world = world();
    let created = world.run(&["keys", "create", "--description", "ci job"]);
    let key = created.out.trim();
    assert!(key.starts_with("gannet_live_"), "{created:?}");
    let id = key.split('_').nth(2).unwrap();
    let secret = key.split('_').nth(3).unwrap();

    let list = world.succeed(&["keys", "list"]);
    assert!(list.contains(id) && list.contains("ci job") && list.contains("active"), "{list}");
    assert!(list.contains("EXPIRES") && list.contains("never"), "{list}");
    let file = fs::read_to_string(world.path("store/keys")).unwrap();
    assert!(!list.contains(secret) && !file.contains(secret));
    assert_eq!(fs::metadata(world.path("store/keys")).unwrap().permissions().mode() & 0o777, 0o600);

    assert!(world.succeed(&["keys", "revoke", id]).contains("Revoked"));
    assert!(world.succeed(&["keys", "list"]).contains("revoked"));
    assert!(world.succeed(&["keys", "revoke", id]).contains("Already revoked"));
    world.fail(&["keys", "revoke", "nobody"], "no key with the id `nobody`");
}

#[test]
fn a_key_has_the_budget_it_was_made_with() {
    let world = world();
    world.succeed(&["keys", "create", "--description", "a", "--latency-budget", "0.5ms"]);
    world.succeed(&["keys", "create", "--description", "b", "--latency-budget", "20ms", "--budget-cap"]);
    world.succeed(&["keys", "create", "--description", "c"]);
    let list = world.succeed(&["keys", "list"]);
    let budget = |name: &str| {
        let line = list.lines().find(|line| line.ends_with(name)).unwrap();
        line.split("never").nth(1).unwrap().split("as said").next().unwrap().trim().to_owned()
    };
    assert_eq!(
        (budget(" a"), budget(" b"), budget(" c")),
        ("0.5ms".into(), "20ms cap".into(), "none".into()),
        "{list}"
    );
    for refused in ["0.05ms", "61s", "20", "soon"] {
        let run = world.run(&["keys", "create", "--latency-budget", refused]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.err.contains("a latency budget from \"0.1ms\" to \"60s\""), "{run:?}");
    }
    assert_eq!(world.run(&["keys", "create", "--budget-cap"]).code, Some(2), "a cap of nothing");
}

#[test]
fn a_key_has_the_criticality_and_the_limit_it_was_made_with() {
    let world = world();
    world.succeed(&["keys", "create", "--description", "a", "--criticality", "sheddable", "--concurrency-max", "16"]);
    world.succeed(&["keys", "create", "--description", "b", "--criticality", "Critical"]);
    world.succeed(&["keys", "create", "--description", "c"]);
    let list = world.succeed(&["keys", "list"]);
    let check = |name: &str, expected: &str| {
        let line = list.lines().find(|line| line.ends_with(name)).unwrap();
        let words: Vec<_> = line.split("none").nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words.join(" "), expected, "{list}");
    };
    check(" a", "sheddable 16 consumer a");
    check(" b", "critical any consumer b");
    check(" c", "as said any consumer c");
    let refused = world.run(&["keys", "create", "--criticality", "high"]);
    assert!(refused.code == Some(2) && refused.err.contains("expected critical, default or sheddable"), "{refused:?}");
    assert_eq!(world.run(&["keys", "create", "--concurrency-max", "0"]).code, Some(2));
}

#[test]
fn keys_made_at_the_same_time_are_all_kept() {
    let world = world();
    let children: Vec<_> = (0..8).map(|_| world.command(&["keys", "create"]).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(world.succeed(&["keys", "list"]).matches("active").count(), 8);
}

#[test]
fn a_key_has_the_roles_it_was_made_with() {
    let world = world();
    let create = |name: &str, roles: &[&str]| {
        let mut args = vec!["keys", "create", "--description", name];
        roles.iter().for_each(|role| args.extend(["--role", role]));
        world.succeed(&args)
    };
    create("a", &[]);
    create("b", &["editor"]);
    create("c", &["viewer", "prod=editor", "prod=viewer"]);
    let list = world.succeed(&["keys", "list"]);
    let roles = |name: &str| {
        let line = list.lines().find(|line| line.ends_with(name)).unwrap();
        line.split_whitespace().rev().nth(1).unwrap().to_owned()
    };
    assert_eq!((roles(" a").as_str(), roles(" b").as_str()), ("consumer", "editor"), "{list}");
    assert_eq!(roles(" c"), "viewer,prod=editor", "{list}");
    for refused in ["owner", "prod=", "=editor", "prod=editor=x", "Editor"] {
        let run = world.run(&["keys", "create", "--role", refused]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.err.contains("expected viewer, consumer, editor or admin"), "{run:?}");
    }
}
