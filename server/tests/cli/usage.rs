use crate::gannet::World;

#[test]
fn wrong_usage_exits_with_2() {
    let world = World::new();
    for arguments in [
        &["nonsense"][..],
        &["plan"],
        &["materialize", "--memory", "lots"],
        &["serve", "--cores", "3-1"],
        &["serve", "--listen", "nowhere"],
        &["quickstart", "--users", "0"],
        &["keys"],
        &["keys", "create", "--environment", "Not Good"],
        &["keys", "create", "--expires-in-days", "0"],
        &["completions", "tcsh"],
    ] {
        let run = world.run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {run:?}");
    }
}

#[test]
fn help_teaches_with_examples() {
    let world = World::new();
    for command in ["plan", "apply", "materialize", "serve", "inspect", "verify", "keys", "quickstart", "completions"] {
        assert!(world.succeed(&[command, "--help"]).contains("Examples:"), "{command}");
    }
}

#[test]
fn completions_and_version() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.succeed(&["completions", shell]).contains("materialize"), "{shell}");
    }
    let version = world.succeed(&["version"]);
    assert!(version.starts_with("gannet ") && version.contains("data format "), "{version}");
}

#[test]
fn a_missing_data_directory_says_what_to_do() {
    let world = World::new();
    for arguments in
        [&["inspect"][..], &["verify"], &["materialize"], &["serve"], &["keys", "list"], &["keys", "create"]]
    {
        world.fail(arguments, "gannet apply");
    }
    assert!(!world.path("store").exists());
}

#[test]
fn a_key_is_made_in_a_data_directory_or_in_a_folder_that_waits_to_be_one() {
    let world = World::new();
    world.fail(&["--data", "stroe", "keys", "create"], "there is no data directory at stroe");
    assert!(!world.path("stroe").exists());
    world.write("data/users.csv", "x");
    world.fail(&["--data", "data", "keys", "create"], "it holds users.csv and has no file VERSION");
    std::fs::create_dir(world.path("store")).unwrap();
    world.succeed(&["keys", "create", "--description", "early"]);
    assert!(world.succeed(&["keys", "list"]).contains("early"));
}

#[test]
fn an_unknown_setting_is_refused_with_its_line() {
    let world = World::new();
    world.write("gannet.toml", "listen = \"127.0.0.1:0\"\nlitsen = 1\n");
    let run = world.run(&["serve", "--config", "gannet.toml"]);
    assert_eq!(run.code, Some(1));
    assert!(run.err.contains("gannet.toml") && run.err.contains("line 2") && run.err.contains("litsen"), "{run:?}");
}
