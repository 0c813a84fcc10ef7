use std::slice;

use serde_json::{Value, json};

use super::*;
use crate::opencode::v2::fixture::{answer, call, read, said, session, switch, user, written};

fn recorded(messages: &[(u64, Value)], switches: &[ModelSwitch], busy: bool) -> Recorded {
    Recorded {
        messages: messages
            .iter()
            .map(|(turn, m)| (*turn, read(m.clone())))
            .collect(),
        switches: switches.to_vec(),
        busy,
        partial: false,
    }
}

fn kinds(events: &[V2Event]) -> Vec<&str> {
    events
        .iter()
        .map(|e| e.r#type.trim_start_matches("session.next."))
        .collect()
}

fn numbers(events: &[V2Event]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|e| Some(e.durable.as_ref()?.seq))
        .collect()
}

fn announced() -> Value {
    json!({ "status": "pending", "input": {}, "raw": "" })
}

fn running() -> Value {
    json!({ "status": "running", "input": {}, "time": { "start": 1 } })
}

fn done() -> Value {
    json!({ "status": "completed", "input": {}, "output": "", "title": "", "metadata": {},
            "time": { "start": 1, "end": 2 } })
}

/// A conversation as it grows: each state is what is stored at a moment.
fn states() -> Vec<Recorded> {
    let one = user("u1", 10, &[said("u1", "one")]);
    let two = user("u2", 13, &[said("u2", "two")]);
    let switches = [
        switch(2, 10, None, ["m", "build"]),
        switch(3, 14, Some(["m", "build"]), ["n", "build"]),
    ];
    let texts = |end| written("a1", "t", "hello", end);
    let a1 = |parts: &[Value], end| answer("a1", "u1", 11, end, parts);
    let a2 = |end| answer("a2", "u2", 31, end, &[]);
    let first = &switches[..1];
    let called = |c, d| [texts(Some(12)), call("a1", "c", c), call("a1", "d", d)];
    let alone = (1, one);
    // The second prompt has come during the answer to the first.
    let both = |a1| vec![alone.clone(), (2, two.clone()), (1, a1)];
    let answered = || both(a1(&called(done(), done()), Some(30)));
    let then = |a2| [answered(), vec![(2, a2)]].concat();
    vec![
        recorded(slice::from_ref(&alone), first, true),
        recorded(&[alone.clone(), (1, a1(&[texts(None)], None))], first, true),
        recorded(&both(a1(&[texts(None)], None)), first, true),
        recorded(
            &both(a1(&[texts(Some(12)), call("a1", "c", announced())], None)),
            first,
            true,
        ),
        recorded(&both(a1(&called(running(), done()), None)), &switches, true),
        recorded(&answered(), &switches, true),
        recorded(&then(a2(None)), &switches, true),
        recorded(&then(a2(Some(40))), &switches, false),
    ]
}

fn in_order(mut recorded: Recorded) -> Recorded {
    recorded.messages.sort_by_key(|(turn, _)| *turn);
    recorded
}

#[test]
fn a_log_only_ever_grows_at_its_end() {
    let mut before: Vec<V2Event> = Vec::new();
    for state in states() {
        let events = events(&session(), &in_order(state));
        assert!(
            numbers(&events).is_sorted_by(|a, b| a < b),
            "{:?}",
            numbers(&events)
        );
        assert_eq!(
            events[..before.len()],
            before,
            "what was told stays as it was"
        );
        before = events;
    }
    let expected = [
        "model.switched",
        "agent.switched",
        "prompt.admitted",
        "prompted",
        "step.started",
        "text.started",
        "text.ended",
        "tool.input.started",
        "tool.input.ended",
        "tool.called",
        "tool.success",
        "tool.input.started",
        "tool.input.ended",
        "tool.called",
        "tool.success",
        "step.ended",
        "prompt.admitted",
        "prompted",
        "step.started",
        "step.ended",
        "model.switched",
    ];
    assert_eq!(kinds(&before), expected);
}

#[test]
fn a_log_that_is_read_from_the_middle_has_the_same_numbers() {
    let whole = in_order(states().pop().expect("a state"));
    let all = events(&session(), &whole);
    let mut part = whole.clone();
    part.messages.retain(|(turn, _)| *turn >= 2);
    part.partial = true;
    let tail = events(&session(), &part);
    assert!(
        !tail.is_empty() && all.ends_with(&tail),
        "{:?}\n{:?}",
        kinds(&all),
        kinds(&tail)
    );
    assert_eq!(turn_of(numbers(&tail)[0]), 2);
    assert_eq!(numbers(&tail)[0], admitted_seq(2));
}

#[test]
fn numbers_are_exact_in_javascript() {
    let messages = [(1 << 28, user("u", 10, &[said("u", "x")]))];
    let events = events(&session(), &recorded(&messages, &[], false));
    assert!(numbers(&events).iter().all(|seq| *seq < 1 << 53));
}
