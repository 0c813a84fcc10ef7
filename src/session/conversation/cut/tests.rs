use serde_json::{Value, json};

use super::*;

/// Messages as (turn, seq, role, parts); ids are `msg_SEQ` and `prt_SEQ_PLACE`.
fn conversation(messages: &[(u64, u64, &str, &[&str])]) -> Vec<Stored> {
    let stored = |(turn, seq, role, kinds): &(u64, u64, &str, &[&str])| {
        let id = format!("msg_{seq}");
        let ids = |place: usize| json!({"id": format!("prt_{seq}_{place}"), "sessionID": "ses_1", "messageID": id});
        let part = |(place, kind): (usize, &&str)| {
            let mut part = ids(place);
            let more = match *kind {
                "text" => json!({"type": "text", "text": "x"}),
                "start" => json!({"type": "step-start", "snapshot": format!("before{turn}")}),
                "finish" => {
                    json!({"type": "step-finish", "reason": "stop", "cost": 0, "snapshot": format!("after{turn}"),
                    "tokens": {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}})
                }
                "patch" => {
                    json!({"type": "patch", "hash": format!("before{turn}"), "files": [format!("/p/{turn}")]})
                }
                other => panic!("{other}"),
            };
            part.as_object_mut()
                .expect("object")
                .extend(more.as_object().expect("object").clone());
            part
        };
        let parts: Vec<Value> = kinds.iter().enumerate().map(part).collect();
        let info = match *role {
            "user" => {
                json!({"id": id, "sessionID": "ses_1", "role": "user", "time": {"created": 0}, "agent": "build",
                "model": {"providerID": "asked", "modelID": "m"}})
            }
            _ => {
                json!({"id": id, "sessionID": "ses_1", "role": "assistant", "time": {"created": 0, "completed": 1},
                "parentID": format!("msg_{turn}"), "modelID": "m", "providerID": "p", "mode": "build", "agent": "build",
                "path": {"cwd": "/p", "root": "/p"}, "cost": 0,
                "tokens": {"input": 0, "output": 0, "reasoning": 0, "cache": {"read": 0, "write": 0}}})
            }
        };
        let message =
            serde_json::from_value(json!({"info": info, "parts": parts})).expect("a message");
        Stored {
            turn: *turn,
            seq: *seq,
            message,
        }
    };
    messages.iter().map(stored).collect()
}

/// Two prompts that came in one after the other, before the first was answered; and a third.
fn queued() -> Vec<Stored> {
    let answer = &["start", "text", "text", "finish", "patch"][..];
    conversation(&[
        (1, 1, "user", &["text"]),
        (2, 2, "user", &["text"]),
        (1, 3, "assistant", answer),
        (2, 4, "assistant", answer),
        (5, 5, "user", &["text"]),
        (5, 6, "assistant", answer),
    ])
}

fn id(text: &str) -> MessageId {
    MessageId::parse(text).expect("an id")
}

fn part(text: &str) -> PartId {
    PartId::parse(text).expect("an id")
}

fn kept(messages: Vec<Stored>, plan: &Plan) -> Vec<(u64, usize)> {
    let kept = remaining(messages, Some(&plan.cut), Some(&plan.revert));
    kept.iter()
        .map(|m| (m.seq, m.message.parts.len()))
        .collect()
}

#[test]
fn a_prompt_goes_with_its_answer_and_all_that_follows() {
    let plan_of = |message| plan(queued(), &id(message), None).expect("a plan");
    let plan_2 = plan_of("msg_2");
    assert_eq!(plan_2.revert.message_id, id("msg_2"));
    // The answer to the first prompt came in later, and stays.
    assert_eq!(kept(queued(), &plan_2), [(1, 1), (3, 5)]);
    let trees: Vec<_> = plan_2.patches.iter().map(|p| p.tree.as_str()).collect();
    assert_eq!(trees, ["before2", "before5"]);
    let range = plan_2.range.clone().expect("snapshots");
    assert_eq!(
        (range.from.as_str(), range.to.as_str()),
        ("before2", "after5")
    );
    // An answer means its prompt, as OpenCode does it.
    assert_eq!(plan_of("msg_4"), plan_2);
    let all = plan_of("msg_1");
    assert_eq!(kept(queued(), &all), []);
    assert_eq!(all.patches.len(), 3);
}

#[test]
fn a_part_goes_with_what_is_behind_it() {
    let plan_of = |message, p| plan(queued(), &id(message), Some(&part(p))).expect("a plan");
    let second_text = plan_of("msg_4", "prt_4_2");
    assert_eq!(second_text.revert.part_id, Some(part("prt_4_2")));
    assert_eq!(
        kept(queued(), &second_text),
        [(1, 1), (2, 1), (3, 5), (4, 2)]
    );
    assert_eq!(second_text.patches.len(), 2);
    // Nothing was said before the first text: that is the whole turn.
    let first_text = plan_of("msg_4", "prt_4_1");
    assert_eq!(
        first_text,
        plan(queued(), &id("msg_2"), None).expect("a plan")
    );
}

#[test]
fn what_is_not_there_is_no_place_to_go_back_to() {
    assert_eq!(plan(queued(), &id("msg_9"), None), Err(Missing::Message));
    let elsewhere = part("prt_3_2");
    assert_eq!(
        plan(queued(), &id("msg_4"), Some(&elsewhere)),
        Err(Missing::Part)
    );
    assert_eq!(plan(Vec::new(), &id("msg_1"), None), Err(Missing::Message));
    // An answer whose prompt was deleted goes alone.
    let mut orphan = queued();
    orphan.remove(1);
    let plan = plan(orphan.clone(), &id("msg_4"), None).expect("a plan");
    assert_eq!(
        (plan.revert.message_id.clone(), plan.cut),
        (id("msg_4"), Cut { turn: 2, seq: 4 })
    );
    assert_eq!(kept(orphan, &plan), [(1, 1), (3, 5)]);
}

#[test]
fn backends_are_those_that_were_asked_or_have_answered() {
    let messages = queued();
    let names = backends(messages.iter().map(|m| &m.message.info));
    assert_eq!(names, BTreeSet::from(["asked", "p"]));
}
