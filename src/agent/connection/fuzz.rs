//! Whatever an agent writes, a reply to one of our requests is not lost, its own requests are answered, and nothing
//! panics or hangs.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::fuzz;

/// What is put into lines.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "null",
    "1",
    "1.0",
    "1e999",
    "-1",
    "true",
    "\"id\":1,",
    "\"id\":null,",
    "\"method\":\"x\",",
    "\"method\":null,",
    "\"params\":[],",
    "\"sessionId\":\"s\",",
    "\"result\":{},",
    "\"error\":null,",
    "\"error\":5,",
    "\"update\":{},",
    "{\"jsonrpc\":\"2.0\",",
    "\u{feff}",
    "\0",
    " ",
    "\r",
    "\n",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "99999999999999999999999999",
];
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn line() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<_> = fuzz::corpus("acp.txt")
        .into_iter()
        .map(|line| line.replace("ID", "4000"))
        .collect();
    prop_oneof![
        8 => fuzz::mutated(prop::sample::select(known), PIECES),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

/// A reply to the request with this id, in which something may be odd.
fn reply(id: u64) -> impl Strategy<Value = String> {
    let ids = vec![
        format!("{id}"),
        format!("{id}.0"),
        format!("\"{id}\""),
        format!("{id}e0"),
    ];
    let field = prop_oneof![
        Just("\"jsonrpc\":\"2.0\"".to_owned()),
        Just("\"result\":{\"deep\":[[[1e999]]]}".to_owned()),
        Just("\"result\":null".to_owned()),
        Just("\"result\":\"\\ud800\"".to_owned()),
        Just(format!(
            "\"result\":{}1{}",
            "[".repeat(300),
            "]".repeat(300)
        )),
        Just("\"error\":null".to_owned()),
        Just("\"error\":\"text\"".to_owned()),
        Just("\"error\":{\"code\":\"x\",\"message\":7}".to_owned()),
        Just("\"params\":{\"sessionId\":\"s\",\"sessionId\":4}".to_owned()),
        Just("\"method\":null".to_owned()),
        Just("\"method\":[1]".to_owned()),
        Just("\"x\":{\"id\":3999,\"result\":1}".to_owned()),
    ];
    let fields = prop::collection::vec(field, 0..5);
    let before = prop::sample::select(vec![
        "",
        "",
        "",
        " ",
        "\u{feff}",
        "Loading… ",
        "\0",
        "{\"a\":1}",
        "{\"a\":[",
        "\x1b[0m",
        "]",
        "null ",
    ]);
    let after = prop::sample::select(vec![
        "",
        "",
        "",
        " ",
        "\r",
        "}",
        "{\"jsonrpc\":\"2.0\"}",
        " done",
        "\0",
    ]);
    (
        prop::sample::select(ids),
        fields,
        any::<prop::sample::Index>(),
        before,
        after,
    )
        .prop_map(|(id, mut fields, at, before, after)| {
            let place = at.index(fields.len() + 1);
            // Behind something that is broken, this would be a piece of it.
            let inside = after == "}" && !before.is_empty();
            let after = if inside { "" } else { after };
            fields.insert(place, format!("\"id\":{id}"));
            let first = if before.is_empty() {
                ""
            } else {
                "\"jsonrpc\":\"2.0\","
            };
            format!("{before}{{{first}{}}}{after}", fields.join(","))
        })
}

/// What became of a call and a prompt after some lines and the replies to both, and what Baton has answered.
fn talk(
    lines: &[Vec<u8>],
    call: &str,
    prompt: &str,
) -> (Option<Result<Value, CallError>>, bool, Vec<Value>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (stdin, mut agent_stdin) = tokio::io::duplex(1 << 20);
        let (mut agent_stdout, stdout) = tokio::io::duplex(1 << 20);
        let connection = Connection::open(stdin, stdout);
        let mut inbox = connection.attach("s");
        connection.prompt("s", Vec::new()).await.expect("sent");
        let calling = connection.call("x", Value::Null, PATIENCE);
        let saying = async {
            tokio::task::yield_now().await;
            for line in lines
                .iter()
                .map(Vec::as_slice)
                .chain([call.as_bytes(), prompt.as_bytes()])
            {
                agent_stdout.write_all(line).await.expect("Baton reads");
                agent_stdout.write_all(b"\n").await.expect("Baton reads");
            }
        };
        let (called, ()) = tokio::join!(calling, saying);
        let called = (!matches!(called, Err(CallError::Timeout { .. }))).then_some(called);
        let replied = async {
            loop {
                match inbox.recv().await {
                    Some(Inbound::PromptReply(_)) => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        let replied = tokio::time::timeout(PATIENCE, replied)
            .await
            .unwrap_or(false);
        drop(agent_stdout);
        connection.closed().await;
        let mut said = Vec::new();
        let _ended = tokio::time::timeout(PATIENCE, agent_stdin.read_to_end(&mut said)).await;
        let said = said
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let said = said
            .map(|line| serde_json::from_slice(line).expect("Baton writes JSON"))
            .collect();
        (called, replied, said)
    })
}

#[test]
fn no_reply_is_lost_whatever_stands_around_it() {
    let values = (prop::collection::vec(line(), 0..5), reply(2), reply(1));
    fuzz::check("acp: replies", values, |(lines, call, prompt)| {
        let (called, replied, _) = talk(&lines, &call, &prompt);
        prop_assert!(
            called.is_some(),
            "the reply {:?} is lost behind {:?}",
            call,
            lossy(&lines)
        );
        prop_assert!(
            replied,
            "the prompt's reply {:?} is lost behind {:?}",
            prompt,
            lossy(&lines)
        );
        Ok(())
    });
}

#[test]
fn a_request_is_answered_whatever_it_asks() {
    let id = prop_oneof![
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!(1.5)),
        Just(json!({"a": [1]})),
        Just(json!([])),
    ];
    let method = prop::sample::select(vec![
        "fs/read_text_file",
        "terminal/create",
        "session/request_permission",
        "x",
        "",
    ]);
    let params = prop::sample::select(vec![
        "null",
        "[]",
        "5",
        "{\"sessionId\":5}",
        "{\"sessionId\":\"nobody\"}",
        "{\"sessionId\":\"nobody\",\"sessionId\":\"no\"}",
    ]);
    let values = (prop::collection::vec(line(), 0..4), id, method, params);
    fuzz::check("acp: requests", values, |(lines, id, method, params)| {
        let request =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let mut all = lines.clone();
        all.push(request.clone().into_bytes());
        let (_, _, said) = talk(&all, r#"{"id":2,"result":1}"#, r#"{"id":1,"result":1}"#);
        let answered = said
            .iter()
            .any(|m| m["id"] == id && m["error"]["code"] == METHOD_NOT_FOUND);
        prop_assert!(answered, "{:?} has no answer: {:?}", request, said);
        Ok(())
    });
}

#[test]
fn the_corpus_has_its_replies() {
    let lines = fuzz::corpus("acp.txt");
    let mut found = 0;
    for line in lines.iter().filter(|line| line.contains("ID")) {
        let (call, prompt) = (line.replace("ID", "2"), line.replace("ID", "1"));
        let (called, replied, _) = talk(&[], &call, &prompt);
        assert!(called.is_some() && replied, "{line}");
        found += 1;
    }
    assert!(found > 10, "{found}");
}

/// What is broken inside of a message never makes a reply of a part of it.
#[test]
fn a_piece_of_a_message_is_no_message() {
    let inner = r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{"text":"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":1}","x":{"id":2,"result":1}}}}"#;
    let values = (
        0..inner.len(),
        prop::sample::select(vec!["", "}", "\"", "]", "\u{1}"]),
    );
    fuzz::check("acp: pieces", values, |(at, rubbish)| {
        let line = format!("{}{rubbish}{}", &inner[..at], &inner[at..]);
        let (called, ..) = talk(
            &[line.into_bytes()],
            r#"{"id":2,"result":"real"}"#,
            r#"{"id":1}"#,
        );
        prop_assert_eq!(called, Some(Ok(json!("real"))), "{}", at);
        Ok(())
    });
}

fn lossy(lines: &[Vec<u8>]) -> Vec<String> {
    lines
        .iter()
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}
