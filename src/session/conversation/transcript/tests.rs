use super::*;
use crate::opencode::message::FilePart;
use crate::opencode::{MessageId, PartId, SessionId};

fn file(mime: &str, url: &str) -> Part {
    Part::File(FilePart {
        id: PartId::new(),
        session_id: SessionId::new(),
        message_id: MessageId::new(),
        mime: mime.into(),
        filename: Some("f".into()),
        url: url.into(),
        source: None,
    })
}

#[test]
fn files_of_a_prompt_become_what_every_agent_understands() {
    let parts = [
        file("image/png", "data:image/png;base64,AAAA"),
        file("text/plain", "data:text/plain;base64,aGVsbG8="),
        file("text/plain", "data:text/plain,a%20b"),
        file("text/plain", "file:///project/a.txt"),
        file("application/zip", "data:application/zip;base64,/w=="),
    ];
    let with = prompt_blocks(&parts, Some("be brief"), true);
    assert_eq!(
        with[0],
        json!({"type": "image", "mimeType": "image/png", "data": "AAAA"})
    );
    assert!(
        with[1]["text"]
            .as_str()
            .is_some_and(|t| t.ends_with("\nhello"))
    );
    assert!(
        with[2]["text"]
            .as_str()
            .is_some_and(|t| t.ends_with("\na b"))
    );
    assert_eq!(with[3]["type"], "resource_link");
    assert!(
        with[4]["text"]
            .as_str()
            .is_some_and(|t| t.contains("not text"))
    );
    assert!(
        with[5]["text"]
            .as_str()
            .is_some_and(|t| t.contains("be brief"))
    );
    assert_eq!(prompt_blocks(&parts, None, false)[0]["type"], "text");
}

/// A prompt with these parts.
pub(super) fn prompt_with(parts: Vec<Part>) -> MessageWithParts {
    MessageWithParts {
        info: Message::User(crate::opencode::UserMessage {
            id: MessageId::new(),
            session_id: SessionId::new(),
            time: crate::opencode::message::UserTime { created: 0 },
            summary: None,
            agent: "build".into(),
            model: crate::opencode::session::MessageModel {
                provider_id: "p".into(),
                model_id: "m".into(),
                variant: None,
            },
            system: None,
            format: None,
            overrides: None,
            pinned_over: None,
            handoff: None,
        }),
        parts,
    }
}

#[test]
fn a_picture_travels_only_to_an_agent_that_takes_it() {
    let message = prompt_with(vec![file("image/png", "data:image/png;base64,AAAA")]);
    let mut stored = [Stored {
        turn: 1,
        seq: 1,
        message: Box::new(message),
    }];
    let budget = handoff::Budget::default();
    let with = hand_over(&mut stored, handoff::Kind::Transcript, &budget, true);
    assert_eq!((with.blocks.len(), with.elided), (2, 0));
    let without = hand_over(&mut stored, handoff::Kind::Transcript, &budget, false);
    assert_eq!((without.blocks.len(), without.elided), (1, 1));
}

/// What a message of a conversation may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prompt,
    Answer,
    Wish,
    Summary,
    FailedSummary,
    OpenSummary,
}

fn stored(at: u64, kind: Kind) -> Stored {
    use crate::opencode::message::{AssistantMessage, AssistantTime, CompactionPart, MessagePath};
    let (id, session_id) = (MessageId::new(), SessionId::new());
    let wish = Part::Compaction(CompactionPart {
        id: PartId::new(),
        session_id: session_id.clone(),
        message_id: id.clone(),
        auto: false,
    });
    let info = match kind {
        Kind::Prompt | Kind::Wish => Message::User(crate::opencode::UserMessage {
            id: id.clone(),
            session_id,
            time: crate::opencode::message::UserTime { created: 0 },
            agent: "build".into(),
            model: crate::opencode::session::MessageModel {
                provider_id: "p".into(),
                model_id: "m".into(),
                variant: None,
            },
            system: None,
            format: None,
            summary: None,
            overrides: None,
            pinned_over: None,
            handoff: None,
        }),
        _ => Message::Assistant(AssistantMessage {
            id: id.clone(),
            session_id,
            time: AssistantTime {
                created: 0,
                completed: (kind != Kind::OpenSummary).then_some(1),
            },
            error: (kind == Kind::FailedSummary).then(|| MessageError::UnknownError {
                message: "no".into(),
            }),
            parent_id: id.clone(),
            model_id: "m".into(),
            provider_id: "p".into(),
            mode: "build".into(),
            agent: "build".into(),
            path: MessagePath {
                cwd: "/".into(),
                root: "/".into(),
            },
            summary: (kind != Kind::Answer).then_some(true),
            cost: 0.0,
            tokens: crate::opencode::session::Tokens::default(),
            variant: None,
            structured: None,
            finish: None,
            overrides: None,
            pinned_over: None,
            revision: None,
        }),
    };
    let parts = if kind == Kind::Wish {
        vec![wish]
    } else {
        Vec::new()
    };
    Stored {
        turn: at,
        seq: at,
        message: Box::new(MessageWithParts { info, parts }),
    }
}

fn kept(kinds: &[Kind]) -> Vec<Kind> {
    let messages = (0..).zip(kinds).map(|(at, kind)| stored(at, *kind));
    let kept = since_summary(messages.collect());
    kept.iter().map(|m| kinds[m.seq as usize]).collect()
}

#[test]
fn a_conversation_goes_on_from_its_last_whole_summary() {
    use Kind::{Answer, FailedSummary, OpenSummary, Prompt, Summary, Wish};
    for (conversation, expected) in [
        (&[Prompt, Answer][..], &[Prompt, Answer][..]),
        (&[Prompt, Answer, Wish, Summary], &[Summary]),
        (
            &[Prompt, Answer, Wish, Summary, Prompt, Answer],
            &[Summary, Prompt, Answer],
        ),
        (
            &[Prompt, Wish, Summary, Prompt, Wish, Summary, Prompt],
            &[Summary, Prompt],
        ),
        (
            &[Prompt, Answer, Wish, FailedSummary, Prompt],
            &[Prompt, Answer, Prompt],
        ),
        (
            &[Prompt, Wish, Summary, Wish, OpenSummary, Prompt],
            &[Summary, Prompt],
        ),
        (&[Wish], &[]),
    ] {
        assert_eq!(kept(conversation), expected, "{conversation:?}");
    }
}
