//! Whether a backend keeps the rules of a session. One that does not is refused, as one without a plan mode refuses `plan`:
//! Baton can answer what an agent asks, and nothing else stops an agent that does not ask.

use crate::agent::fence::{ANY_OTHER, Fence, Need};
use crate::registry::Snapshot;

/// Whether a backend can be made to keep to a fence.
///
/// # Errors
/// A sentence for the user: what cannot be kept, what can, and what to do.
pub(crate) fn can_keep(registry: &Snapshot, provider: &str, fence: &Fence) -> Result<(), String> {
    // One that is not there any more runs nothing.
    let Some(backend) = registry.backend(provider) else {
        return Ok(());
    };
    let keeps = &backend.spec.keeps;
    let unkept = keeps.unkept(fence);
    if unkept.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = unkept.iter().map(|one| named(*one)).collect();
    let others = registry
        .backends
        .iter()
        .filter(|other| other.connected().is_some() && other.spec.keeps.unkept(fence).is_empty());
    let others: Vec<_> = others.map(|other| other.spec.id.as_str()).collect();
    let instead = match others.is_empty() {
        true => String::new(),
        false => format!(
            " or select a backend that keeps them ({}),",
            others.join(", ")
        ),
    };
    Err(format!(
        "Backend \"{provider}\" cannot keep the session's permission rules: it may run tools without asking, and Baton has \
         no way to make it {}. It can keep {}. Allow these tools with a later rule,{instead} or say in [agents.{provider}] \
         of the config file how it is told (denies, asks).",
        named.join(", "),
        keeps.describe(),
    ))
}

fn named((permission, need): (&str, Need)) -> String {
    let what = match permission {
        ANY_OTHER => "all other tools",
        name => name,
    };
    match need {
        Need::Denied => format!("do without {what}"),
        Need::Asked => format!("ask before {what}"),
    }
}
