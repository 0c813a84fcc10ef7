use serde_json::json;

use super::*;

fn subject(call: &Value) -> Subject {
    let mut known = ToolCall::new(0);
    known.merge(call, 0, usize::MAX);
    Subject::read(&known, call["title"].as_str(), None, &place(&known, "/p"))
}

#[test]
fn a_call_is_what_it_does() {
    for (call, permission, patterns) in [
        (
            json!({ "kind": "execute", "title": "ls -l x" }),
            "bash",
            vec!["ls -l x"],
        ),
        (
            json!({ "title": "any", "rawInput": { "command": "ls" } }),
            "bash",
            vec!["ls"],
        ),
        (
            json!({ "kind": "read", "rawInput": { "command": ["bash", "-lc", "cat x"] } }),
            "bash",
            vec!["cat x"],
        ),
        (
            json!({ "rawInput": { "command": ["python", "-c", "rm x"] } }),
            "bash",
            vec!["python -c 'rm x'"],
        ),
        (
            json!({ "rawInput": { "command": "git", "args": ["log", "a; b"] } }),
            "bash",
            vec!["git log 'a; b'"],
        ),
        (
            json!({ "kind": "execute", "rawInput": "ls" }),
            "bash",
            vec!["ls"],
        ),
        (
            json!({ "kind": "edit", "rawInput": { "command": "create", "path": "/a" } }),
            "edit",
            vec!["/a"],
        ),
        (
            json!({ "title": "put", "rawInput": { "path": "/a", "content": "" } }),
            "edit",
            vec!["/a"],
        ),
        (
            json!({ "title": "put", "rawInput": { "path": "a", "content": "" } }),
            "put",
            vec!["a"],
        ),
        (
            json!({ "title": "editor", "rawInput": { "command": "view", "path": "/a" } }),
            "editor",
            vec!["/a"],
        ),
        (
            json!({ "kind": "move", "rawInput": { "source": "/a", "destination": "/b" } }),
            "edit",
            vec!["/a", "/b"],
        ),
        (
            json!({ "kind": "delete", "locations": [{ "path": "/a" }] }),
            "edit",
            vec!["/a"],
        ),
        (
            json!({ "kind": "read", "rawInput": { "file_path": "/a" } }),
            "read",
            vec!["/a"],
        ),
        (
            json!({ "title": "x", "rawInput": { "url": "https://a/" } }),
            "webfetch",
            vec!["https://a/"],
        ),
        (
            json!({ "kind": "search", "rawInput": { "pattern": "x", "path": "/a" } }),
            "grep",
            vec!["x"],
        ),
        (json!({ "title": "think" }), "think", vec!["think"]),
    ] {
        let subject = subject(&call);
        assert_eq!(
            (subject.permission(), subject.patterns()),
            (
                permission,
                patterns.into_iter().map(str::to_owned).collect()
            ),
            "{call}"
        );
    }
}

#[test]
fn always_for_a_file_is_for_the_project_and_for_an_address_the_host() {
    let place = Place {
        directory: "/p".into(),
        base: None,
    };
    for (call, told) in [
        (
            json!({ "kind": "edit", "rawInput": { "path": "/p/a" } }),
            "/p/*",
        ),
        (
            json!({ "kind": "edit", "rawInput": { "path": "/p/../etc/x" } }),
            "/etc/x",
        ),
        (
            json!({ "kind": "edit", "rawInput": { "path": "/p/.git/config" } }),
            "/p/.git/config",
        ),
        (
            json!({ "kind": "fetch", "rawInput": { "url": "https://A.example:443/x?y" } }),
            "https://a.example/*",
        ),
        (
            json!({ "kind": "fetch", "rawInput": { "url": "https://good.example@evil.example/x" } }),
            "https://evil.example/*",
        ),
        (
            json!({ "kind": "fetch", "rawInput": { "url": "file:///etc/passwd" } }),
            "file:///etc/passwd",
        ),
    ] {
        assert_eq!(subject(&call).always(&place), [told], "{call}");
    }
}

#[test]
fn variables_and_directories_beside_a_command_count() {
    let rules = [crate::opencode::session::PermissionRule {
        permission: "bash".to_owned(),
        pattern: "git *".to_owned(),
        action: crate::opencode::session::PermissionAction::Allow,
    }];
    let decide = |input: Value| {
        let call = json!({ "kind": "execute", "rawInput": input });
        let mut known = ToolCall::new(0);
        known.merge(&call, 0, usize::MAX);
        let law = Law {
            rules: &rules,
            remembered: &|_| false,
            place: &place(&known, "/p"),
        };
        subject(&call).decided(&law)
    };
    for (input, expected) in [
        (json!({ "command": "git log" }), Decision::Allow),
        (
            json!({ "command": "git log > x", "cwd": "/p/sub" }),
            Decision::Allow,
        ),
        (
            json!({ "command": "git log", "env": { "PATH": "/tmp" } }),
            Decision::Ask,
        ),
        (
            json!({ "command": "git log", "cwd": "/tmp" }),
            Decision::Ask,
        ),
        (
            json!({ "command": "git log > ../x", "cwd": "/p" }),
            Decision::Ask,
        ),
    ] {
        assert_eq!(decide(input.clone()), expected, "{input}");
    }
}
