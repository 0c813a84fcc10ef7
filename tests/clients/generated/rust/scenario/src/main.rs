//! scenario URL SCRIPT: the generated client against a running server. What it prints, the driver compares.
//! The script is JSON: the backend, its models, and what is said to them.

use std::collections::HashMap;
use std::error::Error;

use baton_client::sse::{SseEvent, StreamingError};
use baton_client::{
    ApiOpError, FallbackModelInput, HttpClient, Message, MessagePart, MessageWithParts, PartInput, PromptModel,
    ServerEvent, SessionCreateApiError, SessionImportInput, SessionUpdateApiError, TextPartInput, TextPartInputType, UnselectableError,
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
    let client = HttpClient::new().with_base_url(url);
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
    let natives = client.backend_session_list_builder(&provider).send().await?;
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
    println!("its agent lists it, and it cannot be imported: {}", taken.name);
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
