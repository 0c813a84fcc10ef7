//! The catalogue in OpenCode 2's shape: agents, commands, providers and models.

use serde_json::Map;

use super::info::{
    V2Agent, V2ApiType, V2Capabilities, V2Command, V2Cost, V2Limit, V2Model, V2ModelApi,
    V2ModelTime, V2PermissionRule, V2Provider, V2ProviderApi, V2Request, V2Variant,
};
use crate::opencode::command::CommandInfo;
use crate::opencode::provider::{Agent, AgentMode, Model, Provider};
use crate::opencode::session::{ModelRef, PermissionAction, PermissionRule};

impl From<Agent> for V2Agent {
    fn from(agent: Agent) -> Self {
        let variant = agent.variant;
        Self {
            id: agent.name,
            model: agent.model.map(|model| ModelRef {
                id: model.model_id,
                provider_id: model.provider_id,
                variant,
            }),
            request: V2Request::default(),
            description: agent.description,
            mode: match agent.mode {
                AgentMode::Primary => "primary",
                AgentMode::Subagent => "subagent",
                AgentMode::All => "all",
            }
            .to_owned(),
            hidden: agent.hidden == Some(true),
            permissions: agent.permission.into_iter().map(rule).collect(),
        }
    }
}

fn rule(rule: PermissionRule) -> V2PermissionRule {
    V2PermissionRule {
        action: rule.permission,
        resource: rule.pattern,
        effect: match rule.action {
            PermissionAction::Allow => "allow",
            PermissionAction::Ask => "ask",
            PermissionAction::Deny => "deny",
        }
        .to_owned(),
    }
}

impl From<CommandInfo> for V2Command {
    fn from(command: CommandInfo) -> Self {
        Self {
            name: command.name,
            template: command.template,
            description: command.description,
            agent: command.agent,
            model: command.model.as_deref().and_then(model),
            subtask: command.subtask,
        }
    }
}

/// Reads `provider/model`.
fn model(text: &str) -> Option<ModelRef> {
    let (provider, model) = text.split_once('/')?;
    Some(ModelRef {
        id: model.to_owned(),
        provider_id: provider.to_owned(),
        variant: None,
    })
}

impl From<Provider> for V2Provider {
    fn from(provider: Provider) -> Self {
        Self {
            id: provider.id,
            name: provider.name,
            api: V2ProviderApi {
                r#type: V2ApiType::Native,
                settings: Map::new(),
            },
            request: V2Request::default(),
        }
    }
}

impl From<Model> for V2Model {
    fn from(model: Model) -> Self {
        let mut input = vec!["text".to_owned()];
        if model.capabilities.input.image {
            input.push("image".to_owned());
        }
        Self {
            api: V2ModelApi {
                id: model.id.clone(),
                r#type: V2ApiType::Native,
                settings: Map::new(),
            },
            id: model.id,
            provider_id: model.provider_id,
            name: model.name,
            capabilities: V2Capabilities {
                tools: model.capabilities.toolcall,
                input,
                output: vec!["text".to_owned()],
            },
            request: V2Request::default(),
            variants: model
                .variants
                .into_iter()
                .map(|(id, _)| V2Variant {
                    id,
                    request: V2Request::default(),
                })
                .collect(),
            time: V2ModelTime { released: 0 },
            cost: vec![V2Cost::default()],
            status: model.status,
            enabled: true,
            limit: V2Limit {
                context: model.limit.context,
                output: model.limit.output,
            },
        }
    }
}
