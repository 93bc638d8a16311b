//! A tree in the host's own process: the loop on the calling thread, or on one of its own.
//!
//! What it does to the process is only what the host asked for: no signal handler, no limit, no disposition, no
//! subreaper, and nobody is reaped who was not started here. (One thing stands for good: the handler of SIGBUS that
//! guards our mapped files, which passes on every fault that is not in one of them.)

use super::entrance;
use super::error::Error;
use super::events::Events;
use super::handle::{Handle, Life, Tie};
use super::running::{End, Running};
use super::tree::Tree;
use crate::config::Plan;
use crate::driver::{Driver, Options};
use crate::ipc::control::Event;
use crate::run::{self, Begun};
use crate::sys::process;
use crate::sys::signal::{self, Borrowed, Signals};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

/// A tree that is ready to run on this thread.
struct Inside {
    driver: Driver,
    over: Over,
    cursor: u64,
    _signals: Option<Borrowed>,
}

/// Says that the tree has ended, however that came.
struct Over(Handle);

impl Drop for Over {
    fn drop(&mut self) {
        if let Life::Inside(over) = &self.0.0.life {
            over.store(true, Ordering::Release);
        }
    }
}

impl Tree {
    /// Runs the tree in this process, with its loop on this thread, until it has ended. `on_event` is called on another
    /// thread for each event, from the very first; it may use the handle as it likes and takes its time: a slow one
    /// holds nothing up, and misses events when thousands wait (then also the last ones).
    ///
    /// # Errors
    /// Nothing was started; or [`Error::Lost`].
    ///
    /// # Panics
    /// With what `on_event` panicked with, when everything has been stopped in order.
    pub fn run(&self, mut on_event: impl FnMut(&Event, &Handle) + Send) -> Result<End, Error> {
        let inside = Inside::begin(self, self.build()?)?;
        let handle = inside.over.0.clone();
        // Before the loop turns: it is let in when it does.
        let events = handle.events(inside.cursor)?;
        thread::scope(|scope| {
            let listener = scope.spawn(move || listen(events, &handle, &mut on_event));
            let end = inside.run();
            match listener.join() {
                Ok(()) => end,
                Err(panic) => panic::resume_unwind(panic),
            }
        })
    }

    /// Runs the tree in this process, with its loop on a thread of its own. Clients can connect when this returns; the
    /// services are still starting.
    ///
    /// # Errors
    /// Nothing was started.
    pub fn spawn(&self) -> Result<Running, Error> {
        let (tree, plan) = (self.clone(), self.build()?);
        let (say, hear) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("mainstay".to_owned()).spawn(move || {
            // The host's handlers run on the host's threads.
            let _ = signal::block_all_here();
            match Inside::begin(&tree, plan) {
                Ok(inside) => {
                    let _ = say.send(Ok(inside.over.0.clone()));
                    inside.run()
                }
                Err(error) => {
                    let _ = say.send(Err(error));
                    Err(Error::Ended)
                }
            }
        });
        let thread = thread.map_err(Error::system("starting a thread"))?;
        match hear.recv() {
            Ok(begun) => Ok(Running::thread(begun?, thread)),
            Err(_) => Err(Error::Lost("the thread of the loop panicked".to_owned())),
        }
    }
}

impl Inside {
    fn begin(tree: &Tree, plan: Plan) -> Result<Inside, Error> {
        let project = tree.project()?;
        let program = entrance::program(tree)?;
        let inherited = process::visit_process(tree.host.raise)
            .map_err(Error::system("looking at the limits of this process"))?;
        let (signals, borrowed) = if tree.host.signals {
            let asked: Vec<i32> =
                Signals::SUPERVISOR.into_iter().filter(|signal| *signal != libc::SIGCHLD).collect();
            let borrowed = Borrowed::new(&asked).map_err(Error::system("handling signals"))?;
            (Signals::install(&asked).map_err(Error::system("handling signals"))?, Some(borrowed))
        } else {
            (Signals::install(&[]).map_err(Error::system("making a pipe"))?, None)
        };
        let options = Options {
            foreground: tree.host.foreground,
            program: Some(program),
            guest: true,
            ..Options::default()
        };
        let Begun { driver, cursor, .. } = run::begin(&project, plan, options, &inherited, signals)?;
        let tie = Tie {
            name: project.name.clone(),
            socket: project.runtime.join("control/supervisor"),
            within: tree.host.within,
            life: Life::Inside(AtomicBool::new(false)),
        };
        Ok(Inside { driver, over: Over(Handle(Arc::new(tie))), cursor, _signals: borrowed })
    }

    fn run(self) -> Result<End, Error> {
        let Inside { driver, over, _signals, .. } = self;
        let end = driver.run().map_err(Error::system("waiting for events"));
        drop(over);
        end.map(End::of)
    }
}

/// Hands every event to the host. When the host panics, the tree is stopped in order first.
fn listen(events: Events, handle: &Handle, on_event: &mut impl FnMut(&Event, &Handle)) {
    let _ = signal::block_all_here();
    let told = panic::catch_unwind(AssertUnwindSafe(|| {
        // An error is the end of the tree, or of what can be told about it.
        for event in events.map_while(Result::ok) {
            on_event(&event, handle);
        }
    }));
    if let Err(panic) = told {
        // It has ended, then that is as good.
        let _ = handle.begin_shutdown();
        panic::resume_unwind(panic);
    }
}
