use super::*;
use crate::registry::fixture::snapshot;

fn model(provider: &str, model: &str) -> Option<ModelWish> {
    Some(ModelWish {
        provider_id: provider.into(),
        model_id: model.into(),
    })
}

fn selection(provider: &str, model: &str, variant: Option<&str>, agent: &str) -> Selection {
    Selection {
        provider_id: provider.into(),
        model_id: model.into(),
        variant: variant.map(Into::into),
        agent: agent.into(),
        mode: None,
    }
}

fn wish(model: Option<ModelWish>, agent: Option<&str>) -> Wish {
    Wish {
        model,
        variant: VariantWish::Keep,
        agent: agent.map(Into::into),
    }
}

#[test]
fn what_a_wish_leaves_out_stays() {
    let current = selection("claude", "opus", Some("high"), "plan");
    let resolved = snapshot()
        .resolve(Some(&current), &wish(model("codex", "gpt/mini"), None))
        .expect("resolves");
    assert_eq!(
        resolved.selection,
        selection("codex", "gpt/mini", None, "plan")
    );
    assert!(resolved.variant_reset, "the new model has no variants");
    let resolved = snapshot()
        .resolve(Some(&current), &wish(None, Some("build")))
        .expect("resolves");
    assert_eq!(
        resolved.selection,
        selection("claude", "opus", Some("high"), "build")
    );
}

#[test]
fn a_variant_is_kept_where_the_new_model_has_it() {
    let current = selection("claude", "opus", Some("high"), "build");
    let kept = snapshot()
        .resolve(Some(&current), &wish(model("claude", "shared"), None))
        .expect("resolves");
    assert_eq!(
        (kept.selection.variant.as_deref(), kept.variant_reset),
        (Some("high"), false)
    );
    let current = selection("claude", "opus", Some("low"), "build");
    let reset = snapshot()
        .resolve(Some(&current), &wish(model("claude", "shared"), None))
        .expect("resolves");
    assert_eq!((reset.selection.variant, reset.variant_reset), (None, true));
}

#[test]
fn a_backends_name_is_an_agent() {
    let current = selection("claude", "opus", None, "plan");
    let resolved = snapshot()
        .resolve(Some(&current), &wish(None, Some("codex")))
        .expect("resolves");
    assert_eq!(
        resolved.selection,
        selection("codex", "gpt/mini", None, "plan")
    );
    let same = snapshot()
        .resolve(Some(&current), &wish(None, Some("claude")))
        .expect("resolves");
    assert_eq!(same.selection, current);
    let error = snapshot()
        .resolve(None, &wish(model("claude", "opus"), Some("codex")))
        .expect_err("disagree");
    assert!(matches!(error, SelectError::UnknownAgent { .. }), "{error}");
}

#[test]
fn a_mode_is_never_widened_by_a_switch() {
    for agent in ["plan", "acceptEdits"] {
        let current = selection("claude", "opus", None, agent);
        let error = snapshot()
            .resolve(Some(&current), &wish(model("fast", "small"), None))
            .expect_err("has no such mode");
        let SelectError::UnknownAgent { available, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(available, ["build", "fast"]);
    }
}

#[test]
fn errors_say_what_there_is() {
    let fail = |m, a| {
        snapshot()
            .resolve(None, &wish(m, a))
            .expect_err("cannot be had")
    };
    let SelectError::UnknownProvider { suggestions, .. } = fail(model("cladue", "opus"), None)
    else {
        panic!()
    };
    assert_eq!(suggestions[0], "claude");
    let SelectError::UnknownProvider { suggestions, .. } = fail(model("openai", "gpt/mini"), None)
    else {
        panic!()
    };
    assert!(
        suggestions.contains(&"codex".to_owned()),
        "the backend that has the model: {suggestions:?}"
    );
    let SelectError::UnknownModel { suggestions, .. } = fail(model("claude", "opsu"), None) else {
        panic!()
    };
    assert_eq!(suggestions[0], "opus");
    let SelectError::NotConnected { reason, .. } = fail(model("broken", "x"), None) else {
        panic!()
    };
    assert!(reason.contains("Install"));
    let SelectError::UnknownAgent { available, .. } = fail(None, Some("nope")) else {
        panic!()
    };
    assert_eq!(
        available,
        ["build", "plan", "claude", "default", "acceptEdits"]
    );
    let variant = Wish {
        model: model("codex", "shared"),
        variant: VariantWish::named("high"),
        agent: None,
    };
    assert!(matches!(
        snapshot().resolve(None, &variant),
        Err(SelectError::UnknownVariant { .. })
    ));
}

#[test]
fn a_session_without_a_choice_gets_the_first_that_runs() {
    let mut registry = snapshot();
    assert_eq!(
        registry.default_selection().expect("one runs").provider_id,
        "claude"
    );
    registry.defaults.model = model("fast", "small");
    assert_eq!(registry.default_selection().ok(), model("fast", "small"));
    let none = Snapshot::default().resolve(None, &wish(None, Some("build")));
    assert_eq!(none, Err(SelectError::NothingToSelect));
}

#[test]
fn a_model_is_named_with_its_provider_and_may_have_slashes_of_its_own() {
    let model = ModelWish::parse("opencode/anthropic/claude").expect("a model");
    assert_eq!(
        (model.provider_id.as_str(), model.model_id.as_str()),
        ("opencode", "anthropic/claude")
    );
    for none in ["", "/", "mock", "/x", "x/"] {
        assert_eq!(ModelWish::parse(none), None, "{none}");
    }
}
