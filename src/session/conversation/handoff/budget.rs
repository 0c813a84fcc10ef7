//! How large a handoff may be.

/// The size of a handoff to a model whose context size is not known, in bytes: half of a context of 64,000 tokens, which
/// nearly every model that agents work with has. Less would take from all of them what few cannot hold.
pub const DEFAULT_TOTAL_BYTES: usize = 96_000;

/// The size up to which one tool input or result is kept whole, in bytes. About 400 lines of code.
pub const DEFAULT_TOOL_OUTPUT_BYTES: usize = 16_000;

/// The smallest budget of a handoff, in bytes: the preamble, every marker at its
/// longest, and some of the newest message.
pub const MIN_TOTAL_BYTES: usize = 4_096;

/// The most that a context size alone makes of a handoff, in bytes. A model with a context of millions
/// of tokens is slow and costly to fill, and old turns lose their use long before.
pub const MAX_TOTAL_BYTES: usize = 2_000_000;

/// The lower bound of the tool output that a context size makes, in bytes: a screenful.
pub const MIN_TOOL_OUTPUT_BYTES: usize = 1_000;

/// A token's size in source code and English, in bytes; at the low end, so that the estimate of what
/// fits stays on the safe side.
pub const BYTES_PER_TOKEN: u64 = 3;

/// A handoff takes one part in this many of the target's context. The rest is for the agent's own
/// instructions, the new prompt and the work on it.
pub const CONTEXT_SHARE_DIVISOR: u64 = 2;

/// One tool input or result takes at most one part in this many of the whole handoff.
pub const TOOL_OUTPUT_DIVISOR: usize = 16;

/// The bounds of one handoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The size of the whole text, in bytes. Less than [`MIN_TOTAL_BYTES`] counts as that.
    pub total_bytes: usize,
    /// The size up to which one tool input or result is kept whole, in bytes. Of a larger one the
    /// beginning and the end are kept, together this large.
    pub tool_output_bytes: usize,
}

impl Default for Budget {
    /// The budget for a model whose context size is not known.
    fn default() -> Self {
        Self {
            total_bytes: DEFAULT_TOTAL_BYTES,
            tool_output_bytes: DEFAULT_TOOL_OUTPUT_BYTES,
        }
    }
}

impl Budget {
    /// The budget for a model whose context holds `tokens` tokens: one part in
    /// [`CONTEXT_SHARE_DIVISOR`] of it, between [`MIN_TOTAL_BYTES`] and [`MAX_TOTAL_BYTES`].
    #[must_use]
    pub fn from_context_tokens(tokens: u64) -> Self {
        let share_bytes = (tokens / CONTEXT_SHARE_DIVISOR).saturating_mul(BYTES_PER_TOKEN);
        let total_bytes = usize::try_from(share_bytes)
            .unwrap_or(usize::MAX)
            .clamp(MIN_TOTAL_BYTES, MAX_TOTAL_BYTES);
        let tool_output_bytes = (total_bytes / TOOL_OUTPUT_DIVISOR)
            .clamp(MIN_TOOL_OUTPUT_BYTES, DEFAULT_TOOL_OUTPUT_BYTES);
        Self {
            total_bytes,
            tool_output_bytes,
        }
    }

    /// The same, but at most this many bytes.
    #[must_use]
    pub fn within(self, bytes: usize) -> Self {
        Self {
            total_bytes: self.total_bytes.min(bytes),
            ..self
        }
    }
}
