use crate::data::{USERS, applied, world};

const BAD: &str = "\
user_id,at,age,score
good,2024-01-01,1,1
,2024-01-01,1,1
no-time,,1,1
word,2024-01-01,many,1
large,2024-01-01,9223372036854775808,1
short,2024-01-01
";

#[test]
fn bad_rows_are_counted_by_reason_shown_and_skipped() {
    let world = applied(USERS);
    let run = world.write("data/users.csv", BAD).run(&["materialize"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.contains("6 read, 1 kept"), "{run:?}");
    for reason in
        ["5 bad", "1 missing join key", "1 missing event time", "1 wrong value", "1 out of range", "1 malformed line"]
    {
        assert!(run.out.contains(reason), "{reason}: {run:?}");
    }
    assert!(
        run.err.contains("users.csv, line 5: wrong value: column `age`: expected an integer, found `many`"),
        "{run:?}"
    );
    assert_eq!(world.row("profile", "good")["features"]["age"], "1");
}

#[test]
fn strict_fails_and_publishes_nothing() {
    let world = world();
    let live = world.current();
    world.write("data/users.csv", BAD);
    world.fail(&["materialize", "--strict"], "5 rows are bad");
    assert_eq!(world.current(), live);
    assert_eq!(world.row("profile", "a")["features"]["age"], "2");
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let world = world();
    let live = world.current();
    let line = "a,2024-01-01,1,1\n";
    world.write("data/users.csv", format!("user_id,at,age,score\n{line}\"b,{}", line.repeat(2_000_000)));
    world.fail(&["materialize"], "users.csv: a record has more than 16777216 bytes; is there a quote");
    assert_eq!(world.current(), live);
}

#[test]
fn a_long_key_and_lines_that_are_no_objects_are_bad_rows() {
    let world = applied(&USERS.replace("csv = \"../data/users.csv\"", "ndjson = \"../data/users.ndjson\""));
    let long = "k".repeat(2000);
    world.write(
        "data/users.ndjson",
        format!(
            "{{\"user_id\":\"{long}\",\"at\":\"2024-01-01\"}}\n[1]\n{{\"user_id\":\"a\",\"at\":\"2024-01-01\"}} x\nnot json\n\
             {{\"user_id\":\"ok\",\"at\":\"2024-01-01\"}}\n"
        ),
    );
    let out = world.succeed(&["materialize"]);
    assert!(
        out.contains("5 read, 1 kept") && out.contains("1 key too long") && out.contains("3 malformed line"),
        "{out}"
    );
}

#[test]
fn lines_that_end_in_cr_lf_are_counted_and_read_like_any_others() {
    let world = applied(USERS);
    let run = world.write("data/users.csv", BAD.replace('\n', "\r\n")).run(&["materialize"]);
    assert!(run.out.contains("6 read, 1 kept"), "{run:?}");
    assert!(run.err.contains("users.csv, line 5: wrong value: column `age`"), "{run:?}");
    assert_eq!(world.row("profile", "good")["features"]["score"].to_string(), "1.0");
}

#[test]
fn a_source_without_one_usable_row_replaces_nothing() {
    let world = world();
    let live = world.current();
    world.write("data/users.csv", "user_id,at,age,score\n,,,\n");
    world.fail(&["materialize"], "none of its rows can be taken; nothing was published");
    assert_eq!(world.current(), live);
}
