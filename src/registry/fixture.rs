//! A registry for tests: backends as real ones are, without processes.

use std::sync::Arc;

use super::{Backend, Catalogue, ModelInfo, Snapshot, Status, SwitchMethod};
use crate::agent::client::AgentInfo;
use crate::agent::options::ChoiceValue;
use crate::agent::spec::AgentSpec;

fn model(id: &str, variants: &[&str]) -> ModelInfo {
    ModelInfo {
        id: id.into(),
        name: id.to_uppercase(),
        variants: Some(variants.iter().map(|&v| v.into()).collect()),
        default_variant: variants.first().map(|&v| v.into()),
        context_tokens: None,
        is_configured: false,
    }
}

fn backend(id: &str, status: Status, models: Vec<ModelInfo>, modes: &[&str]) -> Arc<Backend> {
    let modes: Vec<_> = modes
        .iter()
        .map(|&m| ChoiceValue {
            id: m.into(),
            name: m.into(),
        })
        .collect();
    let catalogue = Catalogue {
        info: AgentInfo::default(),
        default_model: models[0].id.clone(),
        models,
        default_mode: modes.first().map(|m| m.id.clone()),
        plan_mode: modes.iter().find(|m| m.id == "plan").map(|m| m.id.clone()),
        modes,
        switch: SwitchMethod::ConfigOption,
        one_provider: false,
        commands: Vec::new(),
    };
    let spec = AgentSpec::from_config(id, vec!["true".into()]);
    Arc::new(Backend::new(spec, status, Some(catalogue)))
}

/// Three backends that run, one that does not. `fast` has no plan mode; `shared` is a model of two.
pub fn snapshot() -> Snapshot {
    let efforts = ["low", "medium", "high"];
    let backends = vec![
        backend(
            "claude",
            Status::Connected,
            vec![model("opus", &efforts), model("shared", &["high", "max"])],
            &["default", "plan", "acceptEdits"],
        ),
        backend(
            "codex",
            Status::Connected,
            vec![model("gpt/mini", &[]), model("shared", &[])],
            &["agent", "plan"],
        ),
        backend(
            "fast",
            Status::Connected,
            vec![model("small", &["low"])],
            &[],
        ),
        backend(
            "broken",
            Status::Unavailable("The program is missing. Install it.".into()),
            vec![model("x", &[])],
            &[],
        ),
    ];
    Snapshot {
        backends,
        ..Snapshot::default()
    }
}
