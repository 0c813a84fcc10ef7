//! What bodies say about a selection. There are three forms, one per kind of request.

use serde::Deserialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::read::refusal;
use crate::opencode::session::MessageModel;
use crate::registry::{ModelWish, VariantWish, Wish};
use crate::session::ChainWish;

/// The two forms of a model disagree.
const TWO_MODELS: &str =
    "model says something else than providerID and modelID; send one of the two";

/// A session's model in a request: `modelID` or, as OpenCode writes it in a session, `id`.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionModelInput {
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The model's id, verbatim as the backend advertises it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: Option<String>,
    /// Another name for `modelID`; one of the two is needed.
    #[schema(format = "bound:name")]
    pub id: Option<String>,
    /// The reasoning effort; `default` or null for the model's default.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
}

/// A model of a chain.
#[derive(Debug, Deserialize, ToSchema)]
pub struct FallbackModelInput {
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "codex")]
    pub provider_id: String,
    /// The model's id, verbatim as the backend advertises it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "gpt-5")]
    pub model_id: String,
    /// The reasoning effort; `default`, null or left out for the model's default.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
}

/// The chain of a body: null stands for the server's own.
pub fn chain(said: Option<Vec<FallbackModelInput>>) -> ChainWish {
    let Some(models) = said else {
        return ChainWish::Default;
    };
    let model = |model: FallbackModelInput| MessageModel {
        provider_id: model.provider_id,
        model_id: model.model_id,
        variant: match model.variant {
            VariantWish::Set(variant) => Some(variant),
            VariantWish::Keep | VariantWish::Unsaid | VariantWish::Default => None,
        },
    };
    ChainWish::Set(models.into_iter().map(model).collect())
}

/// The model of a prompt.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PromptModel {
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The model's id, verbatim as the backend advertises it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: String,
}

/// A model in a request of OpenCode 2.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2ModelInput {
    /// The model's id, verbatim as the backend advertises it.
    #[schema(format = "bound:name", example = "opus")]
    pub id: String,
    /// The backend's id.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: String,
    /// The reasoning effort; left out, the model's default.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
}

/// `providerID` and `modelID` of a body, which come together.
pub type Halves = (Option<String>, Option<String>);

/// The wish of a session's own body: `providerID` and `modelID`, or `model`, and `variant` and `agent`.
///
/// # Errors
/// When half a model is named, or when the two forms disagree.
pub fn of_session(
    halves: Halves,
    model: Option<SessionModelInput>,
    variant: VariantWish,
    agent: Option<String>,
) -> Result<Wish, Problem> {
    let flat = whole(halves)?;
    let (nested, variant) = match model.map(of_object).transpose()? {
        None => (None, variant),
        Some((nested, inner)) => (Some(nested), agreed(variant, inner)?),
    };
    Ok(Wish {
        model: one_of(flat, nested)?,
        variant,
        agent,
    })
}

/// The wish of a message: `model` with `providerID` and `modelID`, or these two at the top level as older clients send
/// them, and `variant` and `agent`.
/// A client that names a model and no variant means the model's default.
///
/// # Errors
/// When half a model is named, or when the two forms disagree.
pub fn of_message(
    halves: Halves,
    model: Option<PromptModel>,
    variant: VariantWish,
    agent: Option<String>,
) -> Result<Wish, Problem> {
    let nested = model.map(|model| ModelWish {
        provider_id: model.provider_id,
        model_id: model.model_id,
    });
    let model = one_of(whole(halves)?, nested)?;
    Ok(of_named(model, variant, agent))
}

/// The wish of OpenCode 2: a model without a variant means the model's default.
pub fn of_v2(model: Option<V2ModelInput>, agent: Option<String>) -> Wish {
    let Some(model) = model else {
        return of_named(None, VariantWish::Keep, agent);
    };
    let wish = ModelWish {
        provider_id: model.provider_id,
        model_id: model.id,
    };
    of_named(Some(wish), model.variant, agent)
}

/// A model that is named without a variant comes with its default, or with what the agent has for it.
fn of_named(model: Option<ModelWish>, variant: VariantWish, agent: Option<String>) -> Wish {
    let variant = match variant {
        VariantWish::Keep if model.is_some() => VariantWish::Unsaid,
        said => said,
    };
    Wish {
        model,
        variant,
        agent,
    }
}

/// The model that both forms name, or one of them.
fn one_of(
    flat: Option<ModelWish>,
    nested: Option<ModelWish>,
) -> Result<Option<ModelWish>, Problem> {
    match (flat, nested) {
        (Some(flat), Some(nested)) if flat != nested => Err(refusal(&["model"], TWO_MODELS)),
        (flat, nested) => Ok(nested.or(flat)),
    }
}

fn of_object(model: SessionModelInput) -> Result<(ModelWish, VariantWish), Problem> {
    if let (Some(long), Some(short)) = (&model.model_id, &model.id)
        && long != short
    {
        let message = "id says something else than modelID; send one of the two";
        return Err(refusal(&["model", "id"], message));
    }
    let model_id = model.model_id.or(model.id);
    let wish = ModelWish {
        provider_id: model.provider_id,
        model_id: model_id.ok_or_else(|| half(&["model", "modelID"], "modelID"))?,
    };
    Ok((wish, model.variant))
}

fn half(at: &[&str], missing: &str) -> Problem {
    let message = format!("providerID and modelID come together; {missing} is missing");
    refusal(at, message)
}

/// Both halves of a model, or neither.
fn whole((provider_id, model_id): Halves) -> Result<Option<ModelWish>, Problem> {
    match (provider_id, model_id) {
        (Some(provider_id), Some(model_id)) => Ok(Some(ModelWish {
            provider_id,
            model_id,
        })),
        (Some(_), None) => Err(half(&["modelID"], "modelID")),
        (None, Some(_)) => Err(half(&["providerID"], "providerID")),
        (None, None) => Ok(None),
    }
}

fn agreed(outer: VariantWish, inner: VariantWish) -> Result<VariantWish, Problem> {
    match (outer, inner) {
        (VariantWish::Keep, inner) => Ok(inner),
        (outer, VariantWish::Keep) => Ok(outer),
        (outer, inner) if outer == inner => Ok(outer),
        _ => {
            let message = "variant says something else than model.variant; send one of the two";
            Err(refusal(&["variant"], message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::extract::IfMatch;
    use crate::http::message::prompt::PromptInput;
    use crate::http::read;
    use crate::http::session::update::SessionUpdateInput;
    use crate::http::v2::session::act::SwitchModelInput;
    use crate::session::Sizes;

    type Of = fn(&Value) -> Result<Wish, Problem>;

    fn session(body: &Value) -> Result<Wish, Problem> {
        let input: SessionUpdateInput = read::body(Some(body), &Sizes::default())?;
        Ok(input.into_update(IfMatch(None))?.wish)
    }

    fn message(body: &Value) -> Result<Wish, Problem> {
        let mut body = body.clone();
        if let Some(body) = body.as_object_mut() {
            body.insert("parts".to_owned(), json!([{ "type": "text", "text": "x" }]));
        }
        let input: PromptInput = read::body(Some(&body), &Sizes::default())?;
        Ok(input.into_prompt(&Sizes::default())?.wish)
    }

    fn second(body: &Value) -> Result<Wish, Problem> {
        let input: SwitchModelInput = read::body(Some(body), &Sizes::default())?;
        Ok(of_v2(Some(input.model), None))
    }

    fn read(body: Value, of: Of) -> Result<Wish, String> {
        of(&body).map_err(|e| e.message())
    }

    fn wish(model: Option<(&str, &str)>, variant: VariantWish, agent: Option<&str>) -> Wish {
        Wish {
            model: model.map(|(provider, model)| ModelWish {
                provider_id: provider.to_owned(),
                model_id: model.to_owned(),
            }),
            variant,
            agent: agent.map(str::to_owned),
        }
    }

    #[test]
    fn a_session_takes_both_forms_of_a_model() {
        let m = Some(("p", "m/1"));
        let high = || VariantWish::Set("high".to_owned());
        for (body, expected) in [
            (json!({}), wish(None, VariantWish::Keep, None)),
            (
                json!({"providerID": "p", "modelID": "m/1"}),
                wish(m, VariantWish::Keep, None),
            ),
            (
                json!({"model": {"providerID": "p", "modelID": "m/1"}}),
                wish(m, VariantWish::Keep, None),
            ),
            (
                json!({"model": {"providerID": "p", "id": "m/1"}, "variant": "high"}),
                wish(m, high(), None),
            ),
            (
                json!({"model": {"providerID": "p", "id": "m/1", "modelID": "m/1", "variant": "high"},
                    "providerID": "p", "modelID": "m/1", "variant": "high", "agent": "plan"}),
                wish(m, high(), Some("plan")),
            ),
            (
                json!({"variant": null}),
                wish(None, VariantWish::Default, None),
            ),
            (
                json!({"variant": "default", "agent": null}),
                wish(None, VariantWish::Default, None),
            ),
            (
                json!({"model": null, "agent": "build"}),
                wish(None, VariantWish::Keep, Some("build")),
            ),
        ] {
            assert_eq!(read(body.clone(), session), Ok(expected), "{body}");
        }
    }

    #[test]
    fn a_session_refuses_halves_and_contradictions() {
        for (body, at, word) in [
            (
                json!({"providerID": "p"}),
                "[\"modelID\"]",
                "modelID is missing",
            ),
            (
                json!({"modelID": "m"}),
                "[\"providerID\"]",
                "providerID is missing",
            ),
            (
                json!({"modelID": "m", "providerID": null}),
                "[\"providerID\"]",
                "missing",
            ),
            (
                json!({"model": {"providerID": "p"}}),
                "[\"model\"][\"modelID\"]",
                "missing",
            ),
            (
                json!({"model": {"id": "m"}}),
                "[\"model\"][\"providerID\"]",
                "Missing key",
            ),
            (
                json!({"model": {}}),
                "[\"model\"][\"providerID\"]",
                "Missing key",
            ),
            (
                json!({"model": "p/m"}),
                "[\"model\"]",
                "Expected object, got \"p/m\"",
            ),
            (
                json!({"model": {"providerID": "p", "id": "a", "modelID": "b"}}),
                "[\"model\"][\"id\"]",
                "else",
            ),
            (
                json!({"model": {"providerID": "p", "id": "a"}, "providerID": "p", "modelID": "b"}),
                "[\"model\"]",
                "else",
            ),
            (
                json!({"model": {"providerID": "p", "id": "a", "variant": "low"}, "variant": null}),
                "[\"variant\"]",
                "else",
            ),
            (
                json!({"model": {"provider_id": "p"}}),
                "[\"model\"][\"provider_id\"]",
                "\"providerID\"",
            ),
            (json!({"modelid": "p"}), "[\"modelid\"]", "\"modelID\""),
            (
                json!({"agent": 5}),
                "[\"agent\"]",
                "Expected string | null, got 5",
            ),
            (json!({"variant": {}}), "[\"variant\"]", "got object"),
        ] {
            let refused = read(body.clone(), session).expect_err("refused");
            assert!(
                refused.ends_with(&format!("\n  at {at}")),
                "{body}: {refused}"
            );
            assert!(refused.contains(word), "{body}: {refused}");
        }
    }

    #[test]
    fn a_message_without_a_variant_means_the_default_of_the_model_it_names() {
        let model = json!({"providerID": "p", "modelID": "m"});
        let m = Some(("p", "m"));
        for (body, expected) in [
            (json!({}), wish(None, VariantWish::Keep, None)),
            (json!({"model": model}), wish(m, VariantWish::Unsaid, None)),
            (
                json!({"model": model, "variant": "low"}),
                wish(m, VariantWish::Set("low".to_owned()), None),
            ),
            (
                json!({"variant": "low"}),
                wish(None, VariantWish::Set("low".to_owned()), None),
            ),
            (
                json!({"providerID": "p", "modelID": "m"}),
                wish(m, VariantWish::Unsaid, None),
            ),
            (
                json!({"providerID": "p", "modelID": "m", "model": model}),
                wish(m, VariantWish::Unsaid, None),
            ),
        ] {
            assert_eq!(read(body.clone(), message), Ok(expected), "{body}");
        }
        for body in [
            json!({"providerID": "p"}),
            json!({"modelID": "m"}),
            json!({"providerID": "p", "modelID": "other", "model": model}),
        ] {
            assert!(read(body.clone(), message).is_err(), "{body}");
        }
        let refused = read(json!({"model": {"providerID": "p", "id": "m"}}), message);
        assert_eq!(
            refused,
            Err("Missing key\n  at [\"model\"][\"modelID\"]".to_owned())
        );
    }

    #[test]
    fn opencode_2_names_the_model_id_id() {
        let body = json!({"model": {"providerID": "p", "id": "m"}});
        assert_eq!(
            read(body, second),
            Ok(wish(Some(("p", "m")), VariantWish::Unsaid, None))
        );
        assert_eq!(
            read(json!({}), second),
            Err("Missing key\n  at [\"model\"]".to_owned())
        );
    }
}
