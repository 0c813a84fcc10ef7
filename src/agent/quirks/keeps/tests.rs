use super::*;

fn fence(needs: &[(&str, Need)]) -> Fence {
    Fence {
        needs: needs
            .iter()
            .map(|(name, need)| ((*name).to_owned(), *need))
            .collect(),
        ..Fence::default()
    }
}

#[test]
fn an_agent_without_a_way_keeps_what_is_about_opencodes_own_helpers_only() {
    let all: Vec<_> = OPENCODE_ONLY
        .iter()
        .map(|name| (*name, Need::Denied))
        .collect();
    assert!(Keeps::Nothing.unkept(&fence(&all)).is_empty());
    for name in COMMON.into_iter().chain([ANY_OTHER, "mcp_files"]) {
        for need in [Need::Asked, Need::Denied] {
            let one = fence(&[(name, need)]);
            assert_eq!(Keeps::Nothing.unkept(&one), [(name, need)]);
        }
    }
}

#[test]
fn what_is_asked_can_be_denied_and_not_the_other_way_round() {
    let one = |name: &str| [(name.to_owned(), vec![format!("--{name}")])].into();
    let keeps = Keeps::Arguments(Arguments {
        deny: one("bash"),
        ask: one("edit"),
    });
    let denied = fence(&[("bash", Need::Denied), ("edit", Need::Denied)]);
    assert!(keeps.unkept(&denied).is_empty());
    let (mut command, mut environment) = (vec!["x".to_owned()], Environment::default());
    let put = keeps.put_into_launch(&denied, &[], &mut command, &mut environment);
    assert_eq!(
        (put, command.join(" ")),
        (Ok(()), "x --bash --edit".to_owned())
    );
    let asked = fence(&[("bash", Need::Asked)]);
    assert_eq!(keeps.unkept(&asked), [("bash", Need::Asked)]);
}

#[test]
fn opencode_is_told_behind_whatever_it_was_told_before() {
    let before = r#"{"agent":{"plan":{"permission":{"edit":"deny"}}},"permission":"allow"}"#;
    let fence = fence(&[("bash", Need::Denied), ("edit", Need::Asked)]);
    let told = opencode_config(Some(before), &fence, &["mine".to_owned()]).expect("JSON");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let keys = |at: &str| -> Vec<String> {
        let those = told.pointer(at).and_then(Value::as_object).expect("there");
        those
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("?")))
            .collect()
    };
    let ours = ["bas?=deny", "edi?=ask", "tas?=deny"];
    assert_eq!(keys("/permission")[0], "*=allow");
    assert_eq!(keys("/permission")[1..], ours);
    assert_eq!(keys("/agent/mine/permission"), ours);
    assert_eq!(keys("/agent/build/permission"), ours);
    // Planning must not become a question.
    assert_eq!(
        keys("/agent/plan/permission"),
        ["edit=deny", "bas?=deny", "edi?=deny", "tas?=deny"]
    );
    assert_eq!(
        opencode_config(Some("{// with a comment\n}"), &fence, &[]),
        None
    );
}

#[test]
fn claude_is_left_with_the_tools_that_are_open() {
    let mut all = fence(&[
        (ANY_OTHER, Need::Denied),
        ("bash", Need::Denied),
        ("edit", Need::Asked),
    ]);
    all.free.insert("read".to_owned());
    let options = claude_options(&all);
    let tools = options["tools"].as_array().expect("a list");
    assert!(
        tools.contains(&json!("Read")) && tools.contains(&json!("Edit")),
        "{options}"
    );
    assert!(
        !tools.contains(&json!("Bash")) && !tools.contains(&json!("WebFetch")),
        "{options}"
    );
    assert_eq!(options["strictMcpConfig"], true);
    assert!(
        options["disallowedTools"]
            .as_array()
            .expect("a list")
            .contains(&json!("Bash"))
    );
}

#[test]
fn claudes_names_for_the_tools_of_a_server() {
    assert_eq!(claude_tools("github_*"), ["mcp__github__*"]);
    assert_eq!(
        claude_tools("my_files_read"),
        ["mcp__my__files_read", "mcp__my_files__read"]
    );
    for nameless in ["*_delete", "gi?hub_*", "thing"] {
        assert!(claude_tools(nameless).is_empty(), "{nameless}");
    }
    let tool = fence(&[("github_*", Need::Denied), ("task", Need::Denied)]);
    assert!(Keeps::ClaudeOptions.unkept(&tool).is_empty());
    assert_eq!(
        claude_options(&tool)["disallowedTools"][0],
        "mcp__github__*"
    );
}
