use super::*;

fn trouble(cause: FallbackCause, pause: Option<u64>) -> Trouble {
    Trouble {
        cause,
        pause: pause.map(Duration::from_secs),
    }
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn who_fails_is_left_out_for_longer_and_longer_and_then_forgiven() {
    let fallbacks = Fallbacks::default();
    let fails = || fallbacks.leave_out("a", "m", &trouble(FallbackCause::Overloaded, None), "x");
    let is_out = || fallbacks.left_out("a", "m").is_some();
    fails();
    pass(29).await;
    assert!(is_out());
    pass(1).await;
    assert!(!is_out());
    fails();
    pass(59).await;
    assert!(is_out());
    pass(1).await;
    assert!(!is_out());
    for _ in 0..20 {
        fails();
    }
    pass(PAUSE_MOST.as_secs() - 1).await;
    assert!(is_out(), "no longer than the longest");
    pass(1).await;
    assert!(!is_out());
    pass(FORGIVEN_AFTER.as_secs()).await;
    fails();
    pass(30).await;
    assert!(!is_out(), "the first in a row again");
    fails();
    fallbacks.take_in("a", "m");
    assert!(!is_out(), "it has answered");
}

#[tokio::test(start_paused = true)]
async fn a_time_that_was_named_counts_and_decides_about_the_way_back() {
    let fallbacks = |returns| {
        Fallbacks::new(FallbackSettings {
            returns,
            ..FallbackSettings::default()
        })
    };
    for (returns, guessed, named, after) in [
        (Returns::Never, false, false, false),
        (Returns::NextTurn, true, false, true),
        (Returns::WhenReset, false, false, true),
    ] {
        let fallbacks = fallbacks(returns);
        fallbacks.leave_out("a", "m", &trouble(FallbackCause::RateLimit, None), "x");
        assert_eq!(fallbacks.may_return("a", "m"), guessed, "{returns:?}");
        fallbacks.leave_out(
            "a",
            "m",
            &trouble(FallbackCause::RateLimit, Some(7_000)),
            "x",
        );
        assert_eq!(fallbacks.may_return("a", "m"), named, "{returns:?}");
        pass(6_999).await;
        assert_eq!(fallbacks.may_return("a", "m"), named, "{returns:?}");
        pass(1).await;
        assert_eq!(fallbacks.may_return("a", "m"), after, "{returns:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_belongs_to_a_model_and_an_account_to_all_of_its_vendor() {
    let fallbacks = Fallbacks::default();
    let is_out = |provider: &str, model: &str| fallbacks.left_out(provider, model).is_some();
    fallbacks.leave_out(
        "opencode",
        "x/big",
        &trouble(FallbackCause::RateLimit, None),
        "x",
    );
    assert!(is_out("opencode", "x/big"));
    assert!(!is_out("opencode", "x/small") && !is_out("kilo", "x/big"));
    fallbacks.leave_out(
        "opencode",
        "x/big",
        &trouble(FallbackCause::Quota, None),
        "x",
    );
    assert!(is_out("opencode", "x/small"));
    assert!(!is_out("opencode", "y/big") && !is_out("kilo", "x/big"));
    fallbacks.leave_out(
        "claude",
        "opus",
        &trouble(FallbackCause::SignedOut, None),
        "x",
    );
    assert!(is_out("claude", "sonnet"));
}
