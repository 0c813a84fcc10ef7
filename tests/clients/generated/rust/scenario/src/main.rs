//! scenario URL SCRIPT: the generated client against a running server. What it prints, the driver compares.
//! The script is JSON: the backend, its models, and what is said to them.

use std::collections::HashMap;
use std::error::Error;

use baton_client::sse::{SseEvent, StreamingError};
use baton_client::{
    ApiOpError, FallbackModelInput, HandoffMode, HttpClient, McpAddInput, McpConfigInput,
    McpRemoteInput, McpRemoteInputType, McpServerStatus, Message, MessagePart, MessageWithParts,
    PartInput, PromptModel, ServerEvent, SessionCreateApiError, SessionImportInput,
    SessionPromptApiError, SessionUpdateApiError, SpendingLimit, TextPartInput, TextPartInputType,
    UnselectableError,
};
use futures_util::{Stream, StreamExt};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::args()
        .nth(1)
        .ok_or("the server's URL is missing")?;
    let script = std::env::args().nth(2).ok_or("the script is missing")?;
    let script: HashMap<String, String> = serde_json::from_str(&script)?;
    let said = |key: &str| {
        script
            .get(key)
            .cloned()
            .ok_or_else(|| format!("the script has no {key}"))
    };
    let client = HttpClient::new().with_base_url(url.clone());
    let mut events = client.event_subscribe_sse_builder().send().await?;
    let connected = events.next().await.ok_or("the event stream has ended")??;
    assert!(matches!(
        serde_json::from_str(&connected.data)?,
        ServerEvent::EventServerConnected(_)
    ));

    let session = client
        .session_create_builder()
        .title("Generated".to_owned())
        .send()
        .await?;

    let first = PromptModel {
        provider_id: said("providerID")?,
        model_id: said("first")?,
    };
    let first = client
        .session_prompt_builder(&session.id, text(&said("say")?))
        .model(first)
        .send()
        .await?;
    println!("first answer by {}: {}", model_of(&first), text_of(&first));

    let updated = client
        .session_update_builder(&session.id)
        .provider_id(said("providerID")?)
        .model_id(said("second")?)
        .variant("high".to_owned())
        .wait(true)
        .send()
        .await?;
    let model = updated.model.ok_or("no model is selected")?;
    let variant = model.variant.unwrap_or_default();
    println!(
        "selected {} ({variant}), {}",
        model.id, updated.runtime.status
    );
    println!("applied {}", applied(&mut events, &said("second")?).await?);

    let second = client
        .session_prompt_builder(&session.id, text(&said("recall")?))
        .send()
        .await?;
    let knows = if text_of(&second).contains(&said("known")?) {
        "knows"
    } else {
        "does not know"
    };
    println!(
        "second answer by {}, which {knows} the first",
        model_of(&second)
    );

    let fallback = FallbackModelInput {
        provider_id: said("providerID")?,
        model_id: said("first")?,
        variant: None,
    };
    let chained = client
        .session_update_builder(&session.id)
        .fallback(vec![fallback])
        .send()
        .await?;
    let chain = chained.fallback.unwrap_or_default();
    let chain: Vec<_> = chain.iter().map(|model| model.model_id.as_str()).collect();
    println!("falls back to {}", chain.join(", "));

    let wrong = client
        .session_update_builder(&session.id)
        .provider_id(said("providerID")?)
        .model_id(said("misspelt")?)
        .send()
        .await;
    // The variant of the error tells which one it is, and with that what its data has.
    let Err(ApiOpError::Api(error)) = wrong else {
        return Err("it was not refused".into());
    };
    let Some(SessionUpdateApiError::Status400(UnselectableError::ProviderModelNotFoundError(
        error,
    ))) = error.typed
    else {
        return Err(format!("not the error that was expected: {error}").into());
    };
    let suggestions = error.data.suggestions.join(", ");
    println!(
        "refused: {}, instead of {}: {suggestions}",
        error.name, error.data.model_id
    );

    let provider = said("providerID")?;
    let natives = client
        .backend_session_list_builder(&provider)
        .send()
        .await?;
    let own = natives
        .into_iter()
        .find(|native| native.session_id.as_deref() == Some(&session.id))
        .ok_or("its agent does not list it")?;
    let again = SessionImportInput {
        provider_id: provider,
        native_id: own.native_id,
    };
    let taken = client.session_create_builder().import(again).send().await;
    let Err(ApiOpError::Api(error)) = taken else {
        return Err("it was imported twice".into());
    };
    let Some(SessionCreateApiError::Status409(taken)) = error.typed else {
        return Err(format!("not the error that was expected: {error}").into());
    };
    assert_eq!(taken.data.session_id, session.id);
    println!(
        "its agent lists it, and it cannot be imported: {}",
        taken.name
    );

    let wanted = said("agent")?;
    let agents = client.app_agents_builder().send().await?;
    let profile = agents.into_iter().find(|agent| agent.name == wanted);
    let profile = profile.ok_or("the agent is not listed")?;
    let profiled = client
        .session_update_builder(&session.id)
        .agent(profile.name)
        .send()
        .await?;
    let selected = profiled.model.map(|model| model.id).unwrap_or_default();
    let own = profile.model.map(|model| model.model_id);
    assert_eq!(own.as_ref(), Some(&selected));
    println!(
        "agent {} selects {selected}",
        profiled.agent.unwrap_or_default()
    );

    let (other, model) = (said("other")?, said("otherModel")?);
    let preview = client
        .session_handoff_builder(&session.id)
        .provider_id(&other)
        .model_id(&model)
        .handoff(HandoffMode::HandoffModeTranscript)
        .send()
        .await?;
    assert!(preview.text.is_some_and(|text| text.contains("one")));
    let handed = client
        .session_update_builder(&session.id)
        .provider_id(other.clone())
        .model_id(model)
        .handoff(HandoffMode::HandoffModeSummary)
        .note("Be short.".to_owned())
        .send()
        .await?;
    let wish = handed.handoff.and_then(|wish| wish.mode);
    println!(
        "{other} would be given {} messages, and is to be given: {}",
        preview.messages,
        wish.ok_or("no handover is chosen")?
    );

    let name = "generated";
    let remote = McpRemoteInput {
        url,
        enabled: Some(Some(false)),
        headers: None,
        r#type: McpRemoteInputType::Remote,
    };
    let add = McpAddInput {
        name: name.to_owned(),
        config: McpConfigInput::McpRemoteInput(remote),
    };
    let servers = client.mcp_add_builder(add).send().await?;
    let mut states = vec![status(servers.additional_properties.get(name))];
    client.mcp_connect_builder(name).send().await?;
    let servers = client.mcp_status_builder().send().await?;
    states.push(status(servers.additional_properties.get(name)));
    client.mcp_disconnect_builder(name).send().await?;
    let servers = client.mcp_status_builder().send().await?;
    states.push(status(servers.additional_properties.get(name)));
    println!("MCP server: {}", states.join(", "));

    let limit = SpendingLimit {
        tokens: Some(1),
        ..SpendingLimit::default()
    };
    client
        .session_update_builder(&session.id)
        .limit(limit)
        .send()
        .await?;
    let refused = client
        .session_prompt_builder(&session.id, text(&said("say")?))
        .send()
        .await;
    let Err(ApiOpError::Api(error)) = refused else {
        return Err("more was spent than is allowed".into());
    };
    let Some(SessionPromptApiError::Status402(spent)) = error.typed else {
        return Err(format!("not the error that was expected: {error}").into());
    };
    println!(
        "refused: {}, of the {}, which may use {} token",
        spent.name,
        spent.data.scope,
        spent.data.allowed.tokens.unwrap_or_default()
    );
    Ok(())
}

fn text(text: &str) -> Vec<PartInput> {
    vec![PartInput::TextPartInput(TextPartInput {
        text: text.to_owned(),
        r#type: TextPartInputType::Text,
        id: None,
        ignored: None,
        metadata: None,
        synthetic: None,
    })]
}

fn status(server: Option<&McpServerStatus>) -> &'static str {
    match server {
        Some(McpServerStatus::McpServerStatusConnected(_)) => "connected",
        Some(McpServerStatus::McpServerStatusDisabled(_)) => "disabled",
        Some(McpServerStatus::McpServerStatusFailed(_)) => "failed",
        None => "not there",
    }
}

fn model_of(message: &MessageWithParts) -> &str {
    match &message.info {
        Message::AssistantMessage(answer) => &answer.model_id,
        Message::UserMessage(prompt) => &prompt.model.model_id,
    }
}

fn text_of(message: &MessageWithParts) -> String {
    let texts = message.parts.iter().filter_map(|part| match part {
        MessagePart::TextPart(part) => Some(part.text.as_str()),
        _ => None,
    });
    texts.collect()
}

async fn applied(
    events: &mut (impl Stream<Item = std::result::Result<SseEvent<String>, StreamingError>> + Unpin),
    model_id: &str,
) -> Result<String> {
    while let Some(event) = events.next().await {
        if let ServerEvent::EventSessionModelApplied(event) = serde_json::from_str(&event?.data)?
            && event.properties.current.model_id == model_id
        {
            return Ok(event.properties.current.model_id);
        }
    }
    Err("the event stream has ended".into())
}
