//! What rules ask of an agent beyond its questions: which tools it must not use, and which only after asking.
//!
//! A rule that allows only answers questions. One that denies or asks is worth nothing with an agent that does not ask, so
//! what it comes to is taken from here to the agent itself.

use super::pattern::glob;
use crate::agent::fence::{ANY_OTHER, COMMON, Fence, Need, OPENCODE_ONLY};
use crate::opencode::session::{PermissionAction, PermissionRule};

/// Other names under which tools that edit files are forbidden.
const EDITORS: [&str; 4] = ["write", "patch", "multiedit", "apply_patch"];
/// A tool that no rule names.
const SOME_TOOL: &str = "\u{E005}\u{E005}";

/// Whether a rule is about the tools of a permission.
pub(super) fn concerns(rule: &PermissionRule, permission: &str) -> bool {
    let forbids = rule.action != PermissionAction::Allow;
    let edits = permission == "edit" && EDITORS.contains(&rule.permission.as_str());
    glob(&rule.permission, permission) || (forbids && edits)
}

/// What rules come to.
pub(crate) fn fence(rules: &[PermissionRule]) -> Fence {
    let mut fence = Fence::default();
    if rules
        .iter()
        .all(|rule| rule.action == PermissionAction::Allow)
    {
        return fence;
    }
    let is_own = |name: &&str| {
        // One with wildcards that fits tools which are known is about these.
        let all = || COMMON.iter().chain(&OPENCODE_ONLY);
        let is_covered = name.contains(['*', '?']) && all().any(|known| glob(name, known));
        !(name.is_empty() || is_covered || EDITORS.contains(name))
    };
    let named = rules.iter().map(|rule| rule.permission.as_str());
    for name in COMMON.into_iter().chain(named.filter(is_own)) {
        match need(rules, name) {
            Some(need) => drop(fence.needs.insert(name.to_owned(), need)),
            None => drop(fence.free.insert(name.to_owned())),
        }
    }
    if let Some(need) = need(rules, SOME_TOOL) {
        fence.needs.insert(ANY_OTHER.to_owned(), need);
    }
    if !fence.needs.contains_key(ANY_OTHER) {
        fence.free.clear();
    }
    fence
}

/// The last rule that speaks of all uses decides, and those after it are about some of them: which ones, only the
/// answer to a question can say.
fn need(rules: &[PermissionRule], permission: &str) -> Option<Need> {
    let mut some = Vec::new();
    for rule in rules.iter().rev().filter(|rule| concerns(rule, permission)) {
        let is_about_all = !rule.pattern.is_empty() && rule.pattern.chars().all(|c| c == '*');
        if !is_about_all {
            some.push(rule.action);
            continue;
        }
        return match rule.action {
            PermissionAction::Deny if some.iter().all(|a| *a == PermissionAction::Deny) => {
                Some(Need::Denied)
            }
            PermissionAction::Allow => asked_for(&some),
            PermissionAction::Deny | PermissionAction::Ask => Some(Need::Asked),
        };
    }
    asked_for(&some)
}

fn asked_for(some: &[PermissionAction]) -> Option<Need> {
    let forbids = some.iter().any(|action| *action != PermissionAction::Allow);
    forbids.then_some(Need::Asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rules: &[(&str, &str, &str)]) -> Fence {
        let action = |word: &str| match word {
            "deny" => PermissionAction::Deny,
            "ask" => PermissionAction::Ask,
            _ => PermissionAction::Allow,
        };
        let rules: Vec<_> = rules
            .iter()
            .map(|(permission, pattern, word)| PermissionRule {
                permission: (*permission).to_owned(),
                pattern: (*pattern).to_owned(),
                action: action(word),
            })
            .collect();
        fence(&rules)
    }

    fn needs(rules: &[(&str, &str, &str)]) -> Vec<(String, Need)> {
        of(rules).needs.into_iter().collect()
    }

    #[test]
    fn what_only_allows_fences_nothing_off() {
        for rules in [
            &[][..],
            &[("*", "*", "allow")],
            &[("bash", "git *", "allow")],
        ] {
            assert!(of(rules).is_open(), "{rules:?}");
        }
        // A later rule has taken it back.
        assert!(of(&[("bash", "*", "deny"), ("bash", "*", "allow")]).is_open());
        assert!(of(&[("bash", "rm *", "deny"), ("*", "*", "allow")]).is_open());
    }

    #[test]
    fn a_rule_about_all_uses_denies_the_tool_and_one_about_some_has_it_asked() {
        let bash = |need| vec![("bash".to_owned(), need)];
        for (rules, need) in [
            (&[("bash", "*", "deny")][..], Need::Denied),
            (
                &[("bash", "*", "deny"), ("bash", "rm *", "deny")],
                Need::Denied,
            ),
            (&[("ba*", "**", "deny")], Need::Denied),
            (&[("bash", "*", "ask")], Need::Asked),
            (&[("bash", "rm *", "deny")], Need::Asked),
            (
                &[("bash", "*", "allow"), ("bash", "rm *", "deny")],
                Need::Asked,
            ),
            (
                &[("bash", "*", "deny"), ("bash", "git *", "allow")],
                Need::Asked,
            ),
            (
                &[("bash", "*", "deny"), ("bash", "git *", "ask")],
                Need::Asked,
            ),
        ] {
            assert_eq!(needs(rules), bash(need), "{rules:?}");
        }
    }

    #[test]
    fn all_ways_to_edit_are_one_permission() {
        for name in ["edit", "write", "patch", "multiedit", "apply_patch", "e?it"] {
            let fence = of(&[(name, "*", "deny")]);
            assert_eq!(fence.need("edit"), Some(Need::Denied), "{name}");
            assert_eq!(fence.need("bash"), None, "{name}");
        }
    }

    #[test]
    fn a_star_stands_for_tools_that_nobody_has_named_and_what_comes_behind_it_is_free() {
        let fence = of(&[
            ("*", "*", "deny"),
            ("read", "*", "allow"),
            ("todowrite", "*", "allow"),
        ]);
        assert_eq!(fence.need("bash"), Some(Need::Denied));
        assert_eq!(fence.need("mcp_files"), Some(Need::Denied));
        assert_eq!((fence.need("read"), fence.need("todowrite")), (None, None));
        let named = of(&[("mcp_*", "*", "deny")]);
        assert_eq!(named.need("mcp_*"), Some(Need::Denied));
        assert_eq!((named.need("bash"), named.need("other")), (None, None));
    }

    #[test]
    fn two_fences_together_are_as_strict_as_either() {
        let deny = of(&[("bash", "*", "deny")]);
        let ask = of(&[("*", "*", "ask"), ("read", "*", "allow")]);
        let both = deny.and(&ask);
        assert_eq!(both, ask.and(&deny));
        assert_eq!(both.need("bash"), Some(Need::Denied));
        assert_eq!(both.need("edit"), Some(Need::Asked));
        assert_eq!(both.need("read"), None);
        assert_eq!(deny.and(&Fence::default()), deny);
    }
}
