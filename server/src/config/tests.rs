use super::*;
use crate::{scratch::Scratch, serving::IngestSettings};

const EXAMPLE: &str = include_str!("../../../docs/operating/gannet.toml");

#[test]
fn the_documented_example_parses_and_is_all_defaults() {
    let config = Config::parse(EXAMPLE).unwrap();
    assert_eq!(config.limits.apply().unwrap(), Limits::default());
    assert_eq!(config.admission.apply().unwrap(), AdmissionConfig::default());
    assert_eq!(config.memory.settings(), MemorySettings::default());
    assert_eq!(config.ingest.settings(), IngestSettings::default());
    assert!(config.metadata_options().unwrap().is_empty());
}

#[test]
fn the_documented_example_shows_every_setting() {
    // Commented-out settings count: they are shown, with no default worth fixing.
    let shown =
        |name: &str| EXAMPLE.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{name} =")));
    let debug = format!("{:?}", Config::default());
    let mut words = debug.split(['{', ',', ' ']).filter_map(|word| word.strip_suffix(':'));
    assert_eq!(
        words.find(
            |name| !shown(name) && !["limits", "admission", "memory", "ingest", "simulate_slow_ms"].contains(name)
        ),
        None
    );
}

#[test]
fn the_documented_example_names_every_metadata_option() {
    let words: Vec<_> = EXAMPLE.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    for (name, _) in MetadataOptions::ALL {
        assert!(words.contains(&name), "{name}");
    }
}

#[test]
fn unknown_settings_are_refused_with_their_line() {
    let error = Config::parse("listen = \"127.0.0.1:1\"\nlitsen = 1\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("litsen"), "{error}");
}

#[test]
fn values_out_of_range_are_refused_with_key_value_and_range() {
    let refused = |text: &str, expected: &str| {
        let error = Config::parse(text).unwrap().check(None).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    refused("connections_per_core = 0", "connections_per_core = 0 is out of range: 1 to 65536");
    refused("connections_per_core = 65537", "connections_per_core = 65537 is out of range: 1 to 65536");
    refused("spin_us = 1000001", "spin_us = 1000001 is out of range: 0 to 1000000");
    refused(
        "[simulate_slow_ms]\nplane_delays = 5",
        "simulate_slow_ms: \"plane_delays\" is no feature view; expected workspace/view, such as \"prod/plane_delays\"",
    );
    refused("[simulate_slow_ms]\n\"a/b\" = 0", "simulate_slow_ms: \"a/b\" = 0 is out of range: 1 to 60000");
    refused("drain_seconds_max = 3601", "drain_seconds_max = 3601 is out of range: 0 to 3600");
    let bounds = "connections_per_core = 65536\nspin_us = 1000000\ndrain_seconds_max = 0";
    Config::parse(bounds).unwrap().check(None).unwrap();
}

#[test]
fn what_cannot_be_used_is_refused_with_its_line() {
    let refused = |text: &str, line: usize, expected: &str| {
        let scratch = Scratch::new();
        let file = scratch.write("gannet.toml", text);
        let error = Config::read(&file, None).unwrap_err().to_string();
        assert_eq!(error, format!("{}, line {line}: {expected}", file.display()));
    };
    refused("# so long\n\nspin_us = 1000001\n", 3, "spin_us = 1000001 is out of range: 0 to 1000000");
    refused("server_timing = true\ncores = \"0-\"\n", 2, "cores: expected cores such as 0,2-3, found `0-`");
    let range = "is out of range: 16 to 1073741824";
    refused("[limits]\n[memory]\n\nbudget_mib = 1\n", 4, &format!("budget_mib = 1 {range}"));
    refused("[ingest]\noverlay_mib = 7\n", 2, "overlay_mib = 7 is out of range: 8 to 32768");
    let useless = "interval_ms is of no use without durability = \"interval\"";
    refused("[ingest]\ndurability = \"always\"\ninterval_ms = 5\n", 3, useless);
    refused("memory = { budget_mib = 1 }\n", 1, &format!("budget_mib = 1 {range}"));
    refused("spin_us = 0\nmemory.budget_mib = 1\n", 2, &format!("budget_mib = 1 {range}"));
    let slow = "simulate_slow_ms: \"a/b\" = 0 is out of range: 1 to 60000";
    refused("[simulate_slow_ms]\n\"a/a\" = 1\n\"a/b\" = 0\n", 3, slow);
    let body = "body_bytes_max is 1, but must be from 1024 to 67108864";
    refused("spin_us = 0\n[limits]\nbody_bytes_max = 1\n", 3, body);
    refused("[admission]\nturn_answers = 0\n", 2, "turn_answers is 0, but must be from 1 to 1024");
    // What has its default and no longer fits is not in the file; what it belongs to is.
    let left = "critical_leave_percent is 94, but must be from 1 to 89";
    refused("\n[admission]\ncritical_enter_percent = 90\ndefault_enter_percent = 80\n", 2, left);
}

#[test]
fn caches_that_leave_no_memory_for_tables_are_refused() {
    let check = |mib: u64, cores: &[usize]| {
        let text = format!("cores = \"0-7\"\n[memory]\nbudget_mib = 1024\nrow_cache_mib = {mib}\n");
        let named = (!cores.is_empty()).then_some(cores);
        Config::parse(&text).unwrap().check(named).map_err(|misfit| misfit.to_string())
    };
    let refused =
        |each: &str| Err(format!("row_cache_mib = {each} is more than budget_mib = 1024, of which it is a part"));
    assert_eq!(check(1025, &[0]), refused("1025"));
    assert_eq!(check(513, &[0, 1]), refused("513 for each of 2 cores"));
    assert_eq!(check(129, &[]), refused("129 for each of 8 cores"));
    assert_eq!(check(MIB_MAX, &[]), refused("1073741824 for each of 8 cores"));
    assert_eq!((check(1024, &[0]), check(512, &[0, 1]), check(128, &[])), (Ok(()), Ok(()), Ok(())));
    Config::parse("[memory]\nrow_cache_mib = 1073741824").unwrap().check(None).unwrap();
}

#[test]
fn slow_views_are_named_as_requests_name_them() {
    let config = Config::parse("[simulate_slow_ms]\n\"prod/planes\" = 5\n\"prod/planes:v2\" = 7").unwrap();
    let ms = |name: &str, ms| (name.to_owned(), Duration::from_millis(ms));
    assert_eq!(config.slow_tables(), BTreeMap::from([ms("prod/planes", 5), ms("prod/planes@v2", 7)]));
}

#[test]
fn metadata_options_go_by_their_names_on_the_wire() {
    let config = Config::parse("default_metadata_options = [\"includeNames\"]").unwrap();
    assert_eq!(config.metadata_options().unwrap(), MetadataOptions::NAMES);
    let config = Config::parse("default_metadata_options = [\"names\"]").unwrap();
    assert!(config.metadata_options().unwrap_err().to_string().contains("includeNames"));
}
