use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::session::Returns;

struct Setup {
    folder: TempDir,
    places: Places,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("scratch directory");
        let places = Places {
            home: Some(folder.path().join("home")),
            data_home: None,
            config_home: None,
            directory: folder.path().to_owned(),
            program: PathBuf::from("/bin/baton"),
        };
        Self { folder, places }
    }

    fn with_file(text: &str) -> (Self, ServeArgs) {
        let setup = Self::new();
        std::fs::write(setup.folder.path().join("b.toml"), text).expect("written");
        let mut args = ServeArgs::default();
        args.backends.config = Some("b.toml".into());
        (setup, args)
    }

    fn load(&self, args: &ServeArgs) -> Result<Settings, String> {
        Settings::load(args, &self.places).map_err(|e| e.to_string())
    }
}

pub(super) fn loaded(file: &str) -> Result<Settings, String> {
    let (setup, args) = Setup::with_file(file);
    setup.load(&args)
}

fn agents_named(names: &str) -> BackendArgs {
    BackendArgs {
        agents: Some(names.split(',').map(str::to_owned).collect()),
        ..BackendArgs::default()
    }
}

#[test]
fn the_defaults_need_nothing() {
    let setup = Setup::new();
    let settings = setup.load(&ServeArgs::default()).expect("fine");
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 2468));
    let home = setup.folder.path().join("home");
    assert_eq!(settings.data_dir, home.join(".local/share/baton"));
    assert_eq!(
        settings.config_file,
        Some(home.join(".config/baton/baton.toml"))
    );
    assert_eq!(settings.limits.bodies.bytes, 64 * 1024 * 1024);
    assert_eq!(settings.limits.queue_prompts, 32);
    let [.., mock, mock2] = settings.backends.agents.as_slice() else {
        panic!("too few backends")
    };
    for (agent, id) in [(mock, "mock"), (mock2, "mock2")] {
        assert_eq!(
            (agent.id.as_str(), agent.command[0].as_str()),
            (id, "/bin/baton")
        );
    }
}

#[test]
fn xdg_folders_go_before_home() {
    let mut setup = Setup::new();
    setup.places.data_home = Some("/data".into());
    setup.places.config_home = Some(setup.folder.path().join("conf"));
    let file = setup.folder.path().join("conf/baton/baton.toml");
    std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
    std::fs::write(&file, "[server]\nport = 9\n").expect("written");
    let settings = setup.load(&ServeArgs::default()).expect("fine");
    assert_eq!(settings.data_dir, PathBuf::from("/data/baton"));
    assert_eq!(settings.port, 9);
}

#[test]
fn a_flag_goes_before_the_file() {
    let file =
        "default_model = \"mock/a\"\n[server]\nhost = \"::1\"\nport = 9\npassword = \"file\"\n";
    let (setup, mut args) = Setup::with_file(file);
    let from_file = setup.load(&args).expect("fine");
    assert_eq!((from_file.host.as_str(), from_file.port), ("::1", 9));
    assert_eq!(from_file.password, Some(Password::new("file")));
    args.host = Some("localhost".to_owned());
    args.port = Some(0);
    args.password = Some("flag".to_owned());
    args.backends.default_model = Some("opencode/x/y".to_owned());
    let settings = setup.load(&args).expect("fine");
    assert_eq!((settings.host.as_str(), settings.port), ("localhost", 0));
    assert_eq!(settings.password, Some(Password::new("flag")));
    let model = settings.backends.default_model.expect("given");
    assert_eq!(
        (model.provider_id.as_str(), model.model_id.as_str()),
        ("opencode", "x/y")
    );
}

#[test]
fn another_host_than_loopback_needs_a_password() {
    let setup = Setup::new();
    for host in [
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "[::1]",
        "localhost",
        "LOCALHOST",
    ] {
        let args = ServeArgs {
            host: Some(host.to_owned()),
            ..ServeArgs::default()
        };
        assert!(setup.load(&args).is_ok(), "{host}");
    }
    for host in ["0.0.0.0", "::", "192.168.1.5", "box", "localhost.example"] {
        let mut args = ServeArgs {
            host: Some(host.to_owned()),
            ..ServeArgs::default()
        };
        let refused = setup.load(&args).expect_err("refused");
        assert!(
            refused.contains(host) && refused.contains("BATON_PASSWORD"),
            "{refused}"
        );
        args.password = Some("secret".to_owned());
        assert!(setup.load(&args).is_ok(), "{host}");
    }
}

#[test]
fn an_unknown_key_is_named_with_the_file() {
    for (file, key) in [
        ("defaultmodel = \"a/b\"", "defaultmodel"),
        ("[server]\nprot = 1", "prot"),
        ("[limits]\nring_event = 1", "ring_event"),
        ("[timeouts]\nstart_ms = 1", "start_ms"),
        ("[agents.mock]\ncomand = []", "comand"),
        ("[agent.mock]\ncommand = []", "agent"),
    ] {
        let refused = loaded(file).expect_err("refused");
        assert!(
            refused.contains(key) && refused.contains("b.toml"),
            "{refused}"
        );
    }
}

#[test]
fn a_file_that_was_asked_for_has_to_be_there() {
    let setup = Setup::new();
    let mut args = ServeArgs::default();
    args.backends.config = Some("missing.toml".into());
    let refused = setup.load(&args).expect_err("refused");
    assert!(refused.contains("missing.toml"), "{refused}");
}

#[test]
fn a_changed_builtin_keeps_its_other_data_and_its_place() {
    let file = "[agents.opencode]\nname = \"OC\"\nenv = { A = \"1\", OPENCODE_ENABLE_QUESTION_TOOL = \"1\" }\n\
                [agents.pi]\nenabled = false\n\
                [agents.zed]\ncommand = [\"zed-agent\", \"--model={model}\"]\nmodels = [\"m\"]\nplan_modes = [\"p\"]\none_session_per_process = true\nleave_children = true\nlogin = \"run `zed login`\"\n";
    let settings = loaded(file).expect("fine");
    let opencode = &settings.backends.agents[0];
    assert_eq!(
        (opencode.id.as_str(), opencode.name.as_str()),
        ("opencode", "OC")
    );
    assert_eq!(opencode.command, ["opencode", "acp"]);
    assert_eq!(
        opencode.environment.set.get("A").map(String::as_str),
        Some("1")
    );
    assert!(
        opencode
            .environment
            .set
            .contains_key("OPENCODE_CONFIG_CONTENT")
    );
    let question_tool = "OPENCODE_ENABLE_QUESTION_TOOL";
    assert!(opencode.environment.set.contains_key(question_tool));
    assert!(settings.backends.agents.iter().all(|a| a.id != "pi"));
    let [.., zed, mock, mock2] = settings.backends.agents.as_slice() else {
        panic!("too few backends")
    };
    let ids = [zed, mock, mock2].map(|agent| agent.id.as_str());
    assert_eq!(ids, ["zed", "mock", "mock2"]);
    assert!(
        zed.leaves_children
            && zed.one_session_per_process
            && zed.per_model()
            && zed.models == ["m"]
            && zed.plan_modes == ["p"]
            && zed.login == "run `zed login`"
    );
}

#[test]
fn agents_of_the_file_are_checked() {
    for (file, word) in [
        ("[agents.Upper]\ncommand = [\"x\"]", "lower-case"),
        ("[agents.\"a/b\"]\ncommand = [\"x\"]", "lower-case"),
        ("[agents.-a]\ncommand = [\"x\"]", "begins with"),
        ("[agents.\"\"]\ncommand = [\"x\"]", "begins with"),
        ("[agents.build]\ncommand = [\"x\"]", "agent mode"),
        ("[agents.plan]\ncommand = [\"x\"]", "agent mode"),
        ("[agents.opencod]\nname = \"x\"", "no command"),
    ] {
        let refused = loaded(file).expect_err("refused");
        assert!(refused.contains(word), "{refused}");
    }
    assert!(loaded("[agents.\"a.b_c-1\"]\ncommand = [\"x\"]").is_ok());
}

#[test]
fn the_agents_flag_chooses_and_orders() {
    let file = "[agents.mock]\nenabled = false\n";
    let (setup, mut args) = Setup::with_file(file);
    args.backends.agents = agents_named("mock, opencode,mock").agents;
    let settings = setup.load(&args).expect("fine");
    let ids: Vec<_> = settings
        .backends
        .agents
        .iter()
        .map(|a| a.id.as_str())
        .collect();
    assert_eq!(ids, ["mock", "opencode"]);
    args.backends.agents = agents_named("mock,nope").agents;
    let refused = setup.load(&args).expect_err("refused");
    assert!(
        refused.contains("\"nope\"") && refused.contains("opencode"),
        "{refused}"
    );
}

#[test]
fn limits_and_timeouts_are_read_with_their_units() {
    let file = "[limits]\nbody_bytes = 1\nqueue_prompts = 2\nring_events = 3\nring_bytes = 4\nlive_agents = 5\n\
                agent_idle_s = 6\ntranscript_bytes = 7\ntool_output_bytes = 8\n\
                [timeouts]\nstart_s = 1\nsession_s = 2\nswitch_s = 3\ncancel_s = 4\nend_ms = 5\nsilent_s = 6\n";
    let settings = loaded(file).expect("fine");
    let limits = settings.limits;
    assert_eq!((limits.bodies.bytes, limits.queue_prompts), (1, 2));
    assert_eq!((limits.ring.events, limits.ring.bytes), (3, 4));
    assert_eq!((limits.pool.live, limits.pool.idle.as_secs()), (5, 6));
    assert_eq!(
        (limits.handoff.total_bytes, limits.handoff.tool_output_bytes),
        (7, 8)
    );
    let timeouts = settings.backends.timeouts;
    assert_eq!(
        (timeouts.start.as_secs(), timeouts.session.as_secs()),
        (1, 2)
    );
    assert_eq!(
        (timeouts.switch.as_secs(), timeouts.cancel.as_secs()),
        (3, 4)
    );
    assert_eq!(
        (timeouts.end.as_millis(), timeouts.silent.as_secs()),
        (5, 6)
    );
    assert_eq!(timeouts.silent_end, None);
    let ends = loaded("[timeouts]\nsilent_end_s = 7").expect("fine");
    let silent_end = ends.backends.timeouts.silent_end;
    assert_eq!(silent_end, Some(std::time::Duration::from_secs(7)));
    loaded("[timeouts]\nsilent_end_s = 0").expect_err("refused");
    let refused = loaded("[limits]\nlive_agents = 0").expect_err("refused");
    assert!(refused.contains("limits.live_agents = 0"), "{refused}");
}

#[test]
fn the_default_model_has_to_be_of_a_backend() {
    for bad in ["mock", "/m", "mock/", "nope/m"] {
        let refused = loaded(&format!("default_model = \"{bad}\"")).expect_err("refused");
        assert!(refused.contains(&format!("\"{bad}\"")), "{refused}");
    }
}

#[test]
fn a_password_is_not_in_debug_output() {
    let password = Password::new("secret");
    assert!(!format!("{password:?}").contains("secret"));
    assert!(password.matches(b"secret"));
    assert!(!password.matches(b"secre") && !password.matches(b"Secret") && !password.matches(b""));
}

#[test]
fn a_chain_is_read_and_checked() {
    let read = loaded(
        "[fallback]\nchain = [{ providerID = \"mock\", modelID = \"m\", variant = \"high\" }, { providerID = \"codex\", \
         modelID = \"n\", variant = \"default\" }]\nreturn = \"next_turn\"\nsilent_s = 7\npause_s = 8",
    );
    let settings = read.expect("fine").backends;
    let fallback = &settings.fallback;
    let chain: Vec<_> = fallback
        .chain
        .iter()
        .map(|m| (&*m.provider_id, &*m.model_id, m.variant.as_deref()))
        .collect();
    assert_eq!(chain, [("mock", "m", Some("high")), ("codex", "n", None)]);
    assert_eq!(fallback.returns, Returns::NextTurn);
    assert_eq!(fallback.silent, Duration::from_secs(7));
    assert_eq!(fallback.pause, Duration::from_secs(8));
    // Who leaves it to Baton to try again does not do it for minutes itself.
    let claude = settings.agents.iter().find(|a| a.id == "claude");
    let claude = &claude.expect("built in").environment.set;
    assert_eq!(
        claude.get("CLAUDE_CODE_MAX_RETRIES").map(String::as_str),
        Some("2")
    );
    for (file, expected) in [
        (
            "chain = [{ providerID = \"mokc\", modelID = \"m\" }]",
            "Did you mean mock",
        ),
        ("chain = [{ providerID = \"mock\" }]", "modelID"),
        (
            "chain = [{ providerID = \"mock\", modelID = \"m\", model = \"x\" }]",
            "model",
        ),
        ("chain = [\"mock/m\"]", "chain"),
        ("return = \"sometimes\"", "`when_reset`"),
        ("silent_s = 0", "silent_s"),
        ("pause_s = 0", "pause_s"),
    ] {
        let refused = loaded(&format!("[fallback]\n{file}")).expect_err("refused");
        assert!(refused.contains(expected), "{file}: {refused}");
    }
}

#[test]
fn a_store_elsewhere_is_named_by_the_flag_or_the_file_and_never_shown_whole() {
    let file = "[store]\nurl = \"postgres://me:hunter2secret@db/baton\"\nconnections = 3\nconnect_timeout_s = 2\n";
    let (setup, mut args) = Setup::with_file(file);
    let store = setup.load(&args).expect("fine").store.expect("named");
    assert_eq!(store.url.to_string(), "postgres://me@db/baton");
    assert_eq!(
        (store.connections, store.times.connect),
        (3, Duration::from_secs(2))
    );
    assert!(!format!("{store:?}").contains("hunter2"));
    args.store = Some("postgres://other/baton".to_owned());
    let store = setup.load(&args).expect("fine").store.expect("named");
    assert_eq!(
        (store.url.to_string().as_str(), store.connections),
        ("postgres://other/baton", 3)
    );
    args.store = Some("sqlite".to_owned());
    assert!(setup.load(&args).expect("fine").store.is_none());
    assert!(loaded("").expect("fine").store.is_none());
    for (file, why) in [
        (
            "url = \"mysql://me:hunter2@db/baton\"",
            "begins with postgres://",
        ),
        (
            "url = \"postgres://me:hunter2@db/baton?sslmode=never\"",
            "sslmode is",
        ),
        ("url = \"postgres:///baton\"", "no host"),
        (
            "connections = 0",
            "[store] connections: expected 1 to 100, got 0",
        ),
        (
            "statement_timeout_s = 4000",
            "statement_timeout_s: expected 1 to 3600",
        ),
    ] {
        let refused = loaded(&format!("[store]\n{file}\n")).expect_err("refused");
        assert!(
            refused.contains(why) && !refused.contains("hunter2"),
            "{refused}"
        );
    }
}
