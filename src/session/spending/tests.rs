use super::*;
use crate::opencode::history::ContextUse;
use crate::opencode::session::Tokens;

#[test]
fn who_has_reported_nothing_of_what_is_limited_is_named() {
    let used = |provider: &str, cost: f64, output: u64| ModelUsage {
        provider_id: provider.to_owned(),
        model_id: "m".to_owned(),
        answers: 1,
        tokens: Tokens {
            output,
            ..Tokens::default()
        },
        cost,
        context: ContextUse::default(),
    };
    let usage = [used("b", 1.0, 0), used("a", 0.0, 7), used("b", 0.0, 0)];
    let limit = |cost: Option<f64>, tokens: Option<u64>| SpendingLimit {
        cost,
        tokens,
        hard: false,
    };
    assert_eq!(uncounted(&usage, &limit(Some(1.0), None)), ["a"]);
    assert_eq!(uncounted(&usage, &limit(None, Some(1))), ["b"]);
    assert_eq!(uncounted(&usage, &limit(Some(1.0), Some(1))), ["a", "b"]);
}
