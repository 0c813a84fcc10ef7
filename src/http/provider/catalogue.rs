//! From the registry's backends to OpenCode's providers.

use std::collections::BTreeMap;

use serde_json::{Map, json};

use crate::agent::spec::Origin;
use crate::opencode::provider::{
    Modalities, Model, ModelApi, ModelCapabilities, ModelCost, ModelLimit, Provider, ProviderSource,
};
use crate::registry::{Backend, Catalogue, ModelInfo, Snapshot, Status};

/// What OpenCode has for a context whose size is not known: its clients show no percentage then.
const UNKNOWN_CONTEXT_TOKENS: u64 = 0;
/// The output limit that is shown, in tokens; agents do not report it.
const UNKNOWN_OUTPUT_TOKENS: u64 = 32_000;
/// The provider under which OpenCode's clients sell models of their own: one that costs nothing there is
/// "free" to them. What the models of the agent of that name cost is not known.
const OPENCODE_ZEN: &str = "opencode";
/// A price that is not zero, which no sum of a session will show; in US dollars for a million tokens.
const UNKNOWN_PRICE: f64 = 0.000_001;
/// How a model is reached, where OpenCode names an npm package.
const PROTOCOL: &str = "acp";

/// The backends that can run, in order of preference.
pub(crate) fn connected(snapshot: &Snapshot) -> Vec<Provider> {
    let backends = snapshot.backends.iter();
    backends
        .filter(|backend| backend.connected().is_some())
        .map(|backend| provider(backend))
        .collect()
}

/// Every backend, in order of preference. OpenCode's clients offer the models of those that are connected only, and one
/// without models looks to them like one that nobody has signed in to.
pub(crate) fn all(snapshot: &Snapshot) -> Vec<Provider> {
    let backends = snapshot.backends.iter();
    backends.map(|backend| provider(backend)).collect()
}

/// The model that each backend that can run starts with.
pub(crate) fn defaults(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let configured = snapshot.defaults.model.as_ref();
    let default = |backend: &Backend| {
        let id = &backend.spec.id;
        let chosen = configured
            .filter(|c| c.provider_id == *id)
            .map(|c| &c.model_id);
        let model = chosen.unwrap_or(&backend.connected()?.default_model);
        Some((id.clone(), model.clone()))
    };
    snapshot
        .backends
        .iter()
        .filter_map(|b| default(b))
        .collect()
}

fn provider(backend: &Backend) -> Provider {
    let spec = &backend.spec;
    let catalogue = backend.catalogue.as_ref();
    let models = catalogue.into_iter().flat_map(|catalogue| {
        let models = catalogue.models.iter();
        models.map(|m| (m.id.clone(), model(&spec.id, catalogue, m)))
    });
    Provider {
        id: spec.id.clone(),
        name: spec.name.clone(),
        source: match spec.origin {
            // Clients take this one for "nothing is configured".
            Origin::Builtin if backend.status != Status::Connected => ProviderSource::Custom,
            Origin::Builtin => ProviderSource::Api,
            Origin::Config => ProviderSource::Config,
        },
        env: Vec::new(),
        options: Map::new(),
        models: models.collect(),
    }
}

fn model(provider: &str, catalogue: &Catalogue, info: &ModelInfo) -> Model {
    let variants = info.variants.as_deref().unwrap_or_default();
    let image = catalogue.info.capabilities.image;
    let text = Modalities {
        text: true,
        audio: false,
        image: false,
        video: false,
        pdf: false,
    };
    Model {
        id: info.id.clone(),
        provider_id: provider.to_owned(),
        api: ModelApi {
            id: info.id.clone(),
            url: String::new(),
            npm: PROTOCOL.to_owned(),
        },
        name: info.name.clone(),
        capabilities: ModelCapabilities {
            temperature: false,
            reasoning: !variants.is_empty(),
            attachment: image,
            toolcall: true,
            input: Modalities { image, ..text },
            output: text,
            interleaved: false,
        },
        cost: cost(provider),
        limit: ModelLimit {
            context: info.context_tokens.unwrap_or(UNKNOWN_CONTEXT_TOKENS),
            output: UNKNOWN_OUTPUT_TOKENS,
        },
        status: "active".to_owned(),
        options: Map::new(),
        headers: Map::new(),
        release_date: String::new(),
        variants: variants.iter().map(|v| (v.clone(), json!({}))).collect(),
    }
}

/// No price, since agents bill by themselves.
fn cost(provider: &str) -> ModelCost {
    let input = if provider == OPENCODE_ZEN {
        UNKNOWN_PRICE
    } else {
        0.0
    };
    ModelCost {
        input,
        ..ModelCost::default()
    }
}
