//! `PATCH /session/{sessionID}`: the main operation. It changes the model, the provider, the agent and
//! the reasoning effort of a live session, and OpenCode's own fields with them, all or nothing.

use axum::response::Response;

use crate::http::handler::*;
use crate::http::read::refusal;
use crate::http::selection::{self, FallbackModelInput, SessionModelInput};
use crate::http::session::with_etag;
use crate::opencode::event::Source;
use crate::opencode::handoff::{HandoffMode, HandoffWish};
use crate::opencode::session::PermissionRule;
use crate::opencode::spending::SpendingLimit;
use crate::opencode::{Metadata, Session, bounded};
use crate::registry::VariantWish;
use crate::session::{ChainWish, Update};

/// Changes of a session. Every field is optional; what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionUpdateInput {
    /// The backend to continue with; `modelID` has to come with it.
    #[serde(rename = "providerID")]
    #[schema(format = "bound:name", example = "claude")]
    pub provider_id: Option<String>,
    /// The model to continue with, verbatim as the backend advertises it; `providerID` has to come with it.
    #[serde(rename = "modelID")]
    #[schema(format = "bound:name", example = "opus")]
    pub model_id: Option<String>,
    /// The same as `providerID`, `modelID` and `variant`, in one object.
    pub model: Option<SessionModelInput>,
    /// The reasoning effort; `default` or null for the model's default. Left out, it stays where the
    /// model has it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "bound:name", example = "high")]
    pub variant: VariantWish,
    /// `build`, `plan`, a backend's id (its default model), or the id of a mode that the backend advertises.
    #[schema(format = "bound:name", example = "plan")]
    pub agent: Option<String>,
    /// `true` pins what is selected: messages do not select another model until the next PATCH that selects something, or
    /// one with `false`. A message that names another model is answered by the pinned one, and its answer says so. Agents
    /// that messages name are still selected. For handing over a session that somebody has open in a UI, which sends its own
    /// model with every message. Left out, a PATCH that selects something pins it only with `pin_patches = true` in the
    /// config's `[sessions]`.
    #[schema(example = true)]
    pub pin: Option<bool>,
    /// Models that go on, in this order, when the selected one cannot answer for now: a limit, a quota, an outage, nobody
    /// signed in. The prompt then goes on with the whole conversation, the session selects that model
    /// (`session.model_changed` with `source: fallback` and the reason), and goes back as the config's `[fallback]` says. An
    /// empty list for none; null for the server's own chain.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<FallbackModelInput>>, max_items = 16)]
    pub fallback: Option<Option<Vec<FallbackModelInput>>>,
    /// What the session may spend: `cost` in US dollars, `tokens`, and `hard` to have a running turn stopped; as far as agents
    /// report it. Where it is reached, the next prompt is refused with 402, or goes on with a model of the chain that costs
    /// nothing. An empty object for no limit; null for the server's own.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<SpendingLimit>)]
    pub limit: Option<Option<SpendingLimit>>,
    /// How the conversation gets to what is selected: `transcript` (what it has not seen, word for word), `summary` (one that
    /// the model which knows it writes before the next prompt; where that fails, the transcript), `none` (nothing, also
    /// later), or `auto` (the transcript where it fits, else a summary). It applies to the next prompt. Left out, the config's
    /// `[sessions] handoff`.
    #[schema(example = "summary")]
    pub handoff: Option<HandoffMode>,
    /// What the model is told beside it.
    #[serde(default, deserialize_with = "bounded::note")]
    #[schema(format = "bound:note", example = "Only the tests are left to do.")]
    pub note: Option<String>,
    /// The title; null changes nothing.
    #[serde(default, deserialize_with = "bounded::title")]
    #[schema(format = "bound:title")]
    pub title: Option<String>,
    /// Free data of the client, in place of the old.
    #[serde(default, deserialize_with = "bounded::data")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Metadata>,
    /// Permission rules, added after the old ones.
    #[serde(default, deserialize_with = "bounded::rules")]
    pub permission: Option<Vec<PermissionRule>>,
    /// Times that a client may set.
    pub time: Option<SessionTimeUpdate>,
}

/// A field that is there, with a value or with null.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Times that a client may set, in milliseconds since the Unix epoch.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionTimeUpdate {
    /// When the session was archived; a fraction is dropped.
    #[serde(default, deserialize_with = "bounded::from_0")]
    #[schema(value_type = Option<f64>, format = "number:from-0")]
    pub archived: Option<u64>,
}

/// Switch the model, provider or agent of a session, and change its title and other data
///
/// Hands the session to another model, provider, agent or reasoning effort, and changes its title,
/// metadata, permission rules and archive time: all of it or nothing. It is answered at once; a turn
/// in flight keeps its model, and the next one has the new one. The conversation is kept. The events
/// `session.model_changed`, `session.updated` and, once the agent has confirmed it,
/// `session.model_applied` follow. A request that changes nothing makes no event and no new revision.
#[utoipa::path(
    patch,
    path = "/session/{sessionID}",
    operation_id = "session.update",
    tag = "session",
    params(
        SessionPath,
        ("wait" = Option<bool>, Query, description = "Answer only when the agent has confirmed the selection, or has failed to."),
        ("pin" = Option<bool>, Query, description = "The same as `pin` in the body."),
        IfMatch,
        Client,
    ),
    request_body(
        content(
            (SessionUpdateInput = "application/json"),
            (SessionUpdateInput = "application/merge-patch+json"),
        ),
        description = "What to change.",
    ),
    responses(
        (status = 200, description = "The session as it is now.", body = Session,
            headers(("ETag" = String, description = "The session's revision, in quotes."))),
        Unselectable, NotThere, Stale, NotApplied, Full,
    )
)]
pub async fn update(
    State(state): State<Shared>,
    path: SessionPath,
    if_match: IfMatch,
    client: Client,
    params: Params,
    Body(input): Body<SessionUpdateInput, true>,
) -> Result<Response, Problem> {
    let wait = params.flag("wait")?;
    let mut update = input.into_update(if_match)?;
    if let Some(pin) = params.choice("pin")? {
        if update.pin.is_some_and(|said| said != pin) {
            let message = "pin says something else than ?pin; send one of the two";
            return Err(refusal(&["pin"], message));
        }
        update.pin = Some(pin);
    }
    let selects = !update.wish.is_empty();
    let caller = client.by(Source::Patch);
    let mut session = state.sessions.update(&path.session, update, caller).await?;
    if wait && selects {
        let revision = session.revision;
        session = state.sessions.wait_applied(&path.session, revision).await?;
    }
    Ok(with_etag(session.revision, &session))
}

impl SessionUpdateInput {
    /// What to change.
    ///
    /// # Errors
    /// When what it says about the selection contradicts itself.
    pub(in crate::http) fn into_update(self, if_match: IfMatch) -> Result<Update, Problem> {
        let halves = (self.provider_id, self.model_id);
        Ok(Update {
            wish: selection::of_session(halves, self.model, self.variant, self.agent)?,
            title: self.title,
            metadata: self.metadata,
            permission: self.permission.unwrap_or_default(),
            tools: Vec::new(),
            archived: self.time.and_then(|time| time.archived),
            pin: self.pin,
            fallback: self.fallback.map_or(ChainWish::Keep, selection::chain),
            limit: self.limit.map(checked).transpose()?,
            handoff: HandoffWish::of(self.handoff, self.note),
            handoff_now: None,
            if_match: if_match.0,
        })
    }
}

/// A limit that can be one.
fn checked(limit: Option<SpendingLimit>) -> Result<Option<SpendingLimit>, Problem> {
    let cost = limit.and_then(|limit| limit.cost);
    match cost.filter(|cost| !cost.is_finite() || *cost < 0.0) {
        None => Ok(limit),
        Some(cost) => {
            let message = format!("Expected a number of at least 0, got {cost}");
            Err(refusal(&["limit", "cost"], message))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::read::body as body_of;
    use crate::opencode::session::PermissionAction;
    use crate::registry::ModelWish;
    use crate::session::Sizes;

    fn read(body: &Value) -> Result<Update, String> {
        let input: Result<SessionUpdateInput, _> = body_of(Some(body), &Sizes::default());
        let update = input.and_then(|input| input.into_update(IfMatch(Some(3))));
        update.map_err(|e| e.message())
    }

    #[test]
    fn everything_together() {
        let body = json!({
            "providerID": "claude", "modelID": "opus", "agent": "plan", "variant": "high", "title": "",
            "metadata": {"a": [1]}, "time": {"archived": 7.0, "created": "ignored"}, "unknown": 1,
            "permission": [{"permission": "bash", "pattern": "*", "action": "ask"}],
        });
        let update = read(&body).expect("fine");
        let model = ModelWish {
            provider_id: "claude".to_owned(),
            model_id: "opus".to_owned(),
        };
        assert_eq!(update.wish.model, Some(model));
        assert_eq!(update.wish.agent.as_deref(), Some("plan"));
        assert_eq!(update.wish.variant, VariantWish::Set("high".to_owned()));
        assert_eq!(update.title.as_deref(), Some(""));
        assert_eq!(update.metadata.expect("there").as_str(), r#"{"a":[1]}"#);
        assert_eq!(update.archived, Some(7));
        assert_eq!(update.permission[0].action, PermissionAction::Ask);
        assert_eq!(update.if_match, Some(3));
    }

    #[test]
    fn nulls_and_an_empty_body_change_nothing() {
        for body in [
            json!({}),
            json!({"title": null, "metadata": null, "permission": null, "time": null, "model": null}),
            json!({"time": {"archived": null}, "providerID": null, "modelID": null, "agent": null}),
        ] {
            let update = read(&body).expect("fine");
            assert!(update.wish.is_empty(), "{body}");
            assert!(
                update.title.is_none() && update.metadata.is_none(),
                "{body}"
            );
            assert!(
                update.permission.is_empty() && update.archived.is_none(),
                "{body}"
            );
        }
    }

    #[test]
    fn wrong_types_are_named() {
        for (body, expected) in [
            (
                json!({"title": 5}),
                "Expected string | null, got 5\n  at [\"title\"]",
            ),
            (
                json!({"metadata": []}),
                "Expected object | null, got array\n  at [\"metadata\"]",
            ),
            (
                json!({"permission": {}}),
                "Expected array | null, got object\n  at [\"permission\"]",
            ),
            (
                json!({"permission": [{"permission": "a", "pattern": "b", "action": "maybe"}]}),
                "Expected \"allow\" | \"deny\" | \"ask\", got \"maybe\"\n  at [\"permission\"][0][\"action\"]",
            ),
            (
                json!({"permission": [{"permission": "a", "action": "ask"}]}),
                "Missing key\n  at [\"permission\"][0][\"pattern\"]",
            ),
            (
                json!({"time": 3}),
                "Expected object, got 3\n  at [\"time\"]",
            ),
            (
                json!({"time": {"archived": -1}}),
                "Expected a number between 0 and 2^53 - 1 | null, got -1\n  at [\"time\"][\"archived\"]",
            ),
            (
                json!({"Title": "x"}),
                "Unknown field \"Title\". Did you mean \"title\"?\n  at [\"Title\"]",
            ),
        ] {
            assert_eq!(read(&body).expect_err("refused"), expected);
        }
    }
}
