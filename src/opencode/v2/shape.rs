//! What OpenCode 2's own events carry, for the OpenAPI document. `event` makes them; its tests hold the two together.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::info::{V2Permission, V2Tokens};
use super::message::{ToolOutput, ToolProvider, V2Error, V2Prompt};
use crate::opencode::event::{
    AgentSwitched, ModelSwitched, PermissionReplied, QuestionRejected, QuestionReplied,
};
use crate::opencode::request::QuestionRequest;
use crate::opencode::session::ModelRef;
use crate::opencode::{MessageId, PartId, SessionId};

/// Events of the first version that OpenCode 2's stream leaves out.
pub const NOT_OF_THE_SECOND: [&str; 2] = ["server.instance.disposed", "server.heartbeat"];

/// What the events that only OpenCode 2 has carry.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", content = "data")]
pub enum V2Said {
    /// A prompt was stored.
    #[serde(rename = "session.next.prompt.admitted")]
    Admitted(V2PromptSaid),
    /// A prompt was given to its agent.
    #[serde(rename = "session.next.prompted")]
    Prompted(V2PromptSaid),
    /// A prompt that the server made was stored.
    #[serde(rename = "session.next.synthetic")]
    Synthetic(V2SyntheticSaid),
    /// The model was changed.
    #[serde(rename = "session.next.model.switched")]
    ModelSwitched(ModelSwitched),
    /// The agent was changed.
    #[serde(rename = "session.next.agent.switched")]
    AgentSwitched(AgentSwitched),
    /// An answer begins.
    #[serde(rename = "session.next.step.started")]
    StepStarted(V2StepStarted),
    /// An answer has ended.
    #[serde(rename = "session.next.step.ended")]
    StepEnded(V2StepEnded),
    /// An answer has failed, or was cut short.
    #[serde(rename = "session.next.step.failed")]
    StepFailed(V2StepFailed),
    /// The summary of a conversation begins.
    #[serde(rename = "session.next.compaction.started")]
    CompactionStarted(V2CompactionStarted),
    /// The summary of a conversation is there.
    #[serde(rename = "session.next.compaction.ended")]
    CompactionEnded(V2CompactionEnded),
    /// A text begins.
    #[serde(rename = "session.next.text.started")]
    TextStarted(V2TextStarted),
    /// A text has grown.
    #[serde(rename = "session.next.text.delta")]
    TextDelta(V2TextDelta),
    /// A text is complete.
    #[serde(rename = "session.next.text.ended")]
    TextEnded(V2TextEnded),
    /// A thought begins.
    #[serde(rename = "session.next.reasoning.started")]
    ReasoningStarted(V2ReasoningStarted),
    /// A thought has grown.
    #[serde(rename = "session.next.reasoning.delta")]
    ReasoningDelta(V2ReasoningDelta),
    /// A thought is complete.
    #[serde(rename = "session.next.reasoning.ended")]
    ReasoningEnded(V2ReasoningEnded),
    /// A tool call was announced.
    #[serde(rename = "session.next.tool.input.started")]
    InputStarted(V2InputStarted),
    /// The arguments of a tool call are complete.
    #[serde(rename = "session.next.tool.input.ended")]
    InputEnded(V2InputEnded),
    /// A tool runs.
    #[serde(rename = "session.next.tool.called")]
    Called(V2ToolCalled),
    /// A running tool reports something.
    #[serde(rename = "session.next.tool.progress")]
    Progress(V2ToolProgress),
    /// A tool has returned.
    #[serde(rename = "session.next.tool.success")]
    Success(V2ToolSuccess),
    /// A tool has failed.
    #[serde(rename = "session.next.tool.failed")]
    Failed(V2ToolFailed),
    /// An agent asks for a permission.
    #[serde(rename = "permission.v2.asked")]
    PermissionAsked(V2Permission),
    /// A permission request was answered.
    #[serde(rename = "permission.v2.replied")]
    PermissionReplied(PermissionReplied),
    /// An agent asks questions.
    #[serde(rename = "question.v2.asked")]
    QuestionAsked(QuestionRequest),
    /// Questions were answered.
    #[serde(rename = "question.v2.replied")]
    QuestionReplied(QuestionReplied),
    /// Questions were dismissed.
    #[serde(rename = "question.v2.rejected")]
    QuestionRejected(QuestionRejected),
}

/// A struct with what every event of a session has in front of its own fields.
macro_rules! of_session {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $wire:tt),* $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Serialize, ToSchema)]
            pub struct $name {
                /// When, in milliseconds since the Unix epoch.
                pub timestamp: u64,
                /// The session.
                #[serde(rename = "sessionID")]
                pub session_id: SessionId,
                $($(#[$field_doc])* #[serde(rename = $wire)] pub $field: $type,)*
            }
        )+
    };
}

of_session! {
    /// A prompt.
    V2PromptSaid {
        /// The prompt's message.
        message_id: MessageId = "messageID",
        /// What it says.
        prompt: V2Prompt = "prompt",
        /// How it is delivered.
        delivery: String = "delivery",
    }
    /// A prompt that the server made.
    V2SyntheticSaid {
        /// The prompt's message.
        message_id: MessageId = "messageID",
        /// Its text.
        text: String = "text",
    }
    /// An answer begins.
    V2StepStarted {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The agent.
        agent: String = "agent",
        /// The model that answers.
        model: ModelRef = "model",
    }
    /// An answer has ended.
    V2StepEnded {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// Why it ended: `stop`, `length`, …
        finish: String = "finish",
        /// Cost, in US dollars where the agent says so.
        cost: f64 = "cost",
        /// Tokens spent on it.
        tokens: V2Tokens = "tokens",
    }
    /// An answer has failed, or was cut short.
    V2StepFailed {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// Why.
        error: V2Error = "error",
    }
    /// The summary of a conversation begins.
    V2CompactionStarted {
        /// The summary's message.
        message_id: MessageId = "messageID",
        /// Who wanted it: `auto` or `manual`.
        reason: String = "reason",
    }
    /// The summary of a conversation is there.
    V2CompactionEnded {
        /// The summary's message.
        message_id: MessageId = "messageID",
        /// Who wanted it: `auto` or `manual`.
        reason: String = "reason",
        /// The summary.
        text: String = "text",
        /// The part of the conversation that was kept verbatim; empty.
        recent: String = "recent",
    }
    /// A text begins.
    V2TextStarted {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The text's part.
        text_id: PartId = "textID",
    }
    /// A text has grown.
    V2TextDelta {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The text's part.
        text_id: PartId = "textID",
        /// What is added at its end.
        delta: String = "delta",
    }
    /// A text is complete.
    V2TextEnded {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The text's part.
        text_id: PartId = "textID",
        /// The whole text.
        text: String = "text",
    }
    /// A thought begins.
    V2ReasoningStarted {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The thought's part.
        reasoning_id: PartId = "reasoningID",
    }
    /// A thought has grown.
    V2ReasoningDelta {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The thought's part.
        reasoning_id: PartId = "reasoningID",
        /// What is added at its end.
        delta: String = "delta",
    }
    /// A thought is complete.
    V2ReasoningEnded {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The thought's part.
        reasoning_id: PartId = "reasoningID",
        /// The whole thought.
        text: String = "text",
    }
    /// A tool call was announced.
    V2InputStarted {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The call's id, as the agent made it.
        call_id: String = "callID",
        /// The tool: `bash`, `edit`, `read`, …
        name: String = "name",
    }
    /// The arguments of a tool call are complete.
    V2InputEnded {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The call's id, as the agent made it.
        call_id: String = "callID",
        /// The arguments, as JSON in a text.
        text: String = "text",
    }
    /// A tool runs.
    V2ToolCalled {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The call's id, as the agent made it.
        call_id: String = "callID",
        /// The tool: `bash`, `edit`, `read`, …
        tool: String = "tool",
        /// Its arguments.
        #[schema(value_type = Object)]
        input: Map<String, Value> = "input",
        /// Who runs it.
        provider: ToolProvider = "provider",
    }
    /// A running tool reports something.
    V2ToolProgress {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The call's id, as the agent made it.
        call_id: String = "callID",
        /// Free data.
        #[schema(value_type = Object)]
        structured: Map<String, Value> = "structured",
        /// What it has returned so far.
        content: Vec<ToolOutput> = "content",
    }
    /// A tool has returned.
    V2ToolSuccess {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The call's id, as the agent made it.
        call_id: String = "callID",
        /// Free data, such as the diff of an edit.
        #[schema(value_type = Object)]
        structured: Map<String, Value> = "structured",
        /// What it has returned.
        content: Vec<ToolOutput> = "content",
        /// Who has run it.
        provider: ToolProvider = "provider",
    }
    /// A tool has failed.
    V2ToolFailed {
        /// The answer.
        message: MessageId = "assistantMessageID",
        /// The call's id, as the agent made it.
        call_id: String = "callID",
        /// Why.
        error: V2Error = "error",
        /// Who has run it.
        provider: ToolProvider = "provider",
    }
}
