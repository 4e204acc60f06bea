use super::super::load::{Load, Turns};

const MS: f64 = 1e6;

fn turn(admitted: u32) -> Turns {
    Turns { number: 1, offered: [0, admitted, 0], admitted: [0, admitted, 0], ..Turns::default() }
}

/// A stretch in which nobody else had the core.
fn add(load: &mut Load, wall_ns: f64, ran_ns: f64, turns: &Turns) {
    load.add(wall_ns, ran_ns, ran_ns, turns);
}

/// Turns of a few answers and turns of many, 5 us each and 9 us a turn.
#[test]
fn what_an_answer_costs_and_what_a_turn_are_told_apart() {
    let mut load = Load::new(10.0 * MS);
    for n in 0..3000 {
        let answers = if n % 2 == 0 { 2 } else { 18 };
        add(&mut load, 0.1 * MS, 9000.0 + f64::from(answers) * 5000.0, &turn(answers)); // 0.3 s, six tenths of which are busy
    }
    assert!((4700.0..5300.0).contains(&load.answer_ns), "{}", load.answer_ns);
    assert!((8000.0..9500.0).contains(&load.turn_ns), "{}", load.turn_ns);
    assert!((0.57..0.61).contains(&load.busy), "{}", load.busy);
    assert!((load.admitted[1] - 0.5).abs() < 0.03, "{load:?}");
}

/// A core that gets every other millisecond has half of itself to give, and answers are as dear as ever.
#[test]
fn a_core_that_others_use_half_of_the_time_is_half_a_core() {
    let mut load = Load::new(10.0 * MS);
    let turns = Turns { number: 8, offered: [0, 120, 0], admitted: [0, 120, 0], ..Turns::default() };
    for _ in 0..50 {
        load.add(2.0 * MS, 2.0 * MS, 120.0 * load.answer_ns + 8.0 * load.turn_ns, &turns);
    }
    let (answer_ns, ran) = (load.answer_ns, 120.0 * load.answer_ns + 8.0 * load.turn_ns);
    assert!((7900.0..8100.0).contains(&answer_ns), "{answer_ns}");
    assert!((load.busy - 1.0).abs() < 0.01 && (load.had() - ran / (2.0 * MS)).abs() < 0.01, "{load:?}");
}

#[test]
fn a_second_turn_of_many_dear_requests_is_believed() {
    let mut load = Load::new(10.0 * MS);
    let busy_ns = 100.0 * 300_000.0;
    add(&mut load, busy_ns, busy_ns, &turn(100));
    add(&mut load, busy_ns, busy_ns, &turn(100));
    assert!(load.answer_ns > 60_000.0, "{}", load.answer_ns);
    add(&mut load, busy_ns, busy_ns, &turn(100));
    assert!(load.answer_ns > 200_000.0, "{}", load.answer_ns);
}

/// 20 ms in which the machine stood still while 200 requests were in progress, now and then.
#[test]
fn a_machine_that_stands_still_does_not_make_answers_dear() {
    let mut load = Load::new(10.0 * MS);
    for _ in 0..10 {
        for _ in 0..50 {
            add(&mut load, MS, 100.0 * 8000.0, &turn(100));
        }
        add(&mut load, 20.0 * MS, 20.0 * MS, &turn(200));
        assert!(load.answer_ns < 11_000.0, "{}", load.answer_ns);
        for _ in 0..25 {
            add(&mut load, MS, 100.0 * 8000.0, &turn(100));
        }
        assert!(load.answer_ns < 8_400.0, "{}", load.answer_ns);
    }
}

#[test]
fn an_interruption_of_a_short_turn_is_not() {
    let mut load = Load::new(10.0 * MS);
    add(&mut load, 4.0 * MS, 4.0 * MS, &turn(2));
    assert!(load.answer_ns < 12_000.0, "{}", load.answer_ns);
}

#[test]
fn refusals_do_not_change_what_an_answer_is_thought_to_cost() {
    let mut load = Load::new(10.0 * MS);
    let (answer_ns, refusal_ns) = (load.answer_ns, load.refusal_ns);
    for _ in 0..1000 {
        let busy_ns = 8.0 * answer_ns + 2.0 * refusal_ns + load.turn_ns;
        add(&mut load, busy_ns, busy_ns, &Turns { refused: 2.0, ..turn(8) });
    }
    assert!((load.answer_ns / answer_ns - 1.0).abs() < 0.01, "{}", load.answer_ns);
    assert!((0.14..0.16).contains(&load.refused), "{}", load.refused);
}

#[test]
fn an_idle_stretch_of_any_length_ends_all_load() {
    let mut load = Load::new(10.0 * MS);
    add(&mut load, 100.0 * MS, 100.0 * MS, &turn(10));
    add(&mut load, 1e15, 0.0, &Turns::default());
    assert!(load.busy < 1e-6 && load.busy_1s < 1e-5 && load.admitted[1] < 1e-6, "{load:?}");
}
