//! A connection to an agent that is played by the test, in time that stands still.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, DuplexStream, Lines, ReadBuf};

use super::*;

/// What a pipe of these tests holds, in bytes; that of a process holds as much.
const PIPE_BYTES: usize = 64 * 1024;
/// The budget of an inbox here, in bytes.
const BUDGET_BYTES: usize = 1024 * 1024;
/// Longer than anything in here takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// The agent's end.
struct Peer {
    stdin: Lines<BufReader<DuplexStream>>,
    stdout: DuplexStream,
}

fn pair() -> (Arc<Connection>, Peer) {
    pair_within(EarlyLimits::default())
}

fn pair_within(early: EarlyLimits) -> (Arc<Connection>, Peer) {
    let (stdin, agent_stdin) = tokio::io::duplex(PIPE_BYTES);
    let (agent_stdout, stdout) = tokio::io::duplex(PIPE_BYTES);
    let peer = Peer {
        stdin: BufReader::new(agent_stdin).lines(),
        stdout: agent_stdout,
    };
    let connection = Connection::open_within(early, stdin, stdout);
    connection.routes().inbox_max_bytes = BUDGET_BYTES;
    (connection, peer)
}

impl Peer {
    async fn next(&mut self) -> Value {
        let line = self.stdin.next_line().await.expect("reads");
        serde_json::from_str(&line.expect("a line")).expect("JSON")
    }

    async fn say(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.stdout
            .write_all(line.as_bytes())
            .await
            .expect("Baton reads");
    }

    async fn update(&mut self, session: &str, text: &str) {
        let params = json!({ "sessionId": session, "update": { "text": text } });
        self.say(&json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }))
            .await;
    }

    /// Answers the next request with its own method.
    async fn reply(&mut self) {
        let request = self.next().await;
        let result = &request["method"];
        self.say(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
            .await;
    }
}

fn text_of(message: Option<Inbound>) -> String {
    match message {
        Some(Inbound::Update(update)) => update["text"].as_str().expect("text").to_owned(),
        other => panic!("no update: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompts_reply_comes_behind_its_updates() {
    let (connection, mut peer) = pair();
    peer.update("s", "early").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut inbox = connection.attach("s");
    connection.prompt("s", Vec::new()).await.expect("sent");
    peer.update("s", "late").await;
    peer.reply().await;
    assert_eq!(text_of(inbox.recv().await), "early");
    assert_eq!(text_of(inbox.recv().await), "late");
    let reply = inbox.recv().await;
    assert!(matches!(reply, Some(Inbound::PromptReply(Ok(_)))));
    drop(peer);
    assert!(inbox.recv().await.is_none());
    let error = connection.notify("x", Value::Null).await;
    assert_eq!(error, Err(CallError::Closed));
}

#[tokio::test(start_paused = true)]
async fn of_early_updates_as_many_are_kept_as_the_limits_say() {
    let limits = EarlyLimits {
        updates: 3,
        bytes: 1_000,
    };
    let (connection, mut peer) = pair_within(limits);
    for text in ["1", "2", "3", "4"] {
        peer.update("many", text).await;
    }
    let long = "x".repeat(600);
    for text in [long.as_str(), &long, "short"] {
        peer.update("large", text).await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    let (mut many, mut large) = (connection.attach("many"), connection.attach("large"));
    drop(peer);
    for text in ["1", "2", "3"] {
        assert_eq!(text_of(many.recv().await), text);
    }
    assert!(many.recv().await.is_none());
    for text in [long.as_str(), "short"] {
        assert_eq!(text_of(large.recv().await), text);
    }
    assert!(large.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_reads_does_not_hold_up_the_others() {
    let (connection, mut peer) = pair();
    let (mut wet, mut dry) = (connection.attach("wet"), connection.attach("dry"));
    connection.prompt("wet", Vec::new()).await.expect("sent");
    connection.prompt("dry", Vec::new()).await.expect("sent");
    let drop_of_the_flood = "x".repeat(BUDGET_BYTES / 64);
    for _ in 0..=BUDGET_BYTES / drop_of_the_flood.len() {
        peer.update("wet", &drop_of_the_flood).await;
    }
    peer.reply().await;
    peer.reply().await;
    let replied = tokio::time::timeout(PATIENCE, dry.recv()).await;
    assert!(matches!(replied, Ok(Some(Inbound::PromptReply(Ok(_))))));

    let (mut kept_bytes, mut messages) = (0, 0);
    loop {
        match wet.recv().await {
            Some(Inbound::Update(update)) => kept_bytes += update.to_string().len(),
            Some(Inbound::Overflowed { limit_bytes }) => {
                assert_eq!(limit_bytes, BUDGET_BYTES);
                break;
            }
            other => panic!("neither an update nor the end: {other:?}"),
        }
        messages += 1;
    }
    assert!(messages > 60 && kept_bytes <= BUDGET_BYTES, "{messages}");
    assert!(wet.recv().await.is_none(), "that was the end of it");

    // The same native session can be used again.
    let mut again = connection.attach("wet");
    peer.update("wet", "dried").await;
    assert_eq!(text_of(again.recv().await), "dried");
}

#[tokio::test(start_paused = true)]
async fn what_is_read_counts_no_more() {
    let (connection, mut peer) = pair();
    let mut inbox = connection.attach("s");
    let text = "x".repeat(BUDGET_BYTES / 4);
    for _ in 0..5 {
        peer.update("s", &text).await;
        assert_eq!(text_of(inbox.recv().await).len(), text.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_session_without_an_inbox_is_refused() {
    let (connection, mut peer) = pair();
    let _inbox = connection.attach("s");
    connection.detach("s");
    for session in [json!("s"), json!(5), Value::Null] {
        let params = json!({ "sessionId": session });
        let method = "session/request_permission";
        peer.say(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
            .await;
        assert_eq!(peer.next().await["error"]["code"], METHOD_NOT_FOUND);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_call_that_was_given_up() {
    let (connection, mut peer) = pair();
    let second = Duration::from_secs(1);
    let timed_out = connection.call("slow", Value::Null, second).await;
    let expected = CallError::Timeout {
        method: "slow",
        after: second,
    };
    assert_eq!(timed_out, Err(expected));
    assert_eq!(connection.routes().pending_count(), 0);

    let dropped = connection.call("dropped", Value::Null, PATIENCE);
    let given_up = tokio::time::timeout(second, dropped).await;
    assert!(given_up.is_err());
    assert_eq!(connection.routes().pending_count(), 0);

    let _inbox = connection.attach("s");
    connection.prompt("s", Vec::new()).await.expect("sent");
    assert_eq!(connection.routes().pending_count(), 1);
    connection.detach("s");
    assert_eq!(connection.routes().pending_count(), 0);

    // Replies that come after all disturb nobody.
    for _ in 0..3 {
        peer.reply().await;
    }
    let call = connection.call("quick", Value::Null, PATIENCE);
    let (result, ()) = tokio::join!(call, peer.reply());
    assert_eq!(result, Ok(json!("quick")));
    assert_eq!(connection.routes().pending_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_reply_to_an_earlier_prompt_does_not_end_a_later_one() {
    let (connection, mut peer) = pair();
    let _earlier = connection.attach("s");
    connection.prompt("s", Vec::new()).await.expect("sent");
    let mut later = connection.attach("s");
    peer.reply().await;
    peer.update("s", "mine").await;
    assert_eq!(text_of(later.recv().await), "mine");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_read_is_disconnected() {
    let (connection, peer) = pair();
    let mut inbox = connection.attach("s");
    let started = tokio::time::Instant::now();
    let big = vec![json!({ "text": "x".repeat(4 * PIPE_BYTES) })];
    connection.prompt("s", big).await.expect("queued");
    for _ in 0..1000 {
        let queued = connection.notify("session/cancel", json!({})).await;
        queued.expect("queued");
    }
    let call = connection.call("late", Value::Null, PATIENCE).await;
    let Err(error @ CallError::Disconnected { .. }) = call else {
        panic!("not disconnected: {call:?}");
    };
    assert!(error.is_gone());
    assert!(error.to_string().contains("has not read"), "{error}");
    assert!(inbox.recv().await.is_none());
    assert_eq!(connection.respond(json!(1), Value::Null).await, Err(error));
    assert!(started.elapsed() < WRITE_STALL_MAX * 2);
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_reads_slowly_is_waited_for() {
    let (connection, peer) = pair();
    let big = vec![json!({ "text": "x".repeat(4 * PIPE_BYTES) })];
    connection.prompt("s", big).await.expect("queued");
    let mut stdin = peer.stdin.into_inner().into_inner();
    let mut piece = vec![0; PIPE_BYTES / 2];
    for _ in 0..6 {
        tokio::time::sleep(WRITE_STALL_MAX * 3 / 4).await;
        let read = tokio::io::AsyncReadExt::read(&mut stdin, &mut piece).await;
        assert!(read.is_ok_and(|bytes| bytes > 0));
        assert!(!connection.is_closed());
    }
    drop(peer.stdout);
}

#[tokio::test(start_paused = true)]
async fn more_than_an_agent_may_have_waiting_disconnects_it() {
    let (connection, _peer) = pair();
    // Nothing is written in between: the writer has had no turn. One message may be too long.
    let big = "x".repeat(OUTBOX_MAX_BYTES + 1);
    assert_eq!(connection.outbox.push(big), Ok(()));
    let error = connection.notify("x", Value::Null).await;
    assert!(matches!(error, Err(CallError::Disconnected { why }) if why.contains("too slowly")));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_closes_its_stdin_is_heard_out_and_disconnected() {
    let (connection, mut peer) = pair();
    let mut inbox = connection.attach("s");
    drop(peer.stdin);
    connection.prompt("s", Vec::new()).await.expect("queued");
    let params = json!({ "sessionId": "s", "update": { "text": "farewell" } });
    let farewell = json!({ "jsonrpc": "2.0", "method": "session/update", "params": params });
    let line = format!("{farewell}\n");
    let said = peer.stdout.write_all(line.as_bytes()).await;
    said.expect("Baton reads");
    assert_eq!(text_of(inbox.recv().await), "farewell");
    assert!(inbox.recv().await.is_none());
    assert!(matches!(connection.gone(), CallError::Disconnected { .. }));
}

/// A pipe that fails in a way that nobody has thought of.
struct Panics;

impl AsyncRead for Panics {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        panic!("on purpose");
    }
}

impl AsyncWrite for Panics {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        panic!("on purpose");
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_either_task_answers_everybody() {
    let (stdin, _agent_stdin) = tokio::io::duplex(PIPE_BYTES);
    let (_agent_stdout, stdout) = tokio::io::duplex(PIPE_BYTES);
    for connection in [
        Connection::open(stdin, Panics),
        Connection::open(Panics, stdout),
    ] {
        let mut inbox = connection.attach("s");
        let started = tokio::time::Instant::now();
        let call = connection.call("x", Value::Null, PATIENCE).await;
        assert!(
            matches!(call, Err(CallError::Disconnected { .. })),
            "{call:?}"
        );
        assert!(inbox.recv().await.is_none());
        assert!(started.elapsed() < WRITE_STALL_MAX);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_cannot_be_read_still_is_one() {
    for (rest, told) in [
        // A number that is JSON and larger than any that can be held.
        (r#""result":{"x":1e999}}"#, "cannot be read"),
        // Broken off, and wrong.
        (r#""result":{"stopReason":"end_turn""#, "is no JSON"),
        (r#""error":{"code":-32603,"message":"no",}}"#, "is no JSON"),
    ] {
        let (connection, mut peer) = pair();
        let mut inbox = connection.attach("s");
        connection.prompt("s", Vec::new()).await.expect("sent");
        let id = peer.next().await["id"].clone();
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},{rest}"#);
        peer.stdout
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("Baton reads");
        let reply = inbox.recv().await;
        assert!(
            matches!(&reply, Some(Inbound::PromptReply(Err(error))) if error.message.contains(told)),
            "{rest}: {reply:?}"
        );
    }
}
