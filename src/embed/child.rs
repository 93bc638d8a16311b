//! A tree in a process of its own: the host's executable (or a `mainstay`), started as a supervisor.
//!
//! The plan is handed over in sealed memory. What became of the beginning and why it ended comes back through a pipe;
//! everything in between goes through the project's socket, so that a supervisor that outlives its host needs nothing
//! of it.

use super::entrance;
use super::error::Error;
use super::handle::{Handle, Life, Tie};
use super::host::OnHostDeath;
use super::running::{End, Process, Running};
use super::tree::Tree;
use crate::config::Plan;
use crate::driver::Options;
use crate::exit_code::ExitCode;
use crate::ipc::codec::{self, PLAN_LIMIT};
use crate::paths::{ChosenBy, Project};
use crate::run::{self, Begun, Failure};
use crate::supervisor::Cause;
use crate::sys::signal::Signals;
use crate::sys::{clock, inherited, memory, pidfd, process, signal};
use crate::time::{Duration, Instant};
use bincode::{Decode, Encode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The hidden subcommand.
pub(super) const SUBCOMMAND: &str = "@embedded";
/// A supervisor that has not begun by then is ended: it may have to end what an earlier one left, and no more.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);

/// All that the supervisor has to know.
#[derive(Encode, Decode)]
struct Brief {
    name: String,
    runtime: PathBuf,
    state: PathBuf,
    logs: PathBuf,
    plan: Plan,
    foreground: bool,
    /// Descriptor 6 is the host: when it ends, so does the tree.
    dies_with_host: bool,
}

/// What the supervisor says to its host.
#[derive(Encode, Decode)]
enum Said {
    /// Clients can connect.
    Begun,
    /// Nothing was started.
    Failed { code: u8, message: String, hint: String },
    /// Everything is down.
    Ended(End),
}

impl Tree {
    /// Runs the tree in a process of its own. It survives whatever happens to this one, or ends with it: see
    /// [`Tree::on_host_death`]. Clients can connect when this returns; the services are still starting.
    ///
    /// # Errors
    /// Nothing was started.
    pub fn spawn_child(&self) -> Result<Running, Error> {
        let plan = self.build()?;
        let project = self.project()?;
        let program = entrance::program(self)?;
        let death = self.host.death;
        let brief = Brief {
            name: project.name.clone(),
            runtime: project.runtime.clone(),
            state: project.state.clone(),
            logs: project.logs.clone(),
            plan,
            foreground: self.host.foreground,
            dies_with_host: death == OnHostDeath::Die,
        };
        let sealed = codec::encode_plan(&brief)
            .map_err(io::Error::other)
            .and_then(|bytes| memory::sealed("mainstay.brief", &bytes))
            .map_err(Error::system("sealing the plan"))?;
        let (said, say) = io::pipe().map_err(Error::system("making a pipe"))?;
        let mut descriptors = vec![Arc::new(sealed), Arc::new(say.into()), program.clone()];
        if death == OnHostDeath::Die {
            let host = pidfd::open(std::process::id())
                .and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .map_err(Error::system("opening this process"))?;
            descriptors.push(Arc::new(host));
        }
        let started = entrance::launch(&program, &["mainstay.supervisor", SUBCOMMAND], descriptors)
            .and_then(|mut launch| launch.start(&[], None))
            .map_err(|error| Error::Begin {
                code: ExitCode::System,
                message: format!("starting the supervisor: {error}"),
                hint: error.hint().to_owned(),
            })?;
        let pidfd = Arc::new(started.pidfd);
        let own = pidfd.try_clone().map_err(Error::system("keeping the supervisor's descriptor"))?;
        let process = Process { pid: started.pid, pidfd, said, death };
        let process = begun(process)?;
        let tie = Tie {
            name: project.name,
            socket: project.runtime.join("control/supervisor"),
            within: self.host.within,
            life: Life::Process(own),
        };
        Ok(Running::process(Handle(Arc::new(tie)), process))
    }
}

impl Tree {
    /// A handle to the tree of this name that runs already, in its directories: one that stayed when its host died, or
    /// that `mainstay run` started.
    ///
    /// # Errors
    /// [`Error::Ended`]: there is none.
    pub fn attach(&self) -> Result<Handle, Error> {
        let project = self.project()?;
        let tie = |life| Tie {
            name: project.name.clone(),
            socket: project.runtime.join("control/supervisor"),
            within: self.host.within,
            life,
        };
        let asking = Handle(Arc::new(tie(Life::Inside(AtomicBool::new(false)))));
        let pid = asking.status()?.head.pid;
        let pidfd = pidfd::open(pid).map_err(Error::system("opening the supervisor"))?.ok_or(Error::Ended)?;
        Ok(Handle(Arc::new(tie(Life::Process(pidfd)))))
    }
}

/// Waits until it has begun, or says why it has not.
fn begun(mut process: Process) -> Result<Process, Error> {
    match hear(&mut process.said, Some(clock::now() + BEGINS_WITHIN)) {
        Ok(Some(Said::Begun)) => Ok(process),
        Ok(Some(Said::Failed { code, message, hint })) => {
            let _ = pidfd::wait(&process.pidfd);
            Err(Error::Begin { code: ExitCode::from_number(code), message, hint })
        }
        Ok(Some(Said::Ended(_)) | None) => Err(lost(&process)),
        Err(error) => {
            let _ = pidfd::signal(&process.pidfd, libc::SIGKILL);
            let _ = pidfd::wait(&process.pidfd);
            Err(Error::Lost(error.to_string()))
        }
    }
}

/// The end of a supervisor.
pub(super) fn wait(mut process: Process) -> Result<End, Error> {
    // It says its end with its last breath, or its pipe is closed.
    let said = hear(&mut process.said, None);
    let how = lost(&process);
    match said {
        Ok(Some(Said::Ended(end))) => Ok(end),
        _ => Err(how),
    }
}

/// Waits for its process, and says how it ended.
fn lost(process: &Process) -> Error {
    Error::Lost(match pidfd::wait(&process.pidfd) {
        Ok((Cause::Code(code), _)) => format!("pid {} exited with code {code}", process.pid),
        Ok((Cause::Signal(number, _), _)) => {
            format!("pid {} was killed by {}", process.pid, signal::name(number))
        }
        Ok((Cause::Unknown, _)) | Err(_) => format!("pid {} has ended", process.pid),
    })
}

/// The next thing that it says; `None`: it said no more.
fn hear(said: &mut PipeReader, deadline: Option<Instant>) -> io::Result<Option<Said>> {
    let mut length = [0; 4];
    if !read(said, &mut length, deadline)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > codec::LIMIT {
        return Err(io::Error::other("it says nothing that can be understood"));
    }
    let mut bytes = vec![0; length];
    if !read(said, &mut bytes, deadline)? {
        return Ok(None);
    }
    codec::decode(&bytes).map(Some).map_err(io::Error::other)
}

/// Fills `bytes`. False: the pipe was closed first.
fn read(pipe: &mut PipeReader, mut bytes: &mut [u8], deadline: Option<Instant>) -> io::Result<bool> {
    while !bytes.is_empty() {
        let left = deadline.map(|deadline| deadline.since(clock::now()));
        let left = left.map(|left| Timespec::try_from(left).unwrap_or_default());
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], left.as_ref()) {
            Ok(0) => return Err(io::Error::other("it does not begin")),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match pipe.read(bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => bytes = &mut bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The whole supervisor.
pub(super) fn main() -> ExitCode {
    let (Ok(brief), Ok(say), Ok(program)) = (inherited::take(3), inherited::take(4), inherited::take(5))
    else {
        return ExitCode::Usage;
    };
    let brief = memory::contents(&brief, PLAN_LIMIT as u64)
        .and_then(|bytes| codec::decode_plan::<Brief>(&bytes).map_err(io::Error::other));
    let Ok(brief) = brief else { return ExitCode::Usage };
    let host = if brief.dies_with_host { inherited::take(6).ok() } else { None };
    let outlives = !brief.dies_with_host && !brief.foreground;
    let mut say = File::from(say);
    match begin(brief, program, host) {
        Ok(Begun { driver, .. }) => {
            tell(&mut say, &Said::Begun);
            if outlives {
                // Who reads what the host wrote must see its end.
                run::leave_terminal();
            }
            match driver.run() {
                Ok(end) => {
                    tell(&mut say, &Said::Ended(End::of(end)));
                    ExitCode::Done
                }
                Err(_) => ExitCode::System,
            }
        }
        Err(Failure { code, message, hint }) => {
            tell(&mut say, &Said::Failed { code: code.number(), message, hint });
            code
        }
    }
}

fn begin(brief: Brief, program: OwnedFd, host: Option<OwnedFd>) -> Result<Begun, Failure> {
    let system = |what: &str, error: io::Error| Failure {
        code: ExitCode::System,
        message: format!("{what}: {error}"),
        hint: String::new(),
    };
    let Brief { name, runtime, state, logs, plan, foreground, .. } = brief;
    let project = Project {
        name,
        config: None,
        runtime,
        state,
        logs,
        chosen_by: ChosenBy::Project,
        searched: Vec::new(),
    };
    let inherited = process::prepare_process().map_err(|e| system("preparing the process", e))?;
    let signals =
        Signals::install(&Signals::SUPERVISOR).map_err(|e| system("installing signal handlers", e))?;
    let options = Options {
        foreground,
        program: Some(Arc::new(program)),
        host: host.map(Arc::new),
        ..Options::default()
    };
    run::begin(&project, plan, options, &inherited, signals)
}

/// Nobody hearing it is no failure: the host may be gone.
fn tell(say: &mut File, what: &Said) {
    if let Ok(bytes) = codec::encode(what) {
        let length = (bytes.len() as u32).to_le_bytes();
        let _ = say.write_all(&[&length[..], &bytes].concat());
    }
}
