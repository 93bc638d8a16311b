//! `mainstay run`: from a project to a running loop, in the foreground or behind.
//!
//! Behind (`-d`) the program starts itself once more in a session of its own and waits on a pipe until clients
//! can connect; what goes wrong before is told on the caller's stderr and by its exit code.

use crate::cli::args::Run;
use crate::cli::{check, duration};
use crate::config::plan::{DEFAULT_TIMEOUT, Plan};
use crate::driver::{Driver, Failed, Options, Rooms, Taken, end_predecessor};
use crate::exit_code::ExitCode;
use crate::ipc::client::Client;
use crate::ipc::control::{Reply, Request, Service, What};
use crate::ledger::{Numbers, Past};
use crate::paths::Project;
use crate::supervisor::End;
use crate::sys::process::Inherited;
use crate::sys::signal::Signals;
use crate::sys::{clock, process};
use crate::time::Instant;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The hidden subcommand with which `run -d` starts itself: what follows is the same command line.
pub const DETACHED: &str = "@detached";

/// What a run that could not begin, or ended badly, says.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What happened and where; several lines for a configuration.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl Failure {
    fn new(code: ExitCode, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), hint: hint.into() }
    }
}

/// The plan of a project: of its file, or of a command.
///
/// # Errors
/// Code 78, with every error of the file.
pub fn plan(project: &Project, command: &[String], directory: &Path) -> Result<Plan, Failure> {
    if !command.is_empty() {
        return Ok(Plan::for_command(&project.name, command, directory));
    }
    project.configuration().map_err(|error| Failure::new(ExitCode::Configuration, error.to_string(), ""))?;
    let color = std::io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    match check::load(project, directory) {
        Ok(configuration) => {
            if configuration.warnings.warnings() > 0 {
                eprint!("{}", configuration.warnings.render(color));
            }
            Ok(configuration.plan)
        }
        Err(found) => {
            let message = format!("{}{}", found.render(color), found.summary());
            Err(Failure::new(ExitCode::Configuration, message, ""))
        }
    }
}

/// Runs the tree in this process until everything is down. `listening` is called when clients can connect.
///
/// # Errors
/// Before anything was started: the reason. After it: only that the tree ended by itself.
pub fn supervise(
    project: &Project,
    plan: Plan,
    options: Options,
    listening: impl FnOnce(),
) -> Result<(), Failure> {
    let system =
        |what: &str, error: io::Error| Failure::new(ExitCode::System, format!("{what}: {error}"), "");
    let inherited = process::prepare_process().map_err(|e| system("preparing the process", e))?;
    let signals =
        Signals::install(&Signals::SUPERVISOR).map_err(|e| system("installing signal handlers", e))?;
    let Begun { driver, ended, .. } = begin(project, plan, options, &inherited, signals)?;
    if ended > 0 {
        eprintln!(
            "mainstay: an earlier supervisor was killed; the {ended} processes that it left were ended"
        );
    }
    listening();
    match driver.run() {
        Ok(End::Shutdown | End::Finished(_)) => Ok(()),
        Ok(End::LimitReached(_) | End::StartFailed(_)) => Err(Failure::new(
            ExitCode::Failed,
            "the restart limit of the whole tree was reached; everything is stopped",
            "mainstay crash list",
        )),
        Err(error) => Err(system("waiting for events", error)),
    }
}

/// A driver that is ready to run, with clients waiting in its backlog.
pub struct Begun {
    /// It.
    pub driver: Driver,
    /// How many processes of an earlier supervisor were ended.
    pub ended: usize,
    /// The newest event before its first.
    pub cursor: u64,
}

/// Enters the project's rooms, ends what an earlier supervisor left there, and prepares everything. Nothing is started.
///
/// # Errors
/// The reason.
pub fn begin(
    project: &Project,
    plan: Plan,
    options: Options,
    inherited: &Inherited,
    signals: Signals,
) -> Result<Begun, Failure> {
    let (rooms, past) = Rooms::enter(project).map_err(taken)?;
    let ended = end_past_lives(project, &past)?;
    let past = Past { numbers: numbers(project, &past), ..past };
    let driver = Driver::new(plan, options, rooms, &past, inherited, signals).map_err(failed)?;
    Ok(Begun { driver, ended, cursor: past.numbers.event.saturating_sub(1) })
}

/// Crash numbers go on where the records stand, also after a reboot has taken the ledger.
fn numbers(project: &Project, past: &Past) -> Numbers {
    let recorded = crate::crash::read(&project.state).unwrap_or_default().newest;
    Numbers { crash: past.numbers.crash.max(recorded + 1), ..past.numbers }
}

/// See [`end_predecessor`].
fn end_past_lives(project: &Project, past: &Past) -> Result<usize, Failure> {
    end_predecessor(project, past).map_err(|error| {
        Failure::new(
            ExitCode::System,
            format!("an earlier supervisor was killed, and what it left cannot be ended: {error}"),
            "end it by hand, then try again",
        )
    })
}

fn taken(taken: Taken) -> Failure {
    match taken {
        Taken::Running(_) => Failure::new(ExitCode::AlreadyRunning, taken.to_string(), "mainstay status"),
        Taken::Directory(ref error) => Failure::new(ExitCode::NotPermitted, taken.to_string(), error.hint()),
        Taken::Unusable(_, ref error) if error.kind() == io::ErrorKind::PermissionDenied => Failure::new(
            ExitCode::NotPermitted,
            taken.to_string(),
            "run as its owner, or name other directories with RUNTIME_DIRECTORY, STATE_DIRECTORY and LOGS_DIRECTORY",
        ),
        Taken::Unusable(..) => Failure::new(
            ExitCode::System,
            taken.to_string(),
            "free space, or name other directories with RUNTIME_DIRECTORY, STATE_DIRECTORY and LOGS_DIRECTORY",
        ),
    }
}

fn failed(failed: Failed) -> Failure {
    let hint = match &failed {
        Failed::Descriptors { .. } => {
            "raise the hard limit (ulimit -Hn), or set log = \"none\" where no log is needed"
        }
        Failed::System(_, error) if error.kind() == io::ErrorKind::StorageFull => {
            "free space, or name another directory with RUNTIME_DIRECTORY"
        }
        Failed::System(..) => "",
    };
    Failure::new(ExitCode::System, failed.to_string(), hint)
}

/// The whole verb. `detached`: we are the copy that `run -d` started.
///
/// # Errors
/// Why it did not begin, or that it ended by itself.
pub fn run(arguments: &Run, project: &Project, detached: bool) -> Result<(), Failure> {
    let directory = std::env::current_dir()
        .map_err(|e| Failure::new(ExitCode::System, format!("finding the current directory: {e}"), ""))?;
    let command: Vec<String> =
        arguments.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if arguments.detach && !detached {
        return detach(arguments, project);
    }
    let plan = plan(project, &command, &directory)?;
    if detached {
        // A process that was just forked leads no group, so this cannot fail.
        let _ = rustix::process::setsid();
    }
    supervise(project, plan, Options { foreground: !detached, ..Options::default() }, || {
        if detached {
            let mut stdout = io::stdout();
            let _ = writeln!(stdout, "listening").and_then(|()| stdout.flush());
            leave_terminal();
        }
    })
}

/// From here on nobody reads what we say: the logger has it.
pub fn leave_terminal() {
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

fn detach(arguments: &Run, project: &Project) -> Result<(), Failure> {
    let system =
        |what: &'static str| move |e: io::Error| Failure::new(ExitCode::System, format!("{what}: {e}"), "");
    let began = clock::now();
    let deadline = began + arguments.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let mut child = Command::new("/proc/self/exe")
        .arg0("mainstay")
        .arg(DETACHED)
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(system("starting the supervisor"))?;
    let mut said = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut said).map_err(system("hearing from the supervisor"))?;
    }
    if !said.ends_with("listening\n") {
        let code = child.wait().map_err(system("waiting for the supervisor"))?.code();
        // It has said why on our stderr.
        let code = code.and_then(|c| u8::try_from(c).ok()).map_or(ExitCode::Failed, ExitCode::from_number);
        return Err(Failure::new(code, "", ""));
    }
    let pid = child.id();
    if !arguments.wait {
        println!("{} is starting, supervisor pid {pid}", project.name);
        return Ok(());
    }
    wait_until_up(project, pid, began, deadline, arguments.timeout.unwrap_or(DEFAULT_TIMEOUT))
}

fn wait_until_up(
    project: &Project,
    pid: u32,
    began: Instant,
    deadline: Instant,
    timeout: std::time::Duration,
) -> Result<(), Failure> {
    let socket = project.runtime.join("control/supervisor");
    let failed = |message: String| Failure::new(ExitCode::Failed, message, "mainstay status");
    let call =
        |e: crate::ipc::client::CallError| failed(format!("the supervisor (pid {pid}) does not answer: {e}"));
    let mut events = Client::connect(&socket, Some(deadline)).map_err(call)?;
    events.send(&Request::Events { after: 0, follow: true }).map_err(call)?;
    loop {
        let (services, settled) = settled(&socket, deadline).map_err(call)?;
        let waiting: Vec<&Service> = services.iter().filter(|s| !s.as_wanted).collect();
        if settled || waiting.is_empty() {
            return tell(project, pid, began, &services);
        }
        loop {
            match events.receive::<Reply>() {
                Ok(Reply::Event(event)) if is_news(&event.what) => break,
                Ok(_) => {}
                Err(crate::ipc::client::CallError::Late) => {
                    let names: Vec<&str> = waiting.iter().map(|s| s.instance.as_str()).collect();
                    let after = duration::setting(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
                    let message = format!("not up after {after}: {}", names.join(", "));
                    return Err(Failure::new(ExitCode::TimedOut, message, "mainstay status"));
                }
                Err(error) => return Err(call(error)),
            }
        }
    }
}

fn is_news(what: &What) -> bool {
    matches!(
        what,
        What::AllUp { .. } | What::GaveUp { .. } | What::GroupGaveUp | What::Finished | What::ShuttingDown
    )
}

/// The user's services, and whether none of them is still on its way.
fn settled(socket: &Path, deadline: Instant) -> Result<(Vec<Service>, bool), crate::ipc::client::CallError> {
    let mut client = Client::connect(socket, Some(deadline))?;
    client.send(&Request::Status { all: false })?;
    let mut services = Vec::new();
    loop {
        match client.receive()? {
            Reply::Service(service) => services.push(service),
            Reply::Done { .. } => break,
            _ => {}
        }
    }
    let settled = services.iter().all(|s| s.as_wanted || s.state == "gave_up");
    Ok((services, settled))
}

fn tell(project: &Project, pid: u32, began: Instant, services: &[Service]) -> Result<(), Failure> {
    let missing: Vec<&str> = services.iter().filter(|s| !s.as_wanted).map(|s| s.instance.as_str()).collect();
    if missing.is_empty() {
        let nanos = u64::try_from(clock::now().since(began).as_nanos()).unwrap_or(u64::MAX);
        println!(
            "{}: all {} up in {}, supervisor pid {pid}",
            project.name,
            services.len(),
            duration::exact(nanos)
        );
        return Ok(());
    }
    let message = format!("{} of {} are not up: {}", missing.len(), services.len(), missing.join(", "));
    Err(Failure::new(ExitCode::Failed, message, format!("mainstay why {}", missing[0])))
}
