//! The mock agent's end of the wire: JSON-RPC 2.0, one message a line, on stdin and stdout.
//!
//! Two threads own the two streams. Everything that is written goes through one bounded queue into
//! one thread, so lines never interleave and a client that does not read slows the agent down.

use std::io::{self, BufRead, BufWriter, Write};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::faults::{self, Fault};

/// Messages that may wait for stdout before the sender waits too.
const OUTGOING_QUEUE_MESSAGES: usize = 256;

/// Lines that may wait for the agent before stdin is no longer read.
const INCOMING_QUEUE_LINES: usize = 64;

/// The longest line that is accepted, in bytes: room for a prompt with several images.
const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// What the fault `noise` writes before every message.
pub(super) const NOISE: &str = "mock-agent: this line on stdout is not JSON {";

/// An error reply.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    /// An error with a code and a message.
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The line was no JSON.
    pub(super) fn parse(detail: impl std::fmt::Display) -> Self {
        Self::new(-32700, format!("Parse error: {detail}"))
    }

    /// The message makes no sense as a request, or not now.
    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32600, message)
    }

    /// No such method, or not in this agent.
    pub(super) fn method_not_found(method: &str) -> Self {
        Self::new(-32601, format!("Method not found: {method}"))
    }

    /// A parameter is missing, has the wrong type or an unknown value.
    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// The agent failed by itself.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, message)
    }

    /// No such session.
    pub(super) fn resource_not_found(session: &str) -> Self {
        Self {
            data: Some(json!({"uri": session})),
            ..Self::new(-32002, "Resource not found")
        }
    }
}

/// The reply to a request: a result, or an error.
pub(super) fn response(id: &Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(RpcError {
            code,
            message,
            data: None,
        }) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}),
        Err(RpcError {
            code,
            message,
            data: Some(data),
        }) => {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, "data": data}})
        }
    }
}

/// A `session/update` notification.
pub(super) fn session_update(session_id: &str, update: Value) -> Value {
    json!({
        "jsonrpc": "2.0",
        "method": "session/update",
        "params": {"sessionId": session_id, "update": update},
    })
}

/// What goes to the writer.
pub(super) enum Out {
    /// A message.
    Message(Value),
    /// A request to say when everything before it has left the process.
    Flush(oneshot::Sender<()>),
}

/// The way to the client. Once the client has gone, messages are dropped in silence: the end of
/// stdin is what ends the agent.
#[derive(Clone)]
pub(super) struct Outgoing(mpsc::Sender<Out>);

impl Outgoing {
    /// A queue and its far end.
    pub(super) fn new() -> (Self, mpsc::Receiver<Out>) {
        let (sender, receiver) = mpsc::channel(OUTGOING_QUEUE_MESSAGES);
        (Self(sender), receiver)
    }

    /// Queues a message; waits while the queue is full.
    pub(super) async fn send(&self, message: Value) {
        let _ = self.0.send(Out::Message(message)).await;
    }

    /// Waits until everything sent before has been written.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.send(Out::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

/// Starts the thread that owns stdout.
pub(super) fn start_writer(queue: mpsc::Receiver<Out>, noise: bool) {
    std::thread::spawn(move || {
        // An error means that the reader is gone; dropping the queue tells the senders.
        let _ = write_messages(queue, BufWriter::new(io::stdout()), noise);
    });
}

/// Writes what is queued; flushes whenever the queue is empty.
pub(super) fn write_messages(
    mut queue: mpsc::Receiver<Out>,
    mut out: impl Write,
    noise: bool,
) -> io::Result<()> {
    while let Some(item) = queue.blocking_recv() {
        match item {
            Out::Message(message) => {
                if noise {
                    writeln!(out, "{NOISE}")?;
                }
                serde_json::to_writer(&mut out, &message)?;
                out.write_all(b"\n")?;
            }
            Out::Flush(done) => {
                out.flush()?;
                // Whoever asked may have been cancelled since.
                let _ = done.send(());
            }
        }
        if queue.is_empty() {
            out.flush()?;
        }
    }
    out.flush()
}

/// A line from the client.
pub(super) enum Line {
    /// The bytes without the line end.
    Complete(Vec<u8>),
    /// It was longer than the limit and was thrown away.
    TooLong,
}

/// Starts the thread that owns stdin. The receiver ends with stdin.
pub(super) fn start_reader(faults: Vec<Fault>) -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(INCOMING_QUEUE_LINES);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut misbehaves = false;
        // A read error on stdin is as final as its end.
        while let Ok(Some(line)) = read_line(&mut input, MAX_LINE_BYTES) {
            misbehaves |= matches!(&line, Line::Complete(line) if faults::is_slow_prompt(line));
            if sender.blocking_send(line).is_err() {
                return;
            }
            if misbehaves {
                faults::before_next_line(&faults);
            }
        }
    });
    receiver
}

/// The next line, or `None` at the end. Never holds more than `max_bytes` and one buffer.
pub(super) fn read_line(input: &mut impl BufRead, max_bytes: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut too_long = false;
    let mut anything = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        anything = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(buffer.len());
        if line.len() + taken > max_bytes {
            too_long = true;
            line = Vec::new();
        } else if !too_long {
            line.extend_from_slice(&buffer[..taken]);
        }
        input.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            break;
        }
    }
    Ok(match (anything, too_long) {
        (false, _) => None,
        (true, true) => Some(Line::TooLong),
        (true, false) => Some(Line::Complete(line)),
    })
}

/// Writes a line to stderr. Unlike `eprintln!` it does not panic when nobody reads there.
pub(super) fn log(text: &str) {
    let _ = writeln!(io::stderr(), "mock-agent: {text}");
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn read_all(input: &[u8], max_bytes: usize) -> Vec<Option<Vec<u8>>> {
        let mut reader = io::BufReader::with_capacity(4, input);
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut reader, max_bytes).unwrap() {
            lines.push(match line {
                Line::Complete(bytes) => Some(bytes),
                Line::TooLong => None,
            });
        }
        lines
    }

    #[test]
    fn lines_are_cut_at_the_limit_and_the_next_one_is_whole() {
        assert_eq!(
            read_all(b"abc\n\nmuch too long a line\nlast", 5),
            [
                Some(b"abc".to_vec()),
                Some(b"".to_vec()),
                None,
                Some(b"last".to_vec())
            ]
        );
        assert_eq!(read_all(b"", 5), Vec::<Option<Vec<u8>>>::new());
    }

    #[test]
    fn noise_stands_before_every_message() {
        let (sender, queue) = mpsc::channel(4);
        sender.try_send(Out::Message(json!({"a": 1}))).ok().unwrap();
        sender.try_send(Out::Message(json!({"b": 2}))).ok().unwrap();
        drop(sender);
        let mut out = Vec::new();
        write_messages(queue, &mut out, true).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("{NOISE}\n{{\"a\":1}}\n{NOISE}\n{{\"b\":2}}\n")
        );
    }
}
