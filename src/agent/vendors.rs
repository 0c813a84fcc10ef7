//! Which variables hold credentials of which agent's vendor. Data, not branches.

/// An agent that talks to the models of one vendor only, with that vendor's variables.
struct Vendor {
    agent: &'static str,
    variables: &'static [&'static str],
}

/// Agents with one vendor each. Cloud credentials (`AWS_*`, `GOOGLE_APPLICATION_CREDENTIALS`, …) are in no list: they
/// belong to the user's own tools as well, and several agents reach their models through them.
const VENDORS: &[Vendor] = &[
    Vendor {
        agent: "claude",
        variables: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_CUSTOM_HEADERS",
            "ANTHROPIC_FOUNDRY_API_KEY",
            "CLAUDE_API_KEY",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_REFRESH_TOKEN",
        ],
    },
    Vendor {
        agent: "codex",
        variables: &[
            "OPENAI_API_KEY",
            "OPENAI_ADMIN_KEY",
            "CODEX_API_KEY",
            "CODEX_ACCESS_TOKEN",
            "AZURE_OPENAI_API_KEY",
        ],
    },
    Vendor {
        agent: "gemini",
        variables: &[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "GOOGLE_GENAI_API_KEY",
        ],
    },
    // Baton's own, which talks to no model.
    Vendor {
        agent: "mock",
        variables: &[],
    },
];

/// The credentials that a built-in agent has no use for: those of other agents' vendors. Of an agent that talks to
/// many vendors, or that Baton does not know, none.
pub fn of_others(agent: &str) -> Vec<String> {
    if VENDORS.iter().all(|vendor| vendor.agent != agent) {
        return Vec::new();
    }
    let others = VENDORS.iter().filter(|vendor| vendor.agent != agent);
    others
        .flat_map(|vendor| vendor.variables)
        .map(|&name| name.to_owned())
        .collect()
}

/// Every variable that holds a vendor's credentials.
pub fn all() -> impl Iterator<Item = &'static str> {
    VENDORS.iter().flat_map(|vendor| vendor.variables).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::spec::builtins;

    #[test]
    fn a_key_goes_to_its_own_vendors_agent_and_to_those_with_many_vendors() {
        let has = |agent: &str, key: &str| !of_others(agent).iter().any(|name| name == key);
        assert!(has("claude", "ANTHROPIC_API_KEY") && has("codex", "OPENAI_API_KEY"));
        assert!(!has("codex", "ANTHROPIC_API_KEY") && !has("claude", "OPENAI_API_KEY"));
        assert!(!has("mock", "GEMINI_API_KEY"));
        for many in ["opencode", "goose", "pi", "somebodys-own"] {
            assert!(all().all(|key| has(many, key)), "{many}");
        }
    }

    #[test]
    fn every_agent_of_the_table_is_built_in() {
        let known = builtins("baton", "state");
        for vendor in VENDORS {
            assert!(known.iter().any(|spec| spec.id == vendor.agent));
        }
    }
}
