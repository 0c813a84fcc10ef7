//! Whether somebody has gone on in a native session outside of Baton, which is looked at before a prompt.
//!
//! No agent tells when another program writes to a session, and none locks it. What there is: the time of the last use
//! in `session/list`, and what a load replays. The first is asked for where it can be, which takes a millisecond; only if
//! it is news, the second is compared with what is known.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::agent::native;
use crate::opencode::message::{MessageWithParts, Part};
use crate::registry::{NativeReplay, Wish};
use crate::session::ask::fence;
use crate::session::cell::outside::News;
use crate::session::cell::{Binding, Cell, Committed, Outside};
use crate::session::conversation::imported::{self, Told};
use crate::session::conversation::transcript::{self, Stored};
use crate::session::{Error, Sessions};
use crate::store::MessageRange;

/// A prompt does not wait longer for this.
const LOOK_AT_MOST: Duration = Duration::from_secs(30);
/// Agents write the end of what they were asked a moment after they have answered. What is written within this time of
/// Baton's own last use counts as that.
const OWN_WRITES_MS: u64 = 2_000;
impl Sessions {
    /// Takes in what was said outside of Baton in the native session that a prompt is for. What cannot be found out holds
    /// up no prompt.
    pub(super) async fn look_outside(self: &Arc<Self>, cell: &Arc<Cell>, wish: &Wish) {
        let committed = cell.committed();
        let is_any = |binding: &Binding| binding.outside.is_some();
        if !committed.runtime().bindings.values().any(is_any) || committed.runtime().is_busy() {
            return;
        }
        let looked = tokio::time::timeout(LOOK_AT_MOST, self.look(cell, &committed, wish));
        match looked.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(session = %cell.id, "not looked outside: {error}"),
            Err(_) => tracing::debug!(session = %cell.id, "looking outside takes too long"),
        }
    }

    async fn look(
        self: &Arc<Self>,
        cell: &Arc<Cell>,
        committed: &Committed,
        wish: &Wish,
    ) -> Result<(), Error> {
        let state = committed.state();
        let registry = &self.office.registry;
        let snapshot = registry.at(&cell.directory);
        // Messages of a pinned session select nothing.
        let wish = if state.pinned { &Wish::default() } else { wish };
        let selection = snapshot.resolve(state.selection.as_ref(), wish)?.selection;
        let provider = &selection.provider_id;
        let binding = committed.runtime().bindings.get(provider);
        let Some((binding, outside)) = binding.and_then(|it| Some((it, it.outside?))) else {
            return Ok(());
        };
        let fence = fence(&state.permission);
        let Ok(agent) = self.tools.start(cell, &selection, &fence).await else {
            // The turn says why.
            return Ok(());
        };
        let (_working, native_id) = (agent.work(), binding.native_session.as_str());
        if !agent.info.capabilities.list {
            return Ok(());
        }
        let (cwd, timeout) = (
            Path::new(&*cell.directory),
            self.tools.settings.timeouts.session,
        );
        let listed = native::find(&agent.connection, native_id, Some(cwd), timeout).await;
        let updated = listed.ok().flatten().and_then(|native| native.updated_ms);
        if !updated.is_some_and(|updated| is_news(updated, outside)) {
            return Ok(());
        }
        let most = self.office.sizes.import_bytes;
        let replay = registry.replay_native(provider, native_id, &cell.directory, most);
        let Ok(replay) = replay.await else {
            return Ok(());
        };
        let news = self
            .news(cell, committed, provider, binding, replay)
            .await?;
        let is_changed = news.from != Some(news.exchanges.len());
        cell.change(move |draft| draft.take_in_news(&news)).await?;
        if is_changed {
            // It has the native session in its memory, as it was.
            self.tools.pool.retire(&agent);
        }
        Ok(())
    }

    /// What a replay has that is not known.
    async fn news(
        &self,
        cell: &Cell,
        committed: &Committed,
        provider: &str,
        binding: &Binding,
        replay: NativeReplay,
    ) -> Result<News, Error> {
        let Told { exchanges, .. } = imported::read(replay.updates);
        let (last_prompt, knew_all) = self.last_known(cell, binding.seen_turn).await?;
        let known = binding.outside.map_or(0, |outside| outside.prompts);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        Ok(News {
            backend: provider.to_owned(),
            native: binding.native_session.clone(),
            from: imported::news_from(&exchanges, known, &last_prompt),
            exchanges: Arc::new(exchanges),
            at_ms: replay.at_ms,
            read_at: committed.runtime().conversation,
            knew_all,
        })
    }

    /// The last prompt up to a turn, and whether nothing for models comes after that turn.
    async fn last_known(&self, cell: &Cell, seen_turn: u64) -> Result<(String, bool), Error> {
        let range = MessageRange {
            after_turn: Some(seen_turn.saturating_sub(1)),
            ..MessageRange::default()
        };
        let rows = self.office.store.messages(&cell.id, range).await?;
        let stored = transcript::read(rows)?;
        let prompt = stored.iter().find(|stored| stored.seq == seen_turn);
        let prompt = prompt
            .map(|stored| last_text(&stored.message))
            .unwrap_or_default();
        let mut later = stored.iter().filter(|stored| stored.turn > seen_turn);
        let is_missed = |stored: &Stored| transcript::is_for_models(&stored.message);
        Ok((prompt, !later.any(is_missed)))
    }
}

/// Whether it was used after Baton has used it.
fn is_news(updated_ms: u64, outside: Outside) -> bool {
    updated_ms > outside.known_ms.saturating_add(OWN_WRITES_MS)
}

/// The text that ends a prompt, as its agent was given it.
fn last_text(message: &MessageWithParts) -> String {
    let mut texts = message.parts.iter().rev().filter_map(|part| match part {
        Part::Text(text)
            if text.ignored != Some(true)
                && transcript::file_of(text.metadata.as_ref()).is_none() =>
        {
            Some(text.text.clone())
        }
        _ => None,
    });
    texts.next().unwrap_or_default()
}
