//! Pictures that agents show: in messages, in events, and in handovers.

use serde_json::{Value, json};

use crate::handoff::pair;
use crate::harness::{model, parts_of, text_of};

const SHOWN: &str = "data:image/png;base64,iVBORw0KGgo";

/// A part is what OpenCode calls a file part, with the picture's bytes.
fn check(file: &Value, message: &Value) {
    let keys: Vec<&String> = file.as_object().expect("an object").keys().collect();
    let known = [
        "id",
        "sessionID",
        "messageID",
        "type",
        "mime",
        "filename",
        "url",
    ];
    assert!(
        keys.iter().all(|key| known.contains(&key.as_str())),
        "{keys:?}"
    );
    assert!(file["id"].as_str().unwrap().starts_with("prt"), "{file}");
    assert_eq!(
        (&file["type"], &file["mime"]),
        (&json!("file"), &json!("image/png"))
    );
    assert_eq!(file["messageID"], message["info"]["id"]);
    assert!(file["url"].as_str().unwrap().starts_with(SHOWN), "{file}");
}

#[tokio::test]
async fn pictures_of_an_answer_and_of_a_tool_are_shown_and_handed_over() {
    for takes in [true, false] {
        let without: &[&str] = if takes { &[] } else { &["--without", "images"] };
        let arguments = [&["--models", "x"], without].concat();
        let server = pair(&arguments, "").await;
        let session = server.create().await;
        let mut events = server.events().await;
        let answer = server
            .prompt(&session, "image", model("mock", "mock"))
            .await;
        assert_eq!(text_of(&answer), "This is it: a dot.");
        let files = parts_of(&answer, "file");
        assert_eq!(files.len(), 1, "{answer}");
        check(files[0], &answer);
        let call = parts_of(&answer, "tool")[0];
        assert_eq!(call["state"]["output"], "a dot", "{call}");
        let attachments = call["state"]["attachments"]
            .as_array()
            .expect("attachments");
        assert_eq!(attachments.len(), 1);
        check(&attachments[0], &answer);
        let told = events
            .until("message.part.updated", |p| p["part"]["type"] == "file")
            .await;
        assert_eq!(&told.properties["part"], files[0]);
        assert_eq!(server.messages(&session).await[1]["parts"], answer["parts"]);

        server.select(&session, "second", "x").await;
        let history = server.say(&session, "history").await;
        assert_eq!(
            history.matches("[image image/png]").count(),
            if takes { 2 } else { 0 },
            "{history}"
        );
        assert!(
            history.contains("image.png") && history.contains("image/png"),
            "{history}"
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn a_picture_that_is_too_large_is_told() {
    let server = pair(&["--models", "x"], "[limits]\nmedia_bytes = 10\n").await;
    let session = server.create().await;
    let answer = server
        .prompt(&session, "image", model("mock", "mock"))
        .await;
    assert!(parts_of(&answer, "file").is_empty(), "{answer}");
    let text = text_of(&answer);
    assert!(
        text.contains("70 bytes") && text.contains("limits.media_bytes"),
        "{text}"
    );
    let call = parts_of(&answer, "tool")[0];
    assert!(call["state"].get("attachments").is_none(), "{call}");
    let output = call["state"]["output"].as_str().unwrap();
    assert!(output.contains("limits.media_bytes"), "{output}");
    server.stop().await;
}
