use serde_json::json;

use super::*;

const PNG: &str = "iVBORw0KGgo=";

fn file(block: &Value) -> Media {
    match read(block, Room::default()) {
        Some(Content::File(media)) => media,
        other => panic!("{block}: {other:?}"),
    }
}

fn told(block: &Value, room: Room) -> String {
    match read(block, room) {
        Some(Content::Text(text)) => text,
        other => panic!("{block}: {other:?}"),
    }
}

#[test]
fn pictures_and_sounds_keep_their_bytes() {
    let image = file(&json!({"type": "image", "mimeType": "image/png", "data": PNG}));
    assert_eq!(
        (image.mime.as_str(), image.name.as_str(), image.bytes()),
        ("image/png", "image.png", 8)
    );
    let part = image.part(&SessionId::new(), &MessageId::new());
    assert_eq!(part.url, format!("data:image/png;base64,{PNG}"));
    assert_eq!(Media::of_part(&part), Some(image));
    let sound = file(&json!({"type": "audio", "mimeType": "audio/wav; x=y", "data": "AAAA"}));
    assert_eq!(
        (sound.mime.as_str(), sound.name.as_str()),
        ("audio/wav", "audio.wav")
    );
    let named = json!({"type": "image", "mimeType": "image/png", "data": PNG, "uri": "file:///a/b.png?x#y"});
    assert_eq!(file(&named).name, "b.png");
}

#[test]
fn what_is_written_otherwise_is_understood() {
    for data in [
        "iVBORw0KGgo".to_owned(),
        "iVBO\nRw0K\r\nGgo=\n".to_owned(),
        format!("data:image/png;base64,{PNG}"),
    ] {
        let image = file(&json!({"type": "image", "mimeType": "image/png", "data": data}));
        assert_eq!(image.data, PNG, "{data:?}");
    }
    // The bytes know better.
    for mime in ["image/jpeg", "png", "", "text/plain"] {
        let image = file(&json!({"type": "image", "mimeType": mime, "data": PNG}));
        assert_eq!(image.mime, "image/png", "{mime}");
    }
}

#[test]
fn what_cannot_be_kept_is_told() {
    let image = |mime: &str, data: Value| json!({"type": "image", "mimeType": mime, "data": data});
    let all = Room::default();
    for (block, why) in [
        (image("image/png", json!("")), "empty"),
        (image("image/png", json!(" \n")), "empty"),
        (image("image/png", json!("====")), "no base64"),
        (image("image/png", json!("ä!")), "no base64"),
        (image("image/png", json!(7)), "empty"),
        (image("text/plain", json!("AAAA")), "no media type"),
        (image("image/a b", json!("AAAA")), "no media type"),
        (json!({"type": "image", "data": "AAAA"}), "no media type"),
        (
            json!({"type": "audio", "mimeType": "image/png", "data": PNG}),
            "no media type",
        ),
        (
            json!({"type": "image", "uri": "https://a/b.png"}),
            "https://a/b.png",
        ),
    ] {
        let told = told(&block, all);
        assert!(
            told.contains("left out") && told.contains(why),
            "{block}: {told}"
        );
    }
    let large = image("image/png", json!(STANDARD.encode([0; 100])));
    let one = told(
        &large,
        Room {
            one: 99,
            all: 1_000,
        },
    );
    assert!(
        one.contains("100 bytes") && one.contains("limits.media_bytes"),
        "{one}"
    );
    let all = told(
        &large,
        Room {
            one: 1_000,
            all: 99,
        },
    );
    assert!(all.contains("limits.answer_media_bytes"), "{all}");
}

#[test]
fn resources_are_texts_files_or_addresses() {
    let all = Room::default();
    let text = json!({"type": "resource", "resource": {"uri": "file:///a", "text": "AMBER"}});
    assert_eq!(told(&text, all), "[resource file:///a]\nAMBER");
    let blob = json!({"type": "resource", "resource": {"uri": "file:///a/x.pdf", "mimeType": "application/pdf", "blob": "AAAA"}});
    let media = file(&blob);
    assert_eq!(
        (media.name.as_str(), media.mime.as_str()),
        ("x.pdf", "application/pdf")
    );
    let link = json!({"type": "resource_link", "name": "spec", "uri": "https://a/spec"});
    assert_eq!(told(&link, all), "[resource spec: https://a/spec]");
    for odd in [
        json!({"type": "resource"}),
        json!({"type": "future"}),
        json!({"type": "resource_link"}),
    ] {
        assert!(read(&odd, all).is_some(), "{odd}");
    }
    for none in [
        json!(null),
        json!({}),
        json!({"type": 5}),
        json!({"type": "text", "text": 7}),
    ] {
        assert_eq!(read(&none, all), None, "{none}");
    }
}
