//! Clients that do this and that at the same time, on a store that fails now and then, with agents that
//! misbehave and servers that are killed. Whatever they do, what has to hold does (see [`watch`]).
//!
//! What is done follows from the seed; when, also from the threads that read and render outside the runtime.
//! `BATON_SEED=7 cargo test --test core random` repeats a run, sometimes only after some attempts;
//! `BATON_SEEDS=5000` tries that many.

mod client;
mod rng;
mod watch;

use std::time::Duration;

use baton::agent::scripted::Reaction;
use baton::opencode::request::PermissionReply;
use baton::opencode::session::MessageModel;
use baton::session::{FallbackSettings, Returns};
use baton::store::StoreError;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{NEVER, Setup, World, settle, text, until, within};
use client::Client;
use rng::Rng;
use watch::Watch;

/// Steps of a run.
const STEPS: usize = 60;
/// New runs are begun for this long.
const AT_MOST: Duration = Duration::from_secs(6);

#[test]
fn whatever_happens_what_has_to_hold_does() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    if let Some(seed) = number("BATON_SEED") {
        return run(seed);
    }
    let (began, seeds) = (std::time::Instant::now(), number("BATON_SEEDS"));
    // Always others, unless somebody says how many.
    let first = seeds.map_or_else(rand::random::<u32>, |_| 0).into();
    for seed in first.. {
        let done = seeds.map_or(began.elapsed() > AT_MOST, |seeds| seed >= seeds);
        if done {
            println!("{} runs", seed - first);
            return;
        }
        let failed = std::panic::catch_unwind(|| run(seed)).is_err();
        assert!(!failed, "it happens with BATON_SEED={seed}");
    }
}

fn run(seed: u64) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(Run::new(seed).go());
}

/// A chain of models that is needed now and then.
fn chain(rng: &mut Rng) -> FallbackSettings {
    let model = |(provider, model): (&str, &str)| MessageModel {
        provider_id: provider.to_owned(),
        model_id: model.to_owned(),
        variant: None,
    };
    FallbackSettings {
        chain: [("two", "a"), ("one", "y"), ("two", "b")]
            .map(model)
            .to_vec(),
        returns: *rng.pick(&[Returns::Never, Returns::NextTurn, Returns::WhenReset]),
        silent: Duration::from_secs(2),
        ..FallbackSettings::default()
    }
}

struct Run {
    rng: Rng,
    setup: Setup,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let setup = Setup {
            loaded_sessions: rng.below(4) + 1,
            queue_prompts: 4,
            live_agents: rng.below(3) + 1,
            fallback: match rng.chance(50) {
                true => chain(&mut rng),
                false => FallbackSettings::default(),
            },
            ..Setup::default()
        };
        Self { rng, setup }
    }

    async fn go(mut self) {
        let mut world = World::with(self.setup.clone()).await;
        let watch = Watch::new(&world);
        let mut clients = JoinSet::new();
        for _ in 0..STEPS {
            match self.rng.below(20) {
                0..=1 => self.trouble(&world),
                2..=3 => world.store.heal(),
                4 => self.mislead(&world),
                5 if self.rng.chance(30) => {
                    // What was told until then is looked at first.
                    watch.look(&world).await;
                    let before = world.clone();
                    watch.has_ended(before.clone());
                    world = world.killed().await;
                    // What was on its way to the store then may have been stored.
                    watch.look_at_events(&before).await;
                    while let Some(done) = within(clients.join_next()).await {
                        done.expect("no client panics");
                    }
                    watch.goes_on(&world).await;
                }
                _ => {
                    let client = Client::new(world.clone(), watch.clone(), self.rng.split());
                    clients.spawn(client.act());
                }
            }
            self.let_time_pass().await;
            watch.look(&world).await;
            while let Some(done) = clients.try_join_next() {
                done.expect("no client panics");
            }
        }
        self.end(world, watch, clients).await;
    }

    /// The store does something wrong from now on, or once.
    fn trouble(&mut self, world: &World) {
        let full = || StoreError::Unavailable("the disk is full".to_owned());
        match self.rng.below(4) {
            0 => world.store.fail_all(full()),
            1 => world.store.fail_nth(self.rng.below(6) as u64 + 1, full()),
            2 => world.store.panic_nth(self.rng.below(6) as u64 + 1),
            _ => world
                .store
                .delay(Duration::from_millis(self.rng.below(400) as u64)),
        }
    }

    /// An agent will do something wrong.
    fn mislead(&mut self, world: &World) {
        let backend = self.rng.word(&["one", "two"]);
        let methods = [
            "session/new",
            "session/set_config_option",
            "session/prompt",
            "initialize",
        ];
        let reaction = match self.rng.below(6) {
            0 => Reaction::Die,
            1 => Reaction::ServeAndDie,
            2 => Reaction::Never,
            3 => Reaction::After(Duration::from_millis(self.rng.below(3_000) as u64)),
            _ => Reaction::Fail {
                code: -32603,
                message: self.rng.word(&["no", "429 rate limit", "quota"]).into(),
            },
        };
        world
            .agent(backend)
            .react_next(self.rng.word(&methods), reaction);
    }

    async fn let_time_pass(&mut self) {
        match self.rng.below(4) {
            0 => {}
            1 => {
                for _ in 0..self.rng.below(30) {
                    tokio::task::yield_now().await;
                }
            }
            2 => tokio::time::sleep(Duration::from_millis(self.rng.below(20) as u64)).await,
            _ => tokio::time::sleep(Duration::from_millis(self.rng.below(3_000) as u64)).await,
        }
    }

    /// Everybody comes to rest, and the next server has everything.
    async fn end(self, world: World, watch: Watch, mut clients: JoinSet<()>) {
        world.store.heal();
        within(come_to_rest(&world, &mut clients)).await;
        // The last switches, also those with an agent that never answers.
        settle().await;
        until(async || watch.is_quiet(&world).await).await;
        watch.look(&world).await;
        watch.look_at_rest(&world).await;
        watch.has_ended(world.clone());
        let world = world.stopped().await;
        watch.goes_on(&world).await;
        watch.look(&world).await;
        watch.look_at_rest(&world).await;
        for id in watch.sessions() {
            let answer = world.ask(&id, "echo alive").await;
            assert_eq!(
                (answer.message.error, text(&answer.parts).as_str()),
                (None, "alive"),
                "{id}"
            );
            let info = world.info(&id).await;
            assert_eq!(
                info.runtime.applied.map(|a| a.model_id),
                info.model.map(|m| m.id)
            );
        }
        world.quiet().await;
        watch.look(&world).await;
        watch.look_at_rest(&world).await;
    }
}

/// Answers and aborts whatever is at work until everything is idle.
async fn come_to_rest(world: &World, clients: &mut JoinSet<()>) {
    let hangs_from = Instant::now() + NEVER / 4;
    while !clients.is_empty() || !world.sessions.statuses(None).is_empty() {
        for request in world.sessions.permissions(None) {
            let reply = world
                .sessions
                .reply_permission(&request.id, PermissionReply::Reject);
            // Somebody else may have been faster.
            let _gone = reply.await;
        }
        // An agent that never answers a prompt is waited for until somebody has had enough.
        if Instant::now() > hangs_from {
            // Also in a session whose deletion has failed.
            for id in world.sessions.statuses(None).into_keys() {
                let id = serde_json::from_value(id.into()).expect("an id");
                let _gone = world.sessions.abort(&id, None).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        while let Some(done) = clients.try_join_next() {
            done.expect("no client panics");
        }
    }
}
