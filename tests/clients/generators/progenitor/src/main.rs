//! `scenario URL`: plays the scenario with progenitor's client, and prints what the driver compares.

use futures_util::StreamExt;

progenitor::generate_api!(spec = "made/document.json", interface = Builder);

use types::{
    Message, PartInput, PromptInput, PromptModel, ServerEvent, SessionCreateInput,
    SessionUpdateInput, TextPartInput,
};

const EVENTS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .ok_or("the server's URL is missing")?;
    let client = Client::new(&url);
    let mut stream = client.event_subscribe().send().await?.into_inner();

    // A text with a bound is a type of its own, made by parsing.
    let create = SessionCreateInput::builder().title(Some("Generated".parse()?));
    let session = client.session_create().body(create).send().await?;
    let id = &session.id;
    let say = async |text: &str, model: Option<PromptModel>| {
        let part = TextPartInput::builder()
            .type_(types::TextPartInputType::Text)
            .text(text);
        let part = PartInput::TextPartInput(part.try_into()?);
        let prompt = PromptInput::builder().parts(vec![part]).model(model);
        let answer = client
            .session_prompt()
            .session_id(id.clone())
            .body(prompt)
            .send()
            .await?;
        match answer.into_inner().info {
            Message::AssistantMessage(info) => Ok::<_, Box<dyn std::error::Error>>(info.model_id),
            Message::UserMessage(_) => Err("the answer is the prompt".into()),
        }
    };
    let update = async |model: &str| {
        let provider_id = "mock".parse().ok();
        let change = SessionUpdateInput::builder()
            .provider_id(provider_id)
            .model_id(model.parse().ok());
        client
            .session_update()
            .session_id(id.clone())
            .wait(true)
            .body(change)
            .send()
            .await
    };
    let mock = PromptModel {
        provider_id: "mock".parse()?,
        model_id: "mock".parse()?,
    };
    println!("first: {}", say("echo one", Some(mock)).await?);
    println!(
        "switched: {}",
        update("mock-strong")
            .await?
            .into_inner()
            .model
            .ok_or("no model")?
            .id
    );
    println!("second: {}", say("echo two", None).await?);
    let Err(Error::ErrorResponse(refused)) = update("mock-stong").await else {
        return Err("it was taken".into());
    };
    let why = refused.into_inner();
    println!("refused: {} {}", why.name, why.data.suggestions.join(" "));

    let (mut text, mut events) = (String::new(), 0);
    while events < EVENTS {
        let piece = stream.next().await.ok_or("the stream has ended")??;
        text.push_str(std::str::from_utf8(&piece)?);
        while let Some((line, rest)) = text.split_once('\n') {
            if let Some(data) = line.strip_prefix("data: ") {
                serde_json::from_str::<ServerEvent>(data)?;
                events += 1;
            }
            text = rest.to_owned();
        }
    }
    println!("events: {}", events.min(EVENTS));
    Ok(())
}
