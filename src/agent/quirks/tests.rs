use std::collections::HashSet;

use super::*;

fn all() -> Vec<AgentSpec> {
    builtins("/bin/baton", Path::new("/data/mock"), Path::new("/data"))
}

#[test]
fn the_mock_agents_are_the_last_choice_and_every_id_is_there_once() {
    let ids: Vec<String> = all().into_iter().map(|spec| spec.id).collect();
    assert_eq!(ids[ids.len() - 2..], ["mock", "mock2"]);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}

#[test]
fn a_key_goes_to_its_own_vendors_agent_and_to_those_with_many_vendors() {
    let all = all();
    let has = |agent: &str, key: &str| {
        let spec = all.iter().find(|spec| spec.id == agent).expect("built in");
        !spec.environment.withhold.iter().any(|name| name == key)
    };
    assert!(has("claude", "ANTHROPIC_API_KEY") && has("codex", "OPENAI_API_KEY"));
    assert!(!has("codex", "ANTHROPIC_API_KEY") && !has("claude", "OPENAI_API_KEY"));
    assert!(!has("mock", "GEMINI_API_KEY"));
    for many in ["opencode", "goose", "pi"] {
        assert!(credentials().all(|key| has(many, key)), "{many}");
    }
    let somebodys = AgentSpec::from_config("somebodys-own", vec!["x".into()]);
    assert!(somebodys.environment.withhold.is_empty());
}

#[test]
fn every_builtin_says_how_to_get_it_and_how_to_sign_in() {
    for spec in all() {
        assert!(!spec.name.is_empty() && !spec.command.is_empty());
        assert!(!spec.install.is_empty(), "{}", spec.id);
        assert!(!spec.login.is_empty(), "{}", spec.id);
        // The agent's own command speaks JSON-RPC and shows an empty screen.
        let command = format!("`{}`", spec.command.join(" "));
        assert!(!spec.login.contains(&command), "{}", spec.login);
    }
}

#[test]
fn the_readme_has_each_of_them_with_its_command_and_whether_it_is_tested() {
    let readme = include_str!("../../../README.md");
    for spec in all().iter().filter(|spec| !spec.id.starts_with("mock")) {
        let row = format!("| `{}` | `{}` |", spec.id, spec.command.join(" "));
        let line = readme.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("no row {row}"));
        assert_eq!(line.contains("not tested"), !spec.tested, "{line}");
    }
}

#[test]
fn the_second_mock_agent_has_other_models_and_efforts_and_a_small_context() {
    let all = all();
    let spec = |id: &str| all.iter().find(|spec| spec.id == id).expect("built in");
    let (mock, mock2) = (spec("mock"), spec("mock2"));
    let words = mock2.command.join(" ");
    for wanted in [
        "--state-dir /data/mock2",
        "--models mock2,mock2-strong",
        "--efforts quick,thorough",
        "--context 16000",
    ] {
        assert!(words.contains(wanted), "{words}");
    }
    assert!(mock.command.join(" ").ends_with("--state-dir /data/mock"));
    assert!(mock.contexts.is_empty());
    assert_eq!(mock2.contexts["mock2-strong"], 16_000);
}
