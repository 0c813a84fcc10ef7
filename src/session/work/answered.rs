//! Which model has answered, by what its agent reports: the selection is only what was wished for.

use super::Worker;
use super::live::Live;
use super::outcome::{Ended, Outcome};
use crate::agent::options::Kind;
use crate::agent::quirks::told;
use crate::opencode::Selection;
use crate::registry::Catalogue;
use crate::session::cell::LiveAnswer;

/// What agents call "whichever I think best": whatever answers is what was wished.
const ANY_MODEL: [&str; 2] = ["auto", "default"];

impl Worker {
    /// The model of an answer, where its agent reports another than the selected one and the backend lists it. The live
    /// native session has that one now: the next prompt selects again.
    pub(super) fn model_that_answered(
        &self,
        outcome: &Outcome,
        live: Option<&mut Live>,
        answer: &LiveAnswer,
        selection: &Selection,
    ) -> Option<String> {
        let in_reply = match &outcome.ended {
            Ended::Replied(Ok(reply)) => told::model(reply).map(str::to_owned),
            _ => None,
        };
        let told = in_reply.or_else(|| answer.lock().told_model().map(str::to_owned))?;
        let snapshot = self.tools.office.registry.at(&self.cell.directory);
        let catalogue = snapshot.catalogue(&selection.provider_id)?;
        // Anything else may be the vendor's own name of the model that was selected.
        let told = with_provider(told, &selection.model_id, catalogue);
        let is_other = told != selection.model_id && catalogue.model(&told).is_some();
        if !is_other {
            return None;
        }
        if let Some(live) = live {
            live.options.note_current(Kind::Model, &told);
        }
        Some(told)
    }
}

/// A model as the catalogue names it: where models are below providers, agents name them without.
fn with_provider(told: String, selected: &str, catalogue: &Catalogue) -> String {
    if catalogue.model(&told).is_some() {
        return told;
    }
    let mut below = selected
        .match_indices('/')
        .map(|(at, _)| format!("{}/{told}", &selected[..at]));
    let known = below.find(|id| catalogue.model(id).is_some());
    known.unwrap_or(told)
}

/// Whether an answer by another model is news to the user.
pub(super) fn was_wished(selection: &Selection) -> bool {
    !ANY_MODEL.contains(&selection.model_id.as_str())
}
