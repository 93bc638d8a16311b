//! The logger as a process: when it reads, when it ends, and what it costs while nothing happens.

use crate::logger_rig::{Rig, await_empty, await_readable, seams};
use crate::stepper::{Stepper, Stopped};
use mainstay::ipc::builtin::{FromLogger, ToLogger};
use mainstay::ipc::control::{Event, What};
use mainstay::services::logger::line::Which;
use mainstay::supervisor::Cause;
use std::io::Write;
use std::os::fd::AsFd;

#[test]
fn a_logger_that_is_told_to_end_ends_whenever_it_is_told() {
    let mut told = 0;
    loop {
        let mut rig = Rig::new();
        rig.web();
        let (logger, mut gate) = rig.spawn_behind_gate();
        let stepper = Stepper::seize(logger.pid);
        gate.write_all(b"\n").unwrap();
        let stopped = stepper.step(told);
        // While it is stopped, so that the signal comes exactly here.
        mainstay::sys::pidfd::signal(&logger.pidfd, libc::SIGTERM).unwrap();
        stepper.release();
        await_readable(logger.pidfd.as_fd(), "the end of a logger that was told to end");
        let cause = mainstay::sys::pidfd::peek(&logger.pidfd).unwrap().unwrap();
        let before_it_listens = matches!(cause, Cause::Signal(libc::SIGTERM, _));
        assert!(before_it_listens || cause == Cause::Code(0), "after {told} calls: {cause:?}");
        if stopped == Stopped::Idle {
            break;
        }
        told += 1;
    }
    assert!(told > 50, "only {told}");
}

#[test]
fn a_logger_that_must_not_read_yet_reads_nothing() {
    let mut rig = Rig::new();
    let web = rig.web();
    rig.sources[0].ready = Some("up".into());
    rig.write(web, Which::Out, b"up\n");
    let logger = rig.spawn();
    let stepper = Stepper::seize(logger.pid);
    rig.send(&ToLogger::Hello { foreground: false, width: 3, project: "shop".into(), seams: seams() });
    rig.tell_stream(web);
    // It has seen both, and that the pipe has something.
    assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
    stepper.release();
    rig.send(&ToLogger::Life { child: web, incarnation: 5, seam: false });
    rig.send(&ToLogger::Begin);
    assert_eq!(rig.receive(), FromLogger::ReadyLine { child: web, incarnation: 5 });
    logger.finish();
}

#[test]
fn an_idle_logger_does_not_wake_up() {
    let mut rig = Rig::new();
    for n in 0..100 {
        rig.source("web", &format!("web#{n}"), 10 << 20, 5);
    }
    let logger = rig.start();
    rig.write(0, Which::Out, b"an unfinished line");
    await_empty(&rig, 0, Which::Out);
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", logger.pid)).unwrap();
        let line =
            status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned();
        let state = status.lines().find(|line| line.starts_with("State")).unwrap().to_owned();
        (line, state.contains('S'))
    };
    while !switches().1 {
        std::thread::yield_now();
    }
    let before = switches();
    // Nothing can come; a second in which it stays asleep.
    let timeout = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
    let pidfd = logger.pidfd.as_fd();
    let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut polled, Some(&timeout)).unwrap(), 0);
    assert_eq!(switches(), before);
    logger.finish();
}

#[test]
fn a_thousand_idle_instances_cost_the_logger_little_memory() {
    let mut rig = Rig::new();
    for n in 0..1000 {
        rig.source(&format!("service-{n}"), &format!("service-{n}"), 10 << 20, 5);
    }
    let anonymous = |rig: &Rig| {
        let logger = rig.spawn();
        std::thread::scope(|scope| {
            scope.spawn(|| rig.tell());
        });
        let last = rig.sources.len() as u32 - 1;
        rig.write(last, Which::Out, b"all were announced\n");
        await_empty(rig, last, Which::Out);
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", logger.pid)).unwrap();
        let private =
            rollup.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap().trim().to_owned();
        if std::env::var_os("MAINSTAY_TEST_PRINT").is_some() {
            eprintln!("{rollup}");
        }
        logger.finish();
        private.strip_suffix(" kB").unwrap().parse::<u64>().unwrap()
    };
    let many = anonymous(&rig);
    rig.sources.truncate(1);
    let one = anonymous(&rig);
    assert!(many - one < 700, "{many} - {one} KiB for 999 instances");
}

/// In a storm of deaths all are up again and again; each time to give memory back, and to fetch it again, took half of the work.
#[test]
fn memory_is_given_back_when_all_are_up_for_the_first_time_and_not_again() {
    let mut rig = Rig::new();
    rig.web();
    let logger = rig.spawn();
    let stepper = Stepper::seize(logger.pid);
    rig.tell();
    assert_eq!(stepper.step(usize::MAX), Stopped::Idle);
    let calls = |what| {
        rig.send(&ToLogger::Happened(Event {
            seq: 1,
            time: Default::default(),
            mono_ns: 1,
            service: String::new(),
            instance: String::new(),
            incarnation: 0,
            what,
        }));
        (0..).take_while(|_| stepper.step(1) == Stopped::Called).count()
    };
    // The first event opens the supervisor's log.
    calls(What::ShuttingDown);
    let all_up = || calls(What::AllUp { after_ns: 1 });
    let (first, second, third) = (all_up(), all_up(), all_up());
    assert!(second > 0 && second == third && first > second, "{first}, {second}, {third} system calls");
    logger.kill();
}
