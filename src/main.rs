//! The `baton` command line.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use baton::agent::mock::MockArgs;
use baton::app::App;
use baton::cli::DataDirArgs;
use baton::cli::answer::{self, AnswerArgs};
use baton::cli::backup::{self, BackupArgs};
use baton::cli::check::{self, CheckArgs};
use baton::cli::copy::{self, CopyArgs};
use baton::cli::doctor::{self, DoctorArgs};
use baton::cli::events::{self, EventsArgs};
use baton::cli::failure::Failure;
use baton::cli::import::{self, ImportArgs};
use baton::cli::install::{self, InstallArgs};
use baton::cli::limit::{self, LimitArgs};
use baton::cli::manual::{self, CompletionsArgs, ManArgs};
use baton::cli::mcp::{self, McpArgs};
use baton::cli::send::{self, SendArgs};
use baton::cli::server::{Server, ServerArgs};
use baton::cli::sessions::{self, SessionsArgs};
use baton::cli::show::{self, ShowArgs};
use baton::cli::switch::{self, SwitchArgs};
use baton::cli::terminal::Terminal;
use baton::config::{
    BackendArgs, BackendSettings, ConfigError, LogFormat, LogLevel, Places, ServeArgs, Settings,
};
use baton::front;
use baton::http::openapi::{Form, Version};
use baton::listing::{self, ScratchFolder};
use baton::private::{self, Given};
use baton::secret;
use baton::store::postgres::without_password;
use baton::supervise;
use clap::{Args, CommandFactory, Parser, Subcommand};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

/// See Cargo.toml for why.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The variable with a whole filter for the log.
const LOG_FILTER: &str = "BATON_LOG";
/// The exit status for a wrong command line or configuration.
const USAGE_STATUS: u8 = 2;

/// How long blocking threads are waited for at the end.
const THREADS_END_WITHIN: Duration = Duration::from_millis(500);

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the OpenCode API at http://HOST:PORT, and under /opencode there.
    Serve(ServeArgs),
    /// Stand in for `opencode serve`, or run OpenCode's terminal UI on Baton.
    #[command(disable_help_flag = true)]
    Opencode {
        /// As for OpenCode; `baton opencode --help` says more.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// List the backends: which can run, with which models, and what to install for the others.
    Agents(AgentsArgs),
    /// List the sessions of the running server.
    Sessions(SessionsArgs),
    /// List what agents have already, or make a session that goes on with it.
    Import(ImportArgs),
    /// Show a session: who has said what, and when its model was switched.
    Show(ShowArgs),
    /// Hand a session to another model.
    Switch(SwitchArgs),
    /// Show what a session has spent, or limit what it may spend.
    Limit(LimitArgs),
    /// Send a prompt to a session, and write the answer as it comes.
    Send(SendArgs),
    /// Answer what an agent waits for: a permission or a question.
    Answer(AnswerArgs),
    /// List the MCP servers that agents are given, or change them.
    Mcp(McpArgs),
    /// Write what happens in the running server.
    Events(EventsArgs),
    /// Say where everything is, and which backends can be used.
    Doctor(DoctorArgs),
    /// Install a built-in agent with npm or pip, into Baton's data directory.
    Install(InstallArgs),
    /// Copy the database to a file, also while a server runs, and open the copy.
    Backup(BackupArgs),
    /// Look whether the database is whole; status 1 if it is not.
    Check(CheckArgs),
    /// Copy everything from a data directory into PostgreSQL, or back. No server may be running on either.
    Copy(CopyArgs),
    /// Print the OpenAPI document of the server.
    Openapi(OpenapiArgs),
    /// Serve the Agent Client Protocol on stdin and stdout, with no model behind it.
    MockAgent(MockArgs),
    /// Print what a shell has to read to complete the command line.
    Completions(CompletionsArgs),
    /// Print a manual page: `baton man | man -l -`.
    Man(ManArgs),
}

#[derive(Args)]
struct OpenapiArgs {
    /// The version of OpenAPI to write it in.
    #[arg(long, value_enum, default_value = "3.1")]
    version: Version,

    /// Only the operations that matter for driving sessions, for MCP and for people.
    #[arg(long)]
    core: bool,
}

#[derive(Args)]
struct AgentsArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Ask npm and PyPI for newer versions of the agents that are there.
    #[arg(long)]
    check_updates: bool,

    #[command(flatten)]
    backends: BackendArgs,

    #[command(flatten)]
    data: DataDirArgs,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == supervise::SUBCOMMAND)
    {
        // Not a word of its arguments is Baton's own.
        return supervise::run(arguments);
    }
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == front::detach::SUBCOMMAND)
    {
        return front::detach::run(arguments);
    }
    if let Some(arguments) = front::called(std::env::args_os()) {
        return match Runtime::new() {
            Ok(runtime) => end(runtime, |runtime| runtime.block_on(front::run(arguments))),
            Err(error) => fail(1, &error),
        };
    }
    // Before anything else: this may start the program anew.
    let given = match private::take_passwords() {
        Ok(given) => given,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    secret::learn_environment();
    secret::learn(given.flag.iter().chain(&given.environment).cloned());
    secret::learn(given.urls.iter().filter_map(|url| without_password(url).1));
    supervise::enable();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    end(runtime, |runtime| runtime.block_on(run(given)))
}

fn end(runtime: Runtime, work: impl FnOnce(&Runtime) -> ExitCode) -> ExitCode {
    let status = work(&runtime);
    // Everything was brought to its end in order; what is left are threads in file systems that do not answer.
    runtime.shutdown_timeout(THREADS_END_WITHIN);
    status
}

async fn run(given: Given) -> ExitCode {
    match Cli::parse().command {
        Command::Serve(mut args) => {
            args.store = args.store.map(|url| given.whole_url(url));
            args.password = given.flag.or(args.password);
            args.environment_password = given.environment;
            serve(&args).await
        }
        _ if given.flag.is_some() => fail(USAGE_STATUS, &"--password is a flag of baton serve"),
        Command::Opencode { arguments } => front::run(arguments).await,
        Command::Agents(args) => agents(&args).await,
        Command::Install(args) => install(&args).await,
        Command::Backup(args) => backup(&args),
        Command::Check(args) => check(&args),
        Command::Copy(args) => copy(&given, args).await,
        Command::Openapi(args) => {
            let form = Form {
                version: args.version,
                is_core: args.core,
            };
            print(&form.document())
        }
        Command::MockAgent(args) => status(baton::agent::mock::run(args).await),
        Command::Completions(args) => print_bytes(Ok(manual::completions(&args, Cli::command()))),
        Command::Man(args) => print_bytes(manual::page(&args, Cli::command())),
        for_people => ended(talk(for_people, given.environment.as_deref()).await),
    }
}

/// The commands that talk to the running server. `password` is what the environment held.
async fn talk(command: Command, password: Option<&str>) -> Result<(), Failure> {
    let terminal = Terminal::of_this_process();
    let find = |args: &ServerArgs| Server::find(args, password);
    match command {
        Command::Sessions(args) => sessions::run(&args, &find(&args.server)?, terminal).await,
        Command::Import(args) => import::run(&args, &find(&args.server)?, terminal).await,
        Command::Show(args) => show::run(&args, &find(&args.server)?, terminal).await,
        Command::Switch(args) => switch::run(&args, &find(&args.server)?, terminal).await,
        Command::Limit(args) => limit::run(&args, &find(&args.server)?, terminal).await,
        Command::Mcp(args) => mcp::run(&args, &find(&args.server)?, terminal).await,
        Command::Send(args) => send::run(&args, &find(&args.server)?, terminal).await,
        Command::Answer(args) => answer::run(&args, &find(&args.server)?, terminal).await,
        Command::Events(args) => events::run(&args, &find(&args.server)?, terminal).await,
        Command::Doctor(args) => doctor::run(&args, password, terminal).await,
        // All others were run before.
        _ => Ok(()),
    }
}

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_told() => ExitCode::from(failure.status()),
        Err(failure) => fail(failure.status(), &failure),
    }
}

async fn serve(args: &ServeArgs) -> ExitCode {
    let hidden = private::forbid_reading();
    let settings = Places::of_this_process().and_then(|places| Settings::load(args, &places));
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    let logging = log_to_stderr(settings.log_format, &usual_filter(settings.log_level));
    if let Err(error) = logging {
        return fail(USAGE_STATUS, &error);
    }
    if let Err(warning) = hidden {
        tracing::warn!("{warning}");
    }
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    settings.learn_secrets();
    let (for_fronts, data_dir) = (settings.for_fronts, settings.data_dir.clone());
    let app = match App::build(settings).await {
        Ok(app) => app,
        Err(error) => return fail(1, &error),
    };
    // The parent process may wait for this line; if nobody reads it, we serve all the same.
    print(&format!("baton listening on {}", app.url()));
    if for_fronts {
        let stopper = app.stopper();
        if let Err(error) = front::running::when_alone(&data_dir, move || stopper.stop()) {
            return fail(1, &error);
        }
    }
    status(app.run_until_stopped().await)
}

async fn agents(args: &AgentsArgs) -> ExitCode {
    let scratch = match ScratchFolder::new() {
        Ok(scratch) => scratch,
        Err(error) => return fail(1, &error),
    };
    let settings = Places::of_this_process().and_then(|places| {
        let data_dir = places.data_dir(args.data.data_dir.as_deref())?;
        BackendSettings::load(
            &args.backends,
            &places,
            &data_dir,
            &scratch.path().join("mock"),
        )
    });
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    settings.learn_secrets();
    // What a program that does not start writes to its stderr often says why.
    if let Err(error) = log_to_stderr(LogFormat::Text, "baton::agent=warn") {
        return fail(USAGE_STATUS, &error);
    }
    let mut entries = match listing::probe(settings, scratch.path()).await {
        Ok(entries) => entries,
        Err(error) => return fail(1, &error),
    };
    if args.check_updates {
        for unknown in listing::check_updates(&mut entries).await {
            let _told = fail(1, &unknown);
        }
    }
    match args.json {
        true => match serde_json::to_string_pretty(&entries) {
            Ok(json) => print(&json),
            Err(error) => fail(1, &error),
        },
        false => print(&listing::table(&entries)),
    }
}

fn data_dir(args: &DataDirArgs) -> Result<PathBuf, ConfigError> {
    Places::of_this_process()?.data_dir(args.data_dir.as_deref())
}

async fn install(args: &InstallArgs) -> ExitCode {
    let data_dir = match data_dir(&args.data) {
        Ok(data_dir) => data_dir,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    match install::run(&data_dir, &args.name, args.latest).await {
        Ok(text) => print(&text),
        Err(error) => fail(1, &error),
    }
}

fn backup(args: &BackupArgs) -> ExitCode {
    let data_dir = match data_dir(&args.data) {
        Ok(data_dir) => data_dir,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    match backup::run(&data_dir, &args.file) {
        Ok(text) => print(&text),
        Err(error) => fail(1, &error),
    }
}

fn check(args: &CheckArgs) -> ExitCode {
    let data_dir = match data_dir(&args.data) {
        Ok(data_dir) => data_dir,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    let report = match args.repair {
        true => check::repair(&data_dir),
        false => check::check(&data_dir),
    };
    match report {
        Ok(report) if report.good => print(report.text.trim_end()),
        Ok(report) => {
            print(report.text.trim_end());
            ExitCode::from(1)
        }
        Err(error) => fail(1, &error),
    }
}

async fn copy(given: &Given, args: CopyArgs) -> ExitCode {
    let places = match Places::of_this_process() {
        Ok(places) => places,
        Err(error) => return fail(USAGE_STATUS, &error),
    };
    if let Err(error) = log_to_stderr(LogFormat::Text, "baton=warn") {
        return fail(USAGE_STATUS, &error);
    }
    let place = |text| copy::place(&given.whole_url(text), &places.directory);
    match (place(args.from), place(args.to)) {
        (Ok(from), Ok(to)) => match copy::run(&from, &to).await {
            Ok(text) => print(&text),
            Err(error) => fail(1, &error),
        },
        (Err(error), _) | (_, Err(error)) => fail(USAGE_STATUS, &error),
    }
}

/// What is logged at a level.
fn usual_filter(level: LogLevel) -> String {
    format!("baton={}", level.as_str())
}

/// `usual` is what is logged unless `BATON_LOG` says otherwise.
fn log_to_stderr(format: LogFormat, usual: &str) -> Result<(), String> {
    let wanted = std::env::var(LOG_FILTER)
        .ok()
        .filter(|filter| !filter.is_empty());
    let filter = EnvFilter::builder().parse(wanted.as_deref().unwrap_or(usual));
    let filter = filter.map_err(|error| {
        format!(
            "{LOG_FILTER} is no filter ({error}). Set one such as baton=debug or baton=info,baton::acp=trace; for a level \
             alone there is --log-level"
        )
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(format == LogFormat::Text && std::io::stderr().is_terminal())
        .with_writer(Stderr::default)
        // It would report them with eprintln!, which panics when stderr cannot be written.
        .log_internal_errors(false);
    match format {
        LogFormat::Text => log.init(),
        // The request that a line belongs to is its `span`; spans are never nested.
        LogFormat::Json => log.json().with_span_list(false).init(),
    }
    Ok(())
}

/// The standard error without secrets, where it can be written: on a full disk, or when its reader is gone, what was to be
/// logged is lost, and nothing else.
#[derive(Default)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Each call is one whole event, so that no secret is cut in two.
        let text = String::from_utf8_lossy(bytes);
        let _lost = std::io::stderr().write_all(secret::mask(&text).as_bytes());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // It has no buffer.
        Ok(())
    }
}

fn print(text: &str) -> ExitCode {
    print_bytes(Ok(format!("{text}\n").into_bytes()))
}

fn print_bytes(bytes: Result<Vec<u8>, Failure>) -> ExitCode {
    let mut out = std::io::stdout().lock();
    ended(bytes.and_then(|bytes| {
        let written = out.write_all(&bytes).and_then(|()| out.flush());
        Ok(written?)
    }))
}

fn status(result: std::io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

fn fail(status: u8, error: &dyn Display) -> ExitCode {
    // Without a stderr there is no one to tell.
    let text = format!("baton: {error}");
    let _unheard = writeln!(std::io::stderr(), "{}", secret::mask(&text));
    ExitCode::from(status)
}
