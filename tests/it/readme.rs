//! The README's walk-through is run as written.

use std::process::Command;

use crate::harness::Server;

/// Fenced blocks of the README: language and text.
fn blocks() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|l| *l != "```").collect();
            blocks.push((language.to_owned(), text.join("\n")));
        }
    }
    blocks
}

#[tokio::test]
async fn the_switch_with_curl_prints_what_the_readme_says() {
    for program in ["bash", "curl", "jq"] {
        assert!(
            which::which(program).is_ok(),
            "{program} is needed to run the README's walk-through"
        );
    }
    let server = Server::start().await;
    let blocks = blocks();
    let first = blocks
        .iter()
        .position(|(language, text)| language == "sh" && text.contains("SESSION=$(curl"))
        .expect("the walk-through");
    // The second pair of command and output goes on in the first one's shell.
    let [(_, walk), (_, printed), (_, wrong), (_, error)] = &blocks[first..first + 4] else {
        panic!("the walk-through has two commands with their outputs")
    };
    let script = format!("set -e\n{walk}\n{wrong}").replace("http://127.0.0.1:2468", &server.url);
    let run = move || Command::new("bash").arg("-c").arg(script).output();
    let output = tokio::task::spawn_blocking(run)
        .await
        .expect("it runs")
        .expect("bash");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let expected = format!("{printed}\n{error}\n");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{said}");
    server.stop().await;
}
