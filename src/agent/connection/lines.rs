//! The lines that an agent writes.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line that an agent may send, in bytes; it is disconnected for a longer one.
pub const LINE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// A buffer that one line has made larger than this is not kept for the next ones, in bytes.
const BUFFER_KEPT_BYTES: usize = 1024 * 1024;

/// Reads one line into the buffer; false at the end of the stream.
pub(super) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    line.shrink_to(BUFFER_KEPT_BYTES);
    // One more for the line end.
    let limit = LINE_MAX_BYTES as u64 + 1;
    let read = reader.take(limit).read_until(b'\n', line).await? as u64;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(true);
    }
    if read == limit {
        return Err(io::Error::other(format!(
            "it has sent a line of more than {LINE_MAX_BYTES} bytes"
        )));
    }
    // The last line may lack its end.
    Ok(read > 0)
}
