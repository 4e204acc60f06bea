use super::super::load::{Load, Turns};

const MS: f64 = 1e6;

fn turn(admitted: u32) -> Turns {
    Turns { offered: [0, admitted, 0], admitted: [0, admitted, 0], ..Turns::default() }
}

#[test]
fn the_cost_of_an_answer_is_learnt_within_a_few_windows() {
    let mut load = Load::new(10.0 * MS);
    for _ in 0..500 {
        load.add(0.1 * MS, 10.0 * 5000.0, &turn(10)); // 50 ms of turns that are half busy
    }
    assert!((4900.0..5200.0).contains(&load.answer_ns), "{}", load.answer_ns);
    assert!((0.49..0.51).contains(&load.busy), "{}", load.busy);
    assert!((load.admitted[1] - load.busy).abs() < 0.02, "{load:?}");
}

#[test]
fn a_second_turn_of_many_dear_requests_is_believed() {
    let mut load = Load::new(10.0 * MS);
    let busy_ns = 100.0 * 300_000.0;
    load.add(busy_ns, busy_ns, &turn(100));
    load.add(busy_ns, busy_ns, &turn(100));
    assert!(load.answer_ns > 60_000.0, "{}", load.answer_ns);
    load.add(busy_ns, busy_ns, &turn(100));
    assert!(load.answer_ns > 200_000.0, "{}", load.answer_ns);
}

/// 20 ms in which the machine stood still while 200 requests were in progress, now and then.
#[test]
fn a_machine_that_stands_still_does_not_make_answers_dear() {
    let mut load = Load::new(10.0 * MS);
    for _ in 0..10 {
        for _ in 0..50 {
            load.add(MS, 100.0 * 8000.0, &turn(100));
        }
        load.add(20.0 * MS, 20.0 * MS, &turn(200));
        assert!(load.answer_ns < 11_000.0, "{}", load.answer_ns);
        for _ in 0..25 {
            load.add(MS, 100.0 * 8000.0, &turn(100));
        }
        assert!(load.answer_ns < 8_400.0, "{}", load.answer_ns);
    }
}

#[test]
fn an_interruption_of_a_short_turn_is_not() {
    let mut load = Load::new(10.0 * MS);
    load.add(4.0 * MS, 4.0 * MS, &turn(2));
    assert!(load.answer_ns < 12_000.0, "{}", load.answer_ns);
}

#[test]
fn refusals_do_not_change_what_an_answer_is_thought_to_cost() {
    let mut load = Load::new(10.0 * MS);
    let (answer_ns, refusal_ns) = (load.answer_ns, load.refusal_ns);
    for _ in 0..1000 {
        let busy_ns = 8.0 * answer_ns + 2.0 * refusal_ns;
        load.add(busy_ns, busy_ns, &Turns { refused: 2.0, ..turn(8) });
    }
    assert!((load.answer_ns / answer_ns - 1.0).abs() < 0.01, "{}", load.answer_ns);
    assert!((0.14..0.16).contains(&load.refused), "{}", load.refused);
}

#[test]
fn an_idle_stretch_of_any_length_ends_all_load() {
    let mut load = Load::new(10.0 * MS);
    load.add(100.0 * MS, 100.0 * MS, &turn(10));
    load.add(1e15, 0.0, &Turns::default());
    assert!(load.busy < 1e-6 && load.busy_1s < 1e-5 && load.admitted[1] < 1e-6, "{load:?}");
}
