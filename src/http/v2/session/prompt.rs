//! `POST /api/session/{sessionID}/prompt`.

use serde_json::{Map, Value, json};

use crate::http::handler::*;
use crate::http::message::prompt::check_files;
use crate::opencode::event::Source;
use crate::opencode::prompt::{AgentPartInput, FilePartInput, PartInput};
use crate::opencode::v2::answer::{V2Admitted, V2AdmittedAnswer};
use crate::opencode::v2::event::DELIVERY;
use crate::opencode::v2::log::admitted_seq;
use crate::opencode::v2::project::{created, prompt as projected};
use crate::opencode::{MessageId, bounded};
use crate::session::{Prompt, Sizes};

/// When to give a prompt to the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = V2Delivery)]
pub enum Delivery {
    /// As soon as possible.
    Steer,
    /// After those before it.
    Queue,
}

/// A place in the text of a prompt.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2SourceInput {
    /// Where it begins; a fraction is dropped.
    #[serde(deserialize_with = "bounded::from_0")]
    #[schema(value_type = f64, format = "number:from-0")]
    pub start: u64,
    /// Where it ends; a fraction is dropped.
    #[serde(deserialize_with = "bounded::from_0")]
    #[schema(value_type = f64, format = "number:from-0")]
    pub end: u64,
    /// The text between.
    #[serde(deserialize_with = "bounded::path")]
    #[schema(format = "bound:path")]
    pub text: String,
}

/// A file of a prompt.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2FileInput {
    /// `file:` or `data:` URL.
    #[serde(deserialize_with = "bounded::attachment")]
    #[schema(format = "bound:attachment")]
    pub uri: String,
    /// Its media type; left out, what the URL says.
    #[schema(format = "bound:name", example = "text/plain")]
    pub mime: Option<String>,
    /// Its name.
    #[serde(default, deserialize_with = "bounded::path")]
    #[schema(format = "bound:path")]
    pub name: Option<String>,
    /// Where in the text it is mentioned.
    pub source: Option<V2SourceInput>,
}

/// An agent that a prompt mentions.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2AgentInput {
    /// Its name.
    #[schema(format = "bound:name")]
    pub name: String,
    /// Where in the text it is mentioned.
    pub source: Option<V2SourceInput>,
}

/// What a prompt says.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2PromptContent {
    /// Its text.
    #[serde(deserialize_with = "bounded::text")]
    #[schema(format = "bound:text")]
    pub text: String,
    /// Its files.
    #[serde(default, deserialize_with = "bounded::parts")]
    pub files: Option<Vec<V2FileInput>>,
    /// The agents that it mentions.
    #[serde(default, deserialize_with = "bounded::parts")]
    pub agents: Option<Vec<V2AgentInput>>,
}

/// A prompt.
#[derive(Debug, Deserialize, ToSchema)]
pub struct V2PromptInput {
    /// The message's id, where the client brings one.
    pub id: Option<MessageId>,
    /// What it says.
    pub prompt: V2PromptContent,
    /// When to give it to the agent. Every prompt waits for its turn, whatever this says: agents cannot be
    /// given one in the middle of another.
    pub delivery: Option<Delivery>,
    /// `false` only stores the prompt; it goes to the model with the next one.
    pub resume: Option<bool>,
}

/// Send a prompt
///
/// Stores a prompt and answers at once; the model that is selected answers it. The same as `session.queuePrompt`, in
/// OpenCode 2's shape. The answer comes in the events, and in `api.session.messages`.
#[utoipa::path(
    post,
    path = "/api/session/{sessionID}/prompt",
    operation_id = "api.session.prompt",
    tag = "message",
    params(SessionPath, Client),
    request_body(content = V2PromptInput, description = "The prompt."),
    responses(
        (status = 200, description = "It is stored.", body = V2AdmittedAnswer),
        TaggedInvalid, TaggedSpent, TaggedNotThere, TaggedExists, TaggedQueueFull, TaggedFull,
    )
)]
pub async fn prompt(
    State(state): State<Shared>,
    path: SessionPath,
    client: Client,
    Body(input): Body<V2PromptInput>,
) -> Result<Json<V2AdmittedAnswer>, Problem> {
    let prompt = input.into_prompt(&state.settings.sizes)?;
    let caller = client.by(Source::Message);
    let admitted = state.sessions.prompt(&path.session, prompt, caller).await?;
    let data = V2Admitted {
        admitted_seq: admitted_seq(admitted.turn),
        id: admitted.message.info.id().clone(),
        session_id: path.session,
        prompt: projected(&admitted.message.parts),
        delivery: DELIVERY.to_owned(),
        time_created: created(&admitted.message),
    };
    Ok(Json(V2AdmittedAnswer { data }))
}

impl V2PromptInput {
    fn into_prompt(self, sizes: &Sizes) -> Result<Prompt, Problem> {
        let mut parts = vec![PartInput::text(self.prompt.text)];
        parts.extend(self.prompt.files.into_iter().flatten().map(file));
        parts.extend(self.prompt.agents.into_iter().flatten().map(agent));
        check_files(&["prompt", "files"], &parts, sizes)?;
        Ok(Prompt {
            message_id: self.id,
            parts,
            no_reply: self.resume == Some(false),
            ..Prompt::default()
        })
    }
}

fn file(file: V2FileInput) -> PartInput {
    let source = file.source.map(|source| {
        // As the first version keeps it: the place in the text, and the file.
        let whole = json!({ "type": "file", "path": file.uri, "text": place(source) });
        whole.as_object().cloned().unwrap_or_default()
    });
    PartInput::File(FilePartInput {
        id: None,
        mime: file.mime.unwrap_or_else(|| media_type(&file.uri)),
        filename: file.name,
        url: file.uri,
        source,
    })
}

fn agent(agent: V2AgentInput) -> PartInput {
    PartInput::Agent(AgentPartInput {
        id: None,
        name: agent.name,
        source: agent.source.map(place),
    })
}

fn place(source: V2SourceInput) -> Map<String, Value> {
    let place = json!({ "start": source.start, "end": source.end, "value": source.text });
    place.as_object().cloned().unwrap_or_default()
}

/// The media type of a URL without one: its own for `data:`, else what its name says; text when it says nothing.
fn media_type(url: &str) -> String {
    if let Some(data) = url.strip_prefix("data:") {
        let end = data.find([';', ',']).unwrap_or(0);
        let named = &data[..end];
        return if named.is_empty() {
            "text/plain"
        } else {
            named
        }
        .to_owned();
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    if path.ends_with('/') {
        return "application/x-directory".to_owned();
    }
    let extension = path
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'));
    let known = match extension.map(|(_, e)| e.to_ascii_lowercase()).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("pdf") => "application/pdf",
        _ => "text/plain",
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn a_file_has_the_media_type_of_its_url() {
        for (url, expected) in [
            ("file:///a/b.PNG", "image/png"),
            ("file:///a/b.rs?start=1", "text/plain"),
            ("file:///a/", "application/x-directory"),
            ("data:image/gif;base64,AA", "image/gif"),
            ("data:,x", "text/plain"),
            ("", "text/plain"),
        ] {
            assert_eq!(media_type(url), expected, "{url}");
        }
    }
}
