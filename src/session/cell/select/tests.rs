use proptest::prelude::*;

use super::*;
use crate::registry::fixture::snapshot;
use crate::registry::{ModelWish, VariantWish, Wish};
use crate::session::cell::Birth;
use crate::session::request::Update;

fn fresh() -> SessionState {
    let mut state = SessionState::new(Birth {
        directory: "/project".into(),
        project_id: "global".into(),
        path: "project".into(),
        title: Some("t".into()),
        ..Birth::default()
    });
    (state.time.created, state.time.updated) = (1, 1);
    state.kept.title_is_default = true;
    state
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let provider = prop::sample::select(vec!["claude", "codex", "fast", "broken", "nope"]);
    let model = prop::sample::select(vec!["opus", "shared", "gpt/mini", "small", "x", "nope"]);
    let model = (provider, model).prop_map(|(p, m)| ModelWish {
        provider_id: p.into(),
        model_id: m.into(),
    });
    let variant = prop_oneof![
        3 => Just(VariantWish::Keep),
        1 => Just(VariantWish::Default),
        2 => prop::sample::select(vec!["low", "high", "max", "nope"]).prop_map(VariantWish::named),
    ];
    let agent = prop::option::of(prop::sample::select(vec![
        "build",
        "plan",
        "codex",
        "acceptEdits",
        "nope",
    ]));
    (prop::option::of(model), variant, agent).prop_map(|(model, variant, agent)| Wish {
        model,
        variant,
        agent: agent.map(Into::into),
    })
}

fn any_update() -> impl Strategy<Value = Update> {
    let title = prop::option::of(prop::sample::select(vec!["t", "u", ""]));
    let if_match = prop::option::weighted(0.2, 0..20u64);
    (any_wish(), title, if_match).prop_map(|(wish, title, if_match)| Update {
        wish,
        title: title.map(Into::into),
        if_match,
        ..Update::default()
    })
}

proptest! {
    /// Whatever is asked in whatever order: a refusal and a no-op change nothing, a change makes
    /// exactly one revision, and what is selected can be had.
    #[test]
    fn sequences_of_updates_keep_the_invariants(updates in prop::collection::vec(any_update(), 1..40)) {
        let registry = snapshot();
        let mut state = fresh();
        for (at, update) in updates.into_iter().enumerate() {
            let before = state.clone();
            match plan(&state, &update, &registry, 100 + at as u64) {
                Err(Error::RevisionConflict { revision, .. }) => {
                    prop_assert_ne!(update.if_match, Some(before.revision));
                    prop_assert_eq!(revision, before.revision);
                }
                Err(_) => prop_assert!(registry.resolve(before.selection.as_ref(), &update.wish).is_err()),
                Ok(None) => {
                    prop_assert!(update.title.is_none_or(|t| t == before.title));
                }
                Ok(Some(planned)) => {
                    prop_assert_ne!(&planned.next, &before);
                    prop_assert_eq!(planned.next.revision, before.revision + 1);
                    let switched = planned.next.selection != before.selection;
                    prop_assert_eq!(planned.switch.is_some(), switched);
                    prop_assert_eq!(planned.next.kept.selection_revision == planned.next.revision, switched);
                    state = planned.next;
                    prop_assert!(plan(&state, &Update { if_match: None, ..update }, &registry, 0).is_ok_and(|again| again.is_none()),
                        "the same update again is a no-op");
                }
            }
            if let Some(selection) = &state.selection {
                let info = registry.catalogue(&selection.provider_id).and_then(|c| c.model(&selection.model_id));
                prop_assert!(info.is_some());
                let variants = info.and_then(|i| i.variants.clone()).unwrap_or_default();
                prop_assert!(selection.variant.as_ref().is_none_or(|v| variants.contains(v)));
            }
        }
    }
}

#[test]
fn a_new_title_alone_does_not_touch_the_time() {
    let state = fresh();
    let update = Update {
        title: Some("new".into()),
        ..Update::default()
    };
    let planned = plan(&state, &update, &snapshot(), 99)
        .expect("valid")
        .expect("a change");
    assert_eq!(
        (
            planned.next.time.updated,
            planned.next.kept.title_is_default
        ),
        (1, false)
    );
    let update = Update {
        archived: Some(5),
        ..Update::default()
    };
    let planned = plan(&state, &update, &snapshot(), 99)
        .expect("valid")
        .expect("a change");
    assert_eq!(
        (planned.next.time.updated, planned.next.time.archived),
        (99, Some(5))
    );
}
