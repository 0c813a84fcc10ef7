//! Reads what a body wishes to select. There are three forms, one per kind of request.

use super::error::Problem;
use super::fields::Fields;
use crate::registry::{ModelWish, VariantWish, Wish};

/// The fields of a `model` object.
/// The fields of a `model` object.
pub const MODEL_FIELDS: &[&str] = &["providerID", "modelID", "id", "variant"];

/// The fields of a body that say what a session shall select.
pub const SELECTION_FIELDS: &[&str] = &["providerID", "modelID", "model", "variant", "agent"];

/// The two forms of a model disagree.
const TWO_MODELS: &str =
    "model says something else than providerID and modelID; send one of the two";

/// The wish of a session's own body: `providerID` and `modelID`, or `model`, and `variant` and `agent`.
///
/// # Errors
/// When half a model is named, when the two forms disagree, or when a type is wrong.
pub fn of_session(body: &Fields<'_>) -> Result<Wish, Problem> {
    let flat = model_of(body, body.string("modelID")?, "modelID")?;
    let outer_variant = variant_of(body)?;
    let nested = match body.object("model", MODEL_FIELDS)? {
        None => None,
        Some(model) => Some((model_object(&model, "modelID")?, variant_of(&model)?)),
    };
    let agent = body.string("agent")?.map(str::to_owned);
    let (model, variant) = match nested {
        None => (flat, outer_variant),
        Some((model, inner_variant)) => {
            if flat.is_some_and(|flat| flat != model) {
                return Err(body.refuse("model", TWO_MODELS));
            }
            (Some(model), agreed(body, outer_variant, inner_variant)?)
        }
    };
    Ok(Wish {
        model,
        variant,
        agent,
    })
}

/// The wish of a message: `model` with `providerID` and `modelID`, or these two beside the others as older clients send
/// them, and `variant` and `agent`.
/// A client that names a model and no variant means the model's default.
///
/// # Errors
/// When half a model is named, or when a type is wrong.
pub fn of_message(body: &Fields<'_>) -> Result<Wish, Problem> {
    let flat = model_of(body, body.string("modelID")?, "modelID")?;
    let model = match body.object("model", &["providerID", "modelID"])? {
        None => flat.clone(),
        Some(model) => Some(ModelWish {
            provider_id: model.required_string("providerID")?.to_owned(),
            model_id: model.required_string("modelID")?.to_owned(),
        }),
    };
    if flat.is_some_and(|flat| Some(&flat) != model.as_ref()) {
        return Err(body.refuse("model", TWO_MODELS));
    }
    let variant = match variant_of(body)? {
        VariantWish::Keep if model.is_some() => VariantWish::Default,
        said => said,
    };
    Ok(Wish {
        model,
        variant,
        agent: body.string("agent")?.map(str::to_owned),
    })
}

/// The wish of `POST …/init`: `providerID` and `modelID`.
///
/// # Errors
/// When only one of them is there, or when a type is wrong.
pub fn of_init(body: &Fields<'_>) -> Result<Wish, Problem> {
    let model = model_of(body, body.string("modelID")?, "modelID")?;
    let variant = match model {
        Some(_) => VariantWish::Default,
        None => VariantWish::Keep,
    };
    Ok(Wish {
        model,
        variant,
        agent: None,
    })
}

/// The wish of OpenCode 2's model route: `model` with `providerID`, `id` and perhaps `variant`.
///
/// # Errors
/// When something is missing, or when a type is wrong.
pub fn of_switch(body: &Fields<'_>) -> Result<Wish, Problem> {
    let model = body
        .object("model", MODEL_FIELDS)?
        .ok_or_else(|| body.missing("model"))?;
    let variant = match variant_of(&model)? {
        VariantWish::Keep => VariantWish::Default,
        said => said,
    };
    Ok(Wish {
        model: Some(model_object(&model, "id")?),
        variant,
        agent: None,
    })
}

/// A `model` object, whose model id is called `id` by some routes of OpenCode and `modelID` by others.
/// An error calls it by its usual name on that route.
fn model_object(model: &Fields<'_>, usual: &str) -> Result<ModelWish, Problem> {
    let (long, short) = (model.string("modelID")?, model.string("id")?);
    if let (Some(long), Some(short)) = (long, short)
        && long != short
    {
        return Err(model.refuse(
            "id",
            "id says something else than modelID; send one of the two",
        ));
    }
    model_of(model, long.or(short), usual)?.ok_or_else(|| model.missing("providerID"))
}

/// Both halves of a model, or none of them.
fn model_of(
    fields: &Fields<'_>,
    model: Option<&str>,
    model_name: &str,
) -> Result<Option<ModelWish>, Problem> {
    let half = |missing: &str| {
        let message = format!("providerID and {model_name} come together; {missing} is missing");
        fields.refuse(missing, &message)
    };
    match (fields.string("providerID")?, model) {
        (Some(provider), Some(model)) => Ok(Some(ModelWish {
            provider_id: provider.to_owned(),
            model_id: model.to_owned(),
        })),
        (Some(_), None) => Err(half(model_name)),
        (None, Some(_)) => Err(half("providerID")),
        (None, None) => Ok(None),
    }
}

/// The variant: absent keeps it, null takes the model's default.
///
/// # Errors
/// When it is no string.
pub fn variant_of(fields: &Fields<'_>) -> Result<VariantWish, Problem> {
    if fields.raw("variant").is_none() {
        return Ok(VariantWish::Keep);
    }
    let named = fields.string("variant")?.map(VariantWish::named);
    Ok(named.unwrap_or(VariantWish::Default))
}

fn agreed(
    body: &Fields<'_>,
    outer: VariantWish,
    inner: VariantWish,
) -> Result<VariantWish, Problem> {
    match (outer, inner) {
        (VariantWish::Keep, inner) => Ok(inner),
        (outer, VariantWish::Keep) => Ok(outer),
        (outer, inner) if outer == inner => Ok(outer),
        _ => {
            let message = "variant says something else than model.variant; send one of the two";
            Err(body.refuse("variant", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value, of: fn(&Fields<'_>) -> Result<Wish, Problem>) -> Result<Wish, String> {
        let fields = Fields::of_body(Some(&body), SELECTION_FIELDS).map_err(|e| e.message())?;
        of(&fields).map_err(|e| e.message())
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
            assert_eq!(read(body.clone(), of_session), Ok(expected), "{body}");
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
                "missing",
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
            let refused = read(body.clone(), of_session).expect_err("refused");
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
            (json!({"model": model}), wish(m, VariantWish::Default, None)),
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
                wish(m, VariantWish::Default, None),
            ),
            (
                json!({"providerID": "p", "modelID": "m", "model": model}),
                wish(m, VariantWish::Default, None),
            ),
        ] {
            assert_eq!(read(body.clone(), of_message), Ok(expected), "{body}");
        }
        for body in [
            json!({"providerID": "p"}),
            json!({"modelID": "m"}),
            json!({"providerID": "p", "modelID": "other", "model": model}),
        ] {
            assert!(read(body.clone(), of_message).is_err(), "{body}");
        }
        let refused = read(json!({"model": {"providerID": "p", "id": "m"}}), of_message);
        assert_eq!(
            refused,
            Err("Missing key\n  at [\"model\"][\"modelID\"]".to_owned())
        );
    }

    #[test]
    fn opencode_2_names_the_model_id_id() {
        let body = json!({"model": {"providerID": "p", "id": "m"}});
        assert_eq!(
            read(body, of_switch),
            Ok(wish(Some(("p", "m")), VariantWish::Default, None))
        );
        assert_eq!(
            read(json!({}), of_switch),
            Err("Missing key\n  at [\"model\"]".to_owned())
        );
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_it_panic(body in crate::http::fields::any_json()) {
            for of in [of_session, of_message, of_init, of_switch] {
                let _whatever = read(body.clone(), of);
            }
        }
    }
}
