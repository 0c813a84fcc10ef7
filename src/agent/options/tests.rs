use serde_json::json;

use super::*;

fn select(id: &str, category: &str, current: &str, values: &[&str]) -> Value {
    let options: Vec<_> = values
        .iter()
        .map(|v| json!({"value": v, "name": v}))
        .collect();
    json!({"id": id, "name": id, "category": category, "type": "select", "currentValue": current, "options": options})
}

#[test]
fn config_options_win_over_legacy_fields() {
    let reply = json!({
        "configOptions": [select("m", "model", "a", &["a", "b"]), select("e", "thought_level", "low", &["low"]),
            {"id": "x", "type": "from-the-future"}],
        "models": {"currentModelId": "old", "availableModels": [{"modelId": "old"}]},
        "modes": {"currentModeId": "build", "availableModes": [{"id": "build", "name": "Build"}, {"id": "plan"}]},
    });
    let options = Options::from_session_reply(&reply);
    let model = options.model.expect("model");
    assert_eq!(
        (model.current.as_str(), model.ids()),
        ("a", vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(model.via, Via::ConfigOption("m".into()));
    assert_eq!(options.mode.expect("mode").via, Via::SetMode);
    assert_eq!(options.variant.expect("variant").current, "low");
}

#[test]
fn the_model_is_chosen_by_the_option_for_models_and_the_current_one_is_one() {
    for provider in ["provider", "modelProvider", "from"] {
        let two = json!({"configOptions": [
            select(provider, "model", "p1", &["p1", "p1/x"]), select("model", "model", "m3", &["m1", "m2"])]});
        let options = Options::from_session_reply(&two);
        let providers = options.providers.clone().expect("providers");
        assert_eq!(providers.via, Via::ConfigOption(provider.into()));
        let model = options.model.as_ref().expect("model");
        assert_eq!(model.via, Via::ConfigOption("model".into()));
        assert_eq!(
            (model.current.as_str(), model.ids()),
            (
                "p1/m3",
                vec!["p1/m1".into(), "p1/m2".into(), "p1/m3".into()]
            )
        );
        assert_eq!(options.provider_of("p1/x/m"), Some("p1/x"));
        assert_eq!(options.sent(Kind::Model, "p1/m1"), "m1");
        assert_eq!(options.provider_of("p2/m1"), None);
    }
    let no_provider = json!({"configOptions": [
        select("small_model", "model", "a", &["a"]), select("model", "model", "b", &["b"])]});
    assert_eq!(Options::from_session_reply(&no_provider).providers, None);
    let older =
        json!({"models": {"currentModelId": "gone", "availableModels": [{"modelId": "m1"}]}});
    let model = Options::from_session_reply(&older).model.expect("model");
    assert!(model.offers("gone") && model.offers("m1"));
}

#[test]
fn an_effort_goes_away_with_the_model_that_had_it_and_a_legacy_mode_stays() {
    let mut options = Options::from_session_reply(&json!({
        "configOptions": [select("m", "model", "a", &["a", "b"]), select("e", "thought_level", "low", &["low"])],
        "modes": {"currentModeId": "build", "availableModes": [{"id": "build"}]},
    }));
    assert!(
        options.read_config_options(
            &json!({"configOptions": [select("m", "model", "b", &["a", "b"])]})
        )
    );
    assert_eq!(
        options.model.as_ref().map(|m| m.current.as_str()),
        Some("b")
    );
    assert!(options.variant.is_none());
    assert!(options.mode.is_some());
    assert!(!options.read_config_options(&json!({})));
}

#[test]
fn an_option_is_read_although_nothing_is_chosen_or_has_no_name() {
    let null = json!({"id": "model", "category": "model", "type": "select", "currentValue": null,
        "options": [{"value": "a"}, {"value": "b", "name": null}]});
    let missing = json!({"id": "model", "name": "Model", "category": "model", "type": "select",
        "options": [{"group": "g", "options": [{"value": "a"}, {"value": "b"}]}]});
    for option in [null, missing] {
        let options = Options::from_session_reply(&json!({"configOptions": [option]}));
        let model = options.model.expect("model");
        assert_eq!(
            (model.current.as_str(), model.ids()),
            ("", vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(model.values[0].name, "a");
    }
    let legacy = json!({"models": {"currentModelId": null, "availableModels": [{"modelId": "a"}]}});
    assert_eq!(
        Options::from_session_reply(&legacy)
            .model
            .expect("model")
            .ids(),
        ["a"]
    );
}

#[test]
fn five_thousand_models_are_known_and_floods_are_cut() {
    let models = |count: usize| -> Vec<Value> {
        let model = |n| json!({"value": format!("m{n}"), "name": "x".repeat(1_000)});
        (0..count).map(model).collect()
    };
    let read = |models: Vec<Value>| {
        let option = json!({"id": "model", "name": "Model", "category": "model", "type": "select",
            "currentValue": "m0", "options": models});
        let noise = vec![json!({"id": "x", "type": "boolean"}); 100];
        let list = [vec![option], noise].concat();
        let options = Options::from_session_reply(&json!({ "configOptions": list }));
        options.model.expect("models").values
    };
    let known = read(models(5_000));
    assert_eq!(known.len(), 5_000);
    assert!(known.iter().all(|m| m.name.len() == NAME_MAX_CHARS));
    assert_eq!(read(models(VALUES_MAX + 1)).len(), VALUES_MAX);
    let nameless = json!({"value": "y".repeat(ID_MAX_BYTES + 1), "name": "Y"});
    // The one that is chosen is there all the same.
    let left: Vec<_> = read(vec![nameless]).into_iter().map(|m| m.id).collect();
    assert_eq!(left, ["m0"]);
}

#[test]
fn grouped_options_are_flattened_and_nonsense_is_ignored() {
    let grouped = json!({"configOptions": [{"id": "model", "name": "Model", "category": "model", "type": "select", "currentValue": "a",
        "options": [{"group": "g", "name": "G", "options": [{"value": "a", "name": "A"}]}]}]});
    assert_eq!(
        Options::from_session_reply(&grouped)
            .model
            .expect("model")
            .ids(),
        ["a"]
    );
    for nonsense in [
        json!(null),
        json!({"configOptions": 5}),
        json!({"models": []}),
        json!({"modes": {"currentModeId": 1}}),
    ] {
        assert_eq!(Options::from_session_reply(&nonsense), Options::default());
    }
}
