use serde_json::json;

use super::*;

const ROOM: usize = 1000;

#[test]
fn updates_are_merged_and_the_first_title_names_the_tool() {
    let mut call = ToolCall::new(1);
    assert!(!call.merge(
        &json!({"title": "bash", "kind": "execute", "status": "pending", "rawInput": {}}),
        1,
        ROOM
    ));
    call.merge(
        &json!({"title": "ls -l", "status": "in_progress", "rawInput": {"command": "ls -l"}}),
        2,
        ROOM,
    );
    let content = json!([{"type": "content", "content": {"type": "text", "text": "a.txt\n"}}]);
    assert!(call.merge(&json!({"status": "completed", "content": content, "rawOutput": {"output": "x", "metadata": {"exit": 0}}}), 3, ROOM));
    assert!(
        !call.merge(&json!({"status": "completed"}), 4, ROOM),
        "it ends once"
    );
    assert_eq!(call.tool(), "bash");
    let ToolState::Completed {
        input,
        output,
        title,
        metadata,
        time,
        attachments: _,
    } = call.state()
    else {
        panic!("{:?}", call.state())
    };
    assert_eq!((title.as_str(), output.as_str()), ("ls -l", "a.txt\n"));
    assert_eq!(
        (input["command"].as_str(), metadata["exit"].as_i64()),
        (Some("ls -l"), Some(0))
    );
    assert_eq!(
        time,
        PartTime {
            start: 1,
            end: Some(3)
        }
    );
}

#[test]
fn a_sentence_is_no_name_of_a_tool() {
    let mut call = ToolCall::new(1);
    call.merge(
        &json!({"title": "Read the file `a.txt`", "kind": "read"}),
        1,
        ROOM,
    );
    assert_eq!(call.tool(), "read");
    call.merge(
        &json!({"_meta": {"claudeCode": {"toolName": "Read"}}}),
        1,
        ROOM,
    );
    assert_eq!(call.tool(), "Read");
}

#[test]
fn a_proposed_edit_names_the_file_and_the_change() {
    let mut call = ToolCall::new(1);
    let input = json!({"file_path": "/p/a", "content": "b\n"});
    call.merge(&json!({"kind": "edit", "rawInput": input}), 1, ROOM);
    let named = json!({"filepath": "/p/a"});
    assert_eq!(Value::Object(call.proposed_edit()), named);
    let diff = json!({"type": "diff", "path": "/p/a", "oldText": "a\n", "newText": "b\n"});
    call.merge(&json!({"content": [diff]}), 1, ROOM);
    let patch = "--- /p/a\n+++ /p/a\n@@ -1 +1 @@\n-a\n+b\n";
    assert_eq!(call.proposed_edit()["diff"], patch);
}

#[test]
fn a_command_of_one_word_is_no_name_of_a_tool() {
    let mut call = ToolCall::new(1);
    let input = json!({"command": "ls"});
    call.merge(
        &json!({"title": "ls", "kind": "execute", "rawInput": input}),
        1,
        ROOM,
    );
    assert_eq!(call.tool(), "bash");
}

#[test]
fn what_a_failed_call_has_said_stands_there_once() {
    let mut call = ToolCall::new(1);
    call.merge(
        &json!({"status": "failed", "rawOutput": {"error": "no such file", "metadata": {"exit": 2}}}),
        1,
        ROOM,
    );
    let ToolState::Error {
        error, metadata, ..
    } = call.state()
    else {
        panic!("{:?}", call.state())
    };
    assert_eq!(error, "no such file");
    assert_eq!(
        metadata,
        Some(Map::from_iter([("exit".to_owned(), json!(2))]))
    );
}

#[test]
fn long_output_is_cut_with_a_remark() {
    let mut call = ToolCall::new(1);
    call.merge(
        &json!({"status": "failed", "rawOutput": {"error": "é".repeat(900)}}),
        1,
        101,
    );
    let ToolState::Error { error, .. } = call.state() else {
        panic!("not failed")
    };
    assert!(error.starts_with("éé") && error.ends_with("[output of 1800 bytes cut off here]"));
}

#[test]
fn what_a_command_prints_beside_the_protocol_is_kept_piece_by_piece() {
    let mut call = ToolCall::new(1);
    let terminal = json!([{"type": "terminal", "terminalId": "t"}]);
    call.merge(
        &json!({"title": "echo a; echo b", "kind": "execute", "content": terminal}),
        1,
        ROOM,
    );
    assert_eq!(call.input()["command"], "echo a; echo b");
    call.merge(
        &json!({"_meta": {"terminal_output": {"data": "a\n"}}}),
        1,
        ROOM,
    );
    let last = json!({"terminal_output_delta": {"data": "b\n"}, "terminal_exit": {"exit_code": 3}});
    call.merge(&json!({"status": "completed", "_meta": last}), 2, ROOM);
    let ToolState::Completed {
        output, metadata, ..
    } = call.state()
    else {
        panic!("{:?}", call.state())
    };
    assert_eq!((output.as_str(), &metadata["exit"]), ("a\nb\n", &json!(3)));
    call.merge(
        &json!({"_meta": {"terminal_output": {"data": "c".repeat(9)}}}),
        3,
        // The arguments take of it, too.
        r#"{"command":"echo a; echo b"}"#.len() + 8,
    );
    assert!(
        call.output
            .ends_with("cccc\n[output of 13 bytes cut off here]"),
        "{}",
        call.output
    );
    call.merge(
        &json!({"_meta": {"terminal_output": {"data": "d"}}}),
        3,
        ROOM,
    );
    assert!(call.output.ends_with("here]"));
}

#[test]
fn a_tool_is_named_by_what_its_agent_says_about_it() {
    for meta in [
        json!({"claudeCode": {"toolName": "Bash"}}),
        json!({"goose": {"toolCall": {"toolName": "Bash"}}}),
        json!({"toolName": "Bash"}),
    ] {
        let mut call = ToolCall::new(1);
        call.merge(&json!({"title": "shell · ls", "_meta": meta}), 1, ROOM);
        assert_eq!(call.tool(), "Bash");
    }
}

#[test]
fn a_command_is_one_text() {
    for (command, text) in [
        (json!(["/bin/bash", "-lc", "ls -l"]), "ls -l"),
        (json!(["ls", "-l"]), "ls -l"),
        (json!("ls -l"), "ls -l"),
    ] {
        let mut call = ToolCall::new(1);
        call.merge(&json!({"rawInput": {"command": command}}), 1, ROOM);
        assert_eq!(call.input()["command"], text);
    }
    let mut named = ToolCall::new(1);
    named.merge(
        &json!({"title": "Shell", "kind": "execute", "rawInput": {}}),
        1,
        ROOM,
    );
    assert!(named.input().is_empty(), "the title names the tool");
}

#[test]
fn a_failed_edit_edits_nothing() {
    let mut call = ToolCall::new(1);
    call.merge(
        &json!({"kind": "edit", "status": "failed", "rawInput": {"filePath": "a"}}),
        1,
        ROOM,
    );
    assert!(call.edited_files().is_empty());
}
