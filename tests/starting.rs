//! Real processes, started by the table of S2: what they get, what they do not get, and what is said when
//! a step fails.
#![allow(unsafe_code)] // tests make the bad states that a supervisor may inherit

mod processes;

use mainstay::supervisor::Cause;
use mainstay::sys::launch::{Environment, Launch, Program, Request, Resource, StartError, Step};
use mainstay::sys::process::{Limit, prepare_process};
use mainstay::sys::{pidfd, process};
use processes::{
    am_root, field, in_own_process, open_descriptors, output_of, request, shell, start, start_in,
};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

// What is said when a step fails ------------------------------------------------------------------

/// The request fails at this step with this number, in these words, with a hint that contains this.
#[track_caller]
fn check_failure(request: Request, step: Step, errno: i32, words: &str, hint: &str) {
    let error = match Launch::new(request).and_then(|mut launch| launch.start(&[], None)) {
        Err(error) => error,
        Ok(started) => {
            pidfd::signal(&started.pidfd, libc::SIGKILL).unwrap();
            panic!("it started, instead of failing at {step:?}");
        }
    };
    check_error(&error, step, errno, words, hint);
}

#[track_caller]
fn check_error(error: &StartError, step: Step, errno: i32, words: &str, hint: &str) {
    assert_eq!((error.step, error.errno), (step, errno), "{error}");
    assert_eq!(error.to_string(), words);
    assert!(error.hint().contains(hint), "{error}: {}", error.hint());
}

#[test]
fn a_missing_program_is_named_with_where_it_was_looked_for() {
    let words = "executing `no-such-program`: No such file or directory (os error 2)";
    let hint = "PATH=/usr/local/bin:/usr/bin:/bin;";
    check_failure(request(&["no-such-program"]), Step::Exec, libc::ENOENT, words, hint);
    let words = "executing `./no/such`: No such file or directory (os error 2)";
    check_failure(request(&["./no/such"]), Step::Exec, libc::ENOENT, words, "check the path");
    let words = "executing ``: No such file or directory (os error 2)";
    check_failure(request(&[""]), Step::Exec, libc::ENOENT, words, "");
}

#[test]
fn a_directory_that_cannot_be_entered_is_named() {
    let home = tempfile::tempdir().unwrap();
    let in_directory = |path: &str| {
        let mut request = request(&["true"]);
        request.directory = Some(path.into());
        request
    };
    let words = "changing directory to `/srv/no/such`: No such file or directory (os error 2)";
    check_failure(in_directory("/srv/no/such"), Step::Directory, libc::ENOENT, words, "create the directory");
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let words = format!("changing directory to `{file}`: Not a directory (os error 20)");
    check_failure(in_directory(file), Step::Directory, libc::ENOTDIR, &words, "not a file");
    let mut rooted = request(&["true"]);
    rooted.chroot = Some(home.path().join("gone"));
    if am_root() {
        let words = format!(
            "changing root to `{}`: No such file or directory (os error 2)",
            home.path().join("gone").display()
        );
        check_failure(rooted, Step::Chroot, libc::ENOENT, &words, "create the directory");
    }
}

#[test]
fn who_does_not_exist_cannot_be_become() {
    let as_user = |user: &str| {
        let mut request = request(&["true"]);
        request.user = Some(user.to_owned());
        request
    };
    let words = "finding user `nobody2`: no such user";
    check_failure(as_user("nobody2"), Step::FindUser, 0, words, "getent passwd");
    let words = "finding group `nogroup2`: no such group";
    check_failure(as_user("root:nogroup2"), Step::FindGroup, 0, words, "getent group");
}

#[test]
fn what_the_kernel_cannot_take_is_refused_beforehand() {
    check_failure(
        request(&["true", "a\0b"]),
        Step::Arguments,
        0,
        "preparing argument 1: it contains a NUL byte",
        "",
    );
    let mut bad = request(&["true"]);
    bad.variables.push(("NAME".into(), "a\0b".into()));
    check_failure(bad, Step::Arguments, 0, "preparing the variable `NAME`: it contains a NUL byte", "");
    let mut high = request(&["true"]);
    high.descriptors.push((1 << 30, processes::null()));
    let words = "opening descriptor 1073741824: Invalid argument (os error 22)";
    check_failure(high, Step::Descriptors, libc::EINVAL, words, "ulimit -n");
}

/// Does its work when `otp::q02_a_user_is_told_what_only_root_may_do_and_when_no_more_processes_are_allowed` runs it in a process of its own.
#[test]
fn as_a_user() {
    if !processes::inside() {
        return;
    }
    let hidden = tempfile::tempdir().unwrap();
    fs::set_permissions(hidden.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setresuid(nobody, nobody, nobody).unwrap();

    let mut in_hidden = request(&["true"]);
    in_hidden.directory = Some(hidden.path().to_owned());
    let words =
        format!("changing directory to `{}`: Permission denied (os error 13)", hidden.path().display());
    check_failure(in_hidden, Step::Directory, libc::EACCES, &words, "`x` permission");

    let mut as_root = request(&["true"]);
    as_root.user = Some("root".to_owned());
    let words = "setting the groups of user `root`: Operation not permitted (os error 1)";
    check_failure(as_root, Step::Groups, libc::EPERM, words, "only root");

    let mut rooted = request(&["true"]);
    rooted.chroot = Some("/".into());
    let words = "changing root to `/`: Operation not permitted (os error 1)";
    check_failure(rooted, Step::Chroot, libc::EPERM, words, "only root");

    let mut nicer = request(&["true"]);
    nicer.nice = Some(-5);
    let words = "setting the niceness: Permission denied (os error 13)";
    check_failure(nicer, Step::Nice, libc::EACCES, words, "only root");

    let mut unlimited = request(&["true"]);
    unlimited.limits.push((Resource::Nofile, Limit { soft: Some(1 << 29), hard: Some(1 << 29) }));
    let words = "setting the limit NOFILE: Operation not permitted (os error 1)";
    check_failure(unlimited, Step::Limit, libc::EPERM, words, "only root");

    // Lowering is best effort, so this one starts.
    let mut favoured = request(&["true"]);
    favoured.oom_score = Some(-500);
    assert_eq!(output_of(favoured).1, Cause::Code(0));

    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Nproc, none).unwrap();
    let words = "forking: Resource temporarily unavailable (os error 11)";
    check_failure(request(&["true"]), Step::Fork, libc::EAGAIN, words, "too many processes");
}

// What the search does ----------------------------------------------------------------------------

#[test]
fn the_search_goes_on_after_a_file_it_may_not_execute_and_remembers_it() {
    let home = tempfile::tempdir().unwrap();
    for name in ["a", "b", "file"] {
        if name != "file" {
            fs::create_dir(home.path().join(name)).unwrap();
        }
    }
    fs::write(home.path().join("file"), "").unwrap();
    processes::write_script(&home.path().join("a/tool"), "#!/bin/sh\n", 0o644);
    processes::write_script(&home.path().join("b/tool"), "#!/bin/sh\necho b\n", 0o755);
    let with_path = |path: &str| {
        let mut request = request(&["tool"]);
        request.directory = Some(home.path().to_owned());
        request.variables = vec![("PATH".into(), path.into())];
        request
    };
    // Relative elements are relative to the child's directory; a file is no directory (ENOTDIR).
    assert_eq!(output_of(with_path("file:a:b")).0, "b\n");
    let words = "executing `a/tool`: Permission denied (os error 13)";
    check_failure(with_path("a:/no/such"), Step::Exec, libc::EACCES, words, "chmod +x a/tool");
    // An empty element is the child's directory.
    processes::write_script(&home.path().join("tool"), "#!/bin/sh\necho here\n", 0o755);
    for path in ["", ":b", "a::b"] {
        assert_eq!(output_of(with_path(path)).0, "here\n", "{path}");
    }
    // A program that is there and broken ends the search.
    processes::write_script(&home.path().join("a/tool"), "no interpreter\n", 0o755);
    let words = "executing `a/tool`: Exec format error (os error 8)";
    check_failure(with_path("a:b"), Step::Exec, libc::ENOEXEC, words, "");
}

#[test]
fn without_a_path_the_usual_places_are_searched() {
    let mut request = request(&["true"]);
    request.variables.clear();
    assert_eq!(output_of(request).1, Cause::Code(0));
}

// What a child gets -------------------------------------------------------------------------------

#[test]
fn a_childs_variables_win_over_shared_ones_and_numbers_change_from_life_to_life() {
    let shared = [("A", "shared"), ("B", "shared"), ("C", "shared"), ("A", "later")];
    let mut request = shell("echo $A $B $C $N $M; env | grep -c '^[ABCNM]='");
    request.environment = Arc::new(Environment::new(shared.map(|(name, value)| (name.into(), value.into()))));
    request.variables.extend([("B", "first"), ("B", "own")].map(|(name, value)| (name.into(), value.into())));
    request.numbers = vec!["N".to_owned(), "M".to_owned()];
    let (mut output, write) = std::io::pipe().unwrap();
    request.descriptors.push((1, Arc::new(write.into())));
    let mut launch = Launch::new(request).unwrap();
    for numbers in [&[u64::MAX, 7][..], &[3, 0], &[]] {
        let started = launch.start(numbers, None).unwrap();
        assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
    }
    drop(launch);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    let expected =
        "later own shared 18446744073709551615 7\n5\nlater own shared 3 0\n5\nlater own shared 0 0\n5\n";
    assert_eq!(text, expected);
}

#[test]
fn an_open_program_is_executed_under_any_name() {
    let cat: OwnedFd = File::open("/bin/cat").unwrap().into();
    let argv = ["mainstay.keeper", "/proc/self/cmdline"].map(Into::into).to_vec();
    let (output, cause) = output_of(Request::new(Program::Open(Arc::new(cat)), argv));
    assert_eq!((output.as_str(), cause), ("mainstay.keeper\0/proc/self/cmdline\0", Cause::Code(0)));

    let us = Arc::new(process::executable().unwrap());
    let argv = ["us", "--list"].map(Into::into).to_vec();
    let (output, _) = output_of(Request::new(Program::Open(us), argv));
    assert!(output.contains("an_open_program_is_executed_under_any_name: test"));
}

/// Each source is a file with its own content; the child reads its numbers back.
#[test]
fn descriptors_arrive_at_their_numbers_whatever_stands_there() {
    let file = |text: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Arc::new(OwnedFd::from(File::open(file.path()).unwrap()))
    };
    let mut files = [file("a"), file("b")];
    files.sort_by_key(|file| file.as_raw_fd());
    let [low, high] = [files[0].as_raw_fd(), files[1].as_raw_fd()];
    let content = |file: &OwnedFd| fs::read_to_string(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let expected = [&files[1], &files[0], &files[0]].map(|file| content(file).unwrap()).concat();
    // Exchanged: each goes where the other one is; and one of them to a third place. By their paths, for some
    // shells know no numbers of two digits.
    let numbers = [low, high, 100].map(|number| format!("/proc/self/fd/{number}")).join(" ");
    let mut request = shell(&format!("cat {numbers}; exec ls /proc/self/fd"));
    request.descriptors = vec![(high, files[0].clone()), (low, files[1].clone()), (100, files[0].clone())];
    let (text, _) = output_of(request);
    assert_eq!(&text[..3], expected);
    // `ls` itself has its directory open, at the lowest number that is free.
    let own = (3..).find(|number| *number != low && *number != high).unwrap();
    let listed: BTreeSet<i32> = text[3..].split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert_eq!(listed, BTreeSet::from([0, 1, 2, low, high, 100, own]));
}

#[test]
fn a_child_has_what_was_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let script = "cat /proc/self/status; pwd; cat /proc/self/limits; cat /proc/$$/oom_score_adj; echo stat; cat /proc/self/stat";
    let mut request = shell(script);
    request.umask = Some(0o027);
    request.directory = Some(home.path().to_owned());
    request.nice = Some(7);
    request.oom_score = Some(700);
    request.no_new_privileges = true;
    request.limits = vec![(Resource::Nofile, Limit { soft: Some(77), hard: Some(88) })];
    let mut running = start(request).unwrap();
    let mut text = String::new();
    running.output.read_to_string(&mut text).unwrap();
    assert_eq!(field(&text, "Umask"), "0027");
    assert_eq!(field(&text, "NoNewPrivs"), "1");
    assert!(text.contains(&format!("\n{}\n", home.path().canonicalize().unwrap().display())), "{text}");
    assert!(text.contains("\n700\nstat\n"), "{text}");
    let limit = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>()[3..5], ["77", "88"]);
    // Fields after the name: state, parent, group, session, terminal …; the niceness is the 17th.
    let stat: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let pid = running.started.pid.to_string();
    assert_eq!((stat[2], stat[3], stat[4], stat[16]), (pid.as_str(), pid.as_str(), "0", "7"));
}

#[test]
fn a_child_is_the_user_that_was_asked_for_and_we_stay_who_we_are() {
    if am_root() {
        in_own_process("becoming_somebody_else");
    }
}

/// Does its work when `a_child_is_the_user_that_was_asked_for_and_we_stay_who_we_are` runs it in a process of its own.
#[test]
fn becoming_somebody_else() {
    if !processes::inside() {
        return;
    }
    for (user, uid, gid, groups) in [
        ("65534", "65534", "65534", None),
        ("3999999999:7", "3999999999", "7", Some("7")),
        ("nobody", "65534", "65534", None),
    ] {
        let mut request = request(&["cat", "/proc/self/status"]);
        request.user = Some(user.to_owned());
        let (status, _) = output_of(request);
        assert_eq!(field(&status, "Uid"), [uid; 4].join("\t"), "{user}");
        assert_eq!(field(&status, "Gid"), [gid; 4].join("\t"), "{user}");
        assert_eq!(field(&status, "CapEff"), "0000000000000000", "{user}");
        if let Some(groups) = groups {
            assert_eq!(field(&status, "Groups"), groups, "{user}");
        }
        assert!(!field(&status, "Groups").split(' ').any(|group| group == "0"), "{user}: root's group left");
    }
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert_eq!(field(&status, "Uid"), "0\t0\t0\t0");
    }
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(
        dumpable,
        rustix::process::DumpableBehavior::Dumpable,
        "the change of user reached our memory"
    );
}

/// What anybody who starts a supervisor may have done to it.
fn wreck() {
    // SAFETY: a test in a process of its own.
    unsafe {
        for signal in 1..=64 {
            if signal != libc::SIGKILL && signal != libc::SIGSTOP {
                let mut ignore = [0_usize; 8];
                ignore[0] = libc::SIG_IGN;
                libc::syscall(libc::SYS_rt_sigaction, signal, ignore.as_ptr(), std::ptr::null::<usize>(), 8);
            }
        }
        let all = u64::MAX;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const all,
            std::ptr::null::<u64>(),
            8,
        );
        for _ in 0..1000 {
            assert!(libc::dup(2) > 2);
        }
        libc::umask(0o146);
        libc::close(0);
        libc::close(1);
    }
    let limit = rustix::process::Rlimit { current: Some(1500), maximum: Some(3000) };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn what_we_inherited_is_put_right_and_children_never_see_it() {
    in_own_process("in_a_wreck_that_is_put_right");
}

/// S1, S2.
/// Does its work when `what_we_inherited_is_put_right_and_children_never_see_it` runs it in a process of its own.
#[test]
fn in_a_wreck_that_is_put_right() {
    if !processes::inside() {
        return;
    }
    wreck();
    let inherited = prepare_process().unwrap();
    assert_eq!(inherited.umask, 0o146);
    assert_eq!(inherited.nofile, Limit { soft: Some(1500), hard: Some(3000) });
    let own = fs::read_to_string("/proc/thread-self/status").unwrap();
    assert_eq!(field(&own, "SigBlk"), "0000000000000000");
    assert_eq!(field(&own, "SigIgn"), "0000000000001000", "SIGPIPE only");
    assert_eq!(rustix::process::getrlimit(Resource::Nofile).current, Some(3000));
    assert!(rustix::process::child_subreaper().unwrap().is_some());
    for descriptor in [0, 1] {
        assert_eq!(
            fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap(),
            std::path::Path::new("/dev/null")
        );
    }
    let limit = (Resource::Nofile, inherited.nofile);
    check_pristine(vec![limit], "1500");
}

#[test]
fn children_of_a_wreck_are_as_specified_all_the_same() {
    in_own_process("in_a_wreck");
}

/// S2: the table relies on nothing that S1 did.
/// Does its work when `children_of_a_wreck_are_as_specified_all_the_same` runs it in a process of its own.
#[test]
fn in_a_wreck() {
    if !processes::inside() {
        return;
    }
    wreck();
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let _stdout = null.try_clone().unwrap();
    // With SIGCHLD ignored nobody's status can be seen, and a failed start must not hang or lie.
    let error = start(request(&["no-such-program"])).err().unwrap();
    assert_eq!((error.step, error.errno), (Step::Exec, libc::ENOENT));
    // SAFETY: a test in a process of its own.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    check_pristine(Vec::new(), "1500");
}

#[track_caller]
fn check_pristine(limits: Vec<(Resource, Limit)>, nofile: &str) {
    let mut status = request(&["cat", "/proc/self/status", "/proc/self/limits"]);
    status.limits = limits;
    let (text, _) = output_of(status);
    for set in ["SigBlk", "SigIgn", "SigCgt", "SigPnd"] {
        assert_eq!(field(&text, set), "0000000000000000", "{set}");
    }
    assert_eq!(field(&text, "Umask"), "0146", "kept unless something else is asked for");
    let limit = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(limit.split_whitespace().nth(3), Some(nofile));
    let (text, _) = output_of(request(&["ls", "/proc/self/fd"]));
    assert_eq!(text, "0\n1\n2\n3\n", "3 is the directory that ls reads");
}

/// Does its work when `otp::q02_neither_starts_nor_failures_leak_a_descriptor_or_a_process` runs it in a process of its own.
#[test]
fn a_thousand_starts() {
    if !processes::inside() {
        return;
    }
    let mut good = Launch::new(request(&["true"])).unwrap();
    let mut bad = Launch::new(request(&["./no/such"])).unwrap();
    let before = open_descriptors();
    for _ in 0..500 {
        let started = good.start(&[], None).unwrap();
        assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
        bad.start(&[], None).unwrap_err();
    }
    assert_eq!(open_descriptors(), before);
    let children = mainstay::sys::procfs::children(std::process::id()).unwrap();
    assert!(children.is_empty(), "{children:?}");
}

#[test]
fn threads_may_start_children_at_the_same_time() {
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            scope.spawn(move || {
                let mut launch = Launch::new(shell(&format!("exit {thread}"))).unwrap();
                for _ in 0..50 {
                    let started = launch.start(&[], None).unwrap();
                    assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(thread));
                }
            });
        }
    });
}

/// Does its work when `otp::l06_a_child_with_a_death_signal_dies_with_its_supervisor` runs it in a process of its own.
#[test]
fn leaves_a_child_behind() {
    if !processes::inside() {
        return;
    }
    let mut request = shell("kill -STOP $$");
    request.death_signal = Some(libc::SIGKILL);
    let started = Launch::new(request).unwrap().start(&[], None).unwrap();
    println!("child {}", started.pid);
    // SAFETY: ends the process at once, as a crash would.
    unsafe { libc::_exit(0) };
}

// Behind filters, on old kernels ------------------------------------------------------------------

/// From now on this system call answers ENOSYS, as on an old kernel or behind a filter.
fn forbid(call: i64) {
    let load = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let is_it = libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: call as u32 };
    let refuse = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | libc::ENOSYS as u32 };
    let allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 };
    let mut filter = [load, is_it, refuse, allow];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: a test in a process of its own; the kernel copies the filter.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program), 0);
    }
}

#[test]
fn without_newer_system_calls_the_older_ones_are_used() {
    in_own_process("behind_a_filter");
}

/// Does its work when `without_newer_system_calls_the_older_ones_are_used` runs it in a process of its own.
#[test]
fn behind_a_filter() {
    if !processes::inside() {
        return;
    }
    use mainstay::sys::cgroup::Tree;
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::create("filter", home.path()).ok();
    forbid(libc::SYS_clone3);
    forbid(libc::SYS_close_range);
    let _leaked = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 50).unwrap();
    rustix::io::fcntl_setfd(&_leaked, rustix::io::FdFlags::empty()).unwrap();
    assert_eq!(output_of(request(&["ls", "/proc/self/fd"])).0, "0\n1\n2\n3\n");
    let error = start(request(&["no-such-program"])).err().unwrap();
    assert_eq!((error.step, error.errno), (Step::Exec, libc::ENOENT));
    let Some(tree) = tree else { return };
    let group = tree.group("web").unwrap();
    let mut running = start_in(request(&["cat", "/proc/self/cgroup"]), Some(&group), &[]).unwrap();
    let mut text = String::new();
    running.output.read_to_string(&mut text).unwrap();
    assert_eq!(running.wait(), Cause::Code(0));
    assert!(text.lines().any(|line| line.starts_with("0::") && line.ends_with("/web")), "{text}");
    tree.remove(group).unwrap();
    tree.remove_all().unwrap();
}

// What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod otp {
    use super::*;

    #[test]
    fn q01_arguments_that_are_too_large_are_an_error_and_large_ones_are_not() {
        let (output, cause) = output_of(request(&["printf", "%s", &"x".repeat(100 << 10)]));
        assert_eq!((output.len(), cause), (100 << 10, Cause::Code(0)));
        let large: Vec<String> =
            ["true".to_owned()].into_iter().chain((0..100).map(|_| "x".repeat(100 << 10))).collect();
        let large: Vec<&str> = large.iter().map(String::as_str).collect();
        let words = "executing `/usr/local/bin/true`: Argument list too long (os error 7)";
        let mut too_large = request(&large);
        too_large.variables = vec![("PATH".into(), "/usr/bin".into())];
        let words = words.replace("/usr/local/bin", "/usr/bin");
        check_failure(too_large, Step::Exec, libc::E2BIG, &words, "pass a file");
    }

    #[test]
    fn q01_a_file_that_cannot_be_executed_says_why() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode| {
            processes::write_script(&home.path().join(name), text, mode);
            let mut request = request(&[&format!("./{name}")]);
            request.directory = Some(home.path().to_owned());
            request
        };
        let plain = file("plain", "#!/bin/sh\n", 0o644);
        let words = "executing `./plain`: Permission denied (os error 13)";
        check_failure(plain, Step::Exec, libc::EACCES, words, "chmod +x ./plain");

        let orphan = file("orphan", "#!/no/interpreter -x\n", 0o755);
        let words = "executing `./orphan`: No such file or directory (os error 2)";
        check_failure(
            orphan,
            Step::Exec,
            libc::ENOENT,
            words,
            "interpreter `/no/interpreter` does not exist",
        );

        let bare = file("bare", "echo hello\n", 0o755);
        let words = "executing `./bare`: Exec format error (os error 8)";
        check_failure(bare, Step::Exec, libc::ENOEXEC, words, "`#!`");

        let busy = file("busy", "#!/bin/sh\n", 0o755);
        let writer = File::options().append(true).open(home.path().join("busy")).unwrap();
        let words = "executing `./busy`: Text file busy (os error 26)";
        check_failure(busy, Step::Exec, libc::ETXTBSY, words, "open for writing");
        drop(writer);

        fs::create_dir(home.path().join("dir")).unwrap();
        let mut directory = request(&["./dir"]);
        directory.directory = Some(home.path().to_owned());
        let words = "executing `./dir`: Permission denied (os error 13)";
        check_failure(directory, Step::Exec, libc::EACCES, words, "not a directory");
    }

    #[test]
    fn q02_neither_starts_nor_failures_leak_a_descriptor_or_a_process() {
        in_own_process("a_thousand_starts");
    }

    #[test]
    fn q02_a_user_is_told_what_only_root_may_do_and_when_no_more_processes_are_allowed() {
        if am_root() {
            in_own_process("as_a_user");
        }
    }

    /// The program is stopped, so only the signal can end it; its output is our only sign of it.
    #[test]
    fn l06_a_child_with_a_death_signal_dies_with_its_supervisor() {
        use std::process::{Command, Stdio};
        let mut supervisor = Command::new(std::env::current_exe().unwrap())
            .args(["leaves_a_child_behind", "--exact", "--nocapture", "--test-threads=1"])
            .env(processes::INSIDE, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = supervisor.stdout.take().unwrap();
        supervisor.wait().unwrap();
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if !processes::readable(&output) {
                let text = String::from_utf8_lossy(&text);
                let pid = text.split("child ").nth(1).and_then(|rest| rest.split_whitespace().next());
                let pidfd = pidfd::open(pid.unwrap().parse().unwrap()).unwrap();
                pidfd.map(|pidfd| pidfd::signal(pidfd, libc::SIGKILL));
                panic!("the child outlived its supervisor");
            }
            match output.read(&mut buffer).unwrap() {
                0 => break,
                length => text.extend_from_slice(&buffer[..length]),
            }
        }
        assert!(String::from_utf8_lossy(&text).contains("child "));
    }
}
