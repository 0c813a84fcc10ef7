//! What was said last: it may be an error of its agent's, and no answer.

use super::Answering;
use crate::opencode::event::EventPayload;
use crate::opencode::message::Part;

impl Answering {
    /// The text that was said last.
    pub(crate) fn last_text(&self) -> String {
        let texts = self.parts.iter().rev().find_map(|part| match part {
            Part::Text(text) => Some(text.text.clone()),
            _ => None,
        });
        texts.unwrap_or_default()
    }

    /// What was said last, where that is the last of the answer, and whether there is more before it.
    pub(crate) fn last_words(&self) -> Option<(&str, bool)> {
        let (last, before) = self.parts.split_last()?;
        let Part::Text(last) = last else { return None };
        let is_said = |part: &Part| !matches!(part, Part::StepStart(_));
        Some((&last.text, before.iter().any(is_said)))
    }

    /// What was said last is an error of its agent's: it stays to be read, and no model is given it.
    pub(crate) fn ends_with_error(&mut self) -> Vec<EventPayload> {
        let mut events = Vec::new();
        self.close_open(&mut events);
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.ignored = Some(true);
            events.push(self.changed(self.parts.len() - 1));
        }
        events
    }
}
