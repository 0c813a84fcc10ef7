//! `[limits]` and `[timeouts]` of the config file.

use std::time::Duration;

use serde::Deserialize;

use super::{
    ConfigError, DEFAULT_EVENT_STREAMS, DEFAULT_LOADED_SESSIONS, DEFAULT_QUEUE_PROMPTS, Limits,
};
use crate::agent::Timeouts;
use crate::agent::connection::EarlyLimits;
use crate::agent::pool::PoolLimits;
use crate::event::RingLimits;
use crate::files::FileLimits;
use crate::http::body::BodyLimits;
use crate::http::serve::ConnectionLimits;
use crate::session::Sizes;
use crate::session::handoff::Budget;
use crate::shell::ShellLimits;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    body_bytes: Option<usize>,
    all_body_bytes: Option<usize>,
    body_values: Option<usize>,
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    event_streams: Option<usize>,
    queue_prompts: Option<usize>,
    loaded_sessions: Option<usize>,
    ring_events: Option<usize>,
    ring_bytes: Option<usize>,
    live_agents: Option<usize>,
    agent_idle_s: Option<u64>,
    early_updates: Option<usize>,
    early_bytes: Option<usize>,
    transcript_bytes: Option<usize>,
    tool_output_bytes: Option<usize>,
    shell_output_bytes: Option<usize>,
    title_bytes: Option<usize>,
    metadata_bytes: Option<usize>,
    metadata_depth: Option<usize>,
    permission_rules: Option<usize>,
    permission_bytes: Option<usize>,
    note_bytes: Option<usize>,
    pattern_bytes: Option<usize>,
    name_bytes: Option<usize>,
    path_bytes: Option<usize>,
    prompt_parts: Option<usize>,
    text_bytes: Option<usize>,
    attachment_bytes: Option<usize>,
    stored_prompts: Option<usize>,
    stored_prompt_bytes: Option<usize>,
    sessions: Option<usize>,
    session_asks: Option<usize>,
    asks: Option<usize>,
    ask_bytes: Option<usize>,
    answer_bytes: Option<usize>,
    answer_parts: Option<usize>,
    media_bytes: Option<usize>,
    answer_media_bytes: Option<usize>,
    tool_call_bytes: Option<usize>,
    plan_entries: Option<usize>,
    plan_bytes: Option<usize>,
    import_bytes: Option<usize>,
    import_messages: Option<usize>,
    file_bytes: Option<u64>,
    ignore_bytes: Option<u64>,
    search_files: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TimeoutsTable {
    start_s: Option<u64>,
    session_s: Option<u64>,
    switch_s: Option<u64>,
    cancel_s: Option<u64>,
    end_ms: Option<u64>,
    silent_s: Option<u64>,
    silent_end_s: Option<u64>,
    shell_s: Option<u64>,
    search_s: Option<u64>,
    body_s: Option<u64>,
    header_s: Option<u64>,
    unread_s: Option<u64>,
}

/// A limit of zero would stop everything, and is more likely meant as "none".
fn at_least_one<T: PartialEq + From<u8>>(
    key: &str,
    given: Option<T>,
    default: T,
) -> Result<T, ConfigError> {
    match given {
        Some(value) if value == T::from(0) => Err(ConfigError(format!(
            "{key} = 0 in the config file: it has to be at least 1"
        ))),
        Some(value) => Ok(value),
        None => Ok(default),
    }
}

/// Fills in the sizes whose settings have the same name.
macro_rules! sizes {
    ($table:ident: $($name:ident)*) => {{
        let default = Sizes::default();
        Sizes {
            $($name: at_least_one(concat!("limits.", stringify!($name)), $table.$name, default.$name)?,)*
        }
    }};
}

impl LimitsTable {
    fn sizes(&self) -> Result<Sizes, ConfigError> {
        Ok(sizes! {
            self: title_bytes metadata_bytes metadata_depth permission_rules permission_bytes note_bytes pattern_bytes name_bytes path_bytes prompt_parts text_bytes attachment_bytes stored_prompts stored_prompt_bytes sessions session_asks asks ask_bytes answer_bytes answer_parts media_bytes answer_media_bytes tool_call_bytes plan_entries plan_bytes import_bytes import_messages
        })
    }

    pub(super) fn resolve(&self, timeouts: &TimeoutsTable) -> Result<Limits, ConfigError> {
        let bodies = BodyLimits::default();
        let connections = ConnectionLimits::default();
        let ring = RingLimits::default();
        let pool = PoolLimits::default();
        let handoff = Budget::default();
        let shell = ShellLimits::default();
        let files = FileLimits::default();
        let limit =
            |key: &str, given, default| at_least_one(&format!("limits.{key}"), given, default);
        let bytes =
            |key: &str, given, default| at_least_one(&format!("limits.{key}"), given, default);
        let idle_s = at_least_one(
            "limits.agent_idle_s",
            self.agent_idle_s,
            pool.idle.as_secs(),
        )?;
        Ok(Limits {
            bodies: BodyLimits {
                bytes: limit("body_bytes", self.body_bytes, bodies.bytes)?,
                all_bytes: limit("all_body_bytes", self.all_body_bytes, bodies.all_bytes)?,
                values: limit("body_values", self.body_values, bodies.values)?,
                time: timeouts.seconds("body_s", timeouts.body_s, bodies.time)?,
            },
            connections: ConnectionLimits {
                connections: limit("connections", self.connections, connections.connections)?,
                per_address: limit(
                    "connections_per_address",
                    self.connections_per_address,
                    connections.per_address,
                )?,
                header: timeouts.seconds("header_s", timeouts.header_s, connections.header)?,
                stalled: timeouts.seconds("unread_s", timeouts.unread_s, connections.stalled)?,
            },
            sizes: self.sizes()?,
            files: FileLimits {
                file_bytes: bytes("file_bytes", self.file_bytes, files.file_bytes)?,
                ignore_bytes: bytes("ignore_bytes", self.ignore_bytes, files.ignore_bytes)?,
                search_files: limit("search_files", self.search_files, files.search_files)?,
                search: timeouts.seconds("search_s", timeouts.search_s, files.search)?,
            },
            event_streams: limit("event_streams", self.event_streams, DEFAULT_EVENT_STREAMS)?,
            queue_prompts: limit("queue_prompts", self.queue_prompts, DEFAULT_QUEUE_PROMPTS)?,
            loaded_sessions: limit(
                "loaded_sessions",
                self.loaded_sessions,
                DEFAULT_LOADED_SESSIONS,
            )?,
            ring: RingLimits {
                events: limit("ring_events", self.ring_events, ring.events)?,
                bytes: limit("ring_bytes", self.ring_bytes, ring.bytes)?,
            },
            pool: PoolLimits {
                live: limit("live_agents", self.live_agents, pool.live)?,
                idle: Duration::from_secs(idle_s),
                early: EarlyLimits {
                    updates: limit("early_updates", self.early_updates, pool.early.updates)?,
                    bytes: limit("early_bytes", self.early_bytes, pool.early.bytes)?,
                },
            },
            handoff: Budget {
                total_bytes: limit(
                    "transcript_bytes",
                    self.transcript_bytes,
                    handoff.total_bytes,
                )?,
                tool_output_bytes: limit(
                    "tool_output_bytes",
                    self.tool_output_bytes,
                    handoff.tool_output_bytes,
                )?,
            },
            shell: ShellLimits {
                timeout: timeouts.seconds("shell_s", timeouts.shell_s, shell.timeout)?,
                output_bytes: limit(
                    "shell_output_bytes",
                    self.shell_output_bytes,
                    shell.output_bytes,
                )?,
            },
        })
    }
}

impl TimeoutsTable {
    fn seconds(
        &self,
        key: &str,
        given: Option<u64>,
        default: Duration,
    ) -> Result<Duration, ConfigError> {
        let key = format!("timeouts.{key}");
        at_least_one(&key, given, default.as_secs()).map(Duration::from_secs)
    }

    pub(super) fn resolve(&self) -> Result<Timeouts, ConfigError> {
        let default = Timeouts::default();
        let seconds = |key: &str, given, default| self.seconds(key, given, default);
        let end_ms = u64::try_from(default.end.as_millis()).unwrap_or(u64::MAX);
        Ok(Timeouts {
            start: seconds("start_s", self.start_s, default.start)?,
            session: seconds("session_s", self.session_s, default.session)?,
            switch: seconds("switch_s", self.switch_s, default.switch)?,
            cancel: seconds("cancel_s", self.cancel_s, default.cancel)?,
            end: Duration::from_millis(at_least_one("timeouts.end_ms", self.end_ms, end_ms)?),
            silent: seconds("silent_s", self.silent_s, default.silent)?,
            silent_end: self
                .silent_end_s
                .map(|given| seconds("silent_end_s", Some(given), Duration::ZERO))
                .transpose()?,
        })
    }
}
