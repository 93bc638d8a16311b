//! A tree that runs, and its end.

use super::child;
use super::error::Error;
use super::handle::Handle;
use super::host::OnHostDeath;
use crate::supervisor;
use bincode::{Decode, Encode};
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Why a tree ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum End {
    /// Somebody asked for it.
    Asked,
    /// Its significant members have done their work.
    Finished,
    /// The restart limit of the whole tree was reached, or under OTP's semantics a first start failed; everything is
    /// stopped.
    GaveUp,
}

impl End {
    pub(super) fn of(end: supervisor::End) -> End {
        match end {
            supervisor::End::Shutdown => End::Asked,
            supervisor::End::Finished(_) => End::Finished,
            supervisor::End::LimitReached(_) | supervisor::End::StartFailed(_) => End::GaveUp,
        }
    }
}

/// A tree that was started, on a thread or as a child. When it is dropped, the tree is stopped in order and waited for;
/// one that shall stay when its host dies is left alone instead.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    body: Option<Body>,
}

#[derive(Debug)]
enum Body {
    Thread(JoinHandle<Result<End, Error>>),
    Process(Process),
}

/// A supervisor in a process of its own.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) pidfd: Arc<OwnedFd>,
    /// What it says.
    pub(super) said: PipeReader,
    pub(super) death: OnHostDeath,
}

impl Running {
    pub(super) fn thread(handle: Handle, thread: JoinHandle<Result<End, Error>>) -> Running {
        Running { handle, body: Some(Body::Thread(thread)) }
    }

    pub(super) fn process(handle: Handle, process: Process) -> Running {
        Running { handle, body: Some(Body::Process(process)) }
    }

    /// To call it with, from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The supervisor's process: this one, or the child.
    pub fn pid(&self) -> u32 {
        match &self.body {
            Some(Body::Process(process)) => process.pid,
            _ => std::process::id(),
        }
    }

    /// Waits until the tree has ended, and says why it did.
    ///
    /// # Errors
    /// [`Error::Lost`].
    pub fn wait(mut self) -> Result<End, Error> {
        self.body.take().map_or(Err(Error::Ended), Body::wait)
    }

    /// Stops everything in order and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::Lost`]; [`Error::Call`] when it could not be asked: then it runs on.
    pub fn shutdown(mut self) -> Result<End, Error> {
        match self.handle.begin_shutdown() {
            Ok(()) | Err(Error::Ended) => {}
            Err(error) => return Err(error),
        }
        self.body.take().map_or(Err(Error::Ended), Body::wait)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else { return };
        if matches!(&body, Body::Process(process) if process.death == OnHostDeath::Stay) {
            return;
        }
        // It has ended already, or it cannot be told: then it is not waited for.
        if matches!(self.handle.begin_shutdown(), Ok(()) | Err(Error::Ended)) {
            let _ = body.wait();
        }
    }
}

impl Body {
    fn wait(self) -> Result<End, Error> {
        match self {
            Body::Thread(thread) => match thread.join() {
                Ok(end) => end,
                Err(panic) => {
                    let said = panic.downcast_ref::<String>().map(String::as_str);
                    let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
                    Err(Error::Lost(format!("it panicked: {}", said.unwrap_or("without words"))))
                }
            },
            Body::Process(process) => child::wait(process),
        }
    }
}
