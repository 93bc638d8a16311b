//! What a child gets of our table of descriptors (S2): its own, nothing else, and at no cost for the rest,
//! in both ways: beginning in our table and leaving it, and, where that cannot be, with a copy.
#![allow(unsafe_code)] // filters, as on an old kernel

mod processes;

use mainstay::supervisor::Cause;
use mainstay::sys::launch::{Launch, Program, Request, Resource, Step};
use mainstay::sys::pidfd;
use mainstay::sys::process::Limit;
use processes::{field, in_own_process, null, output_of, request, shell, start};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// How a filter answers a call: with an error number, or by ending the process.
const KILL: u32 = 0x8000_0000;
fn error(errno: i32) -> u32 {
    0x0005_0000 | errno as u32
}

/// From now on this thread, and whatever it starts, gets this answer to this system call.
fn answer(call: i64, answer: u32) {
    let load = libc::sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let is_it = libc::sock_filter { code: 0x15, jt: 0, jf: 1, k: call as u32 };
    let refuse = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: answer };
    let allow = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 };
    let mut filter = [load, is_it, refuse, allow];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: a test in a process of its own; the kernel copies the filter.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, 2, &raw const program), 0);
    }
}

/// Thousands more, every third one open to whoever is executed: what a careless library would leave.
fn open_thousands() -> Vec<OwnedFd> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, all).unwrap();
    let many = limit.maximum.map_or(4000, |maximum| maximum.saturating_sub(200).min(4000));
    let null = null();
    (0..many)
        .map(|number| {
            let descriptor = rustix::io::fcntl_dupfd_cloexec(&null, 3).unwrap();
            if number % 3 == 0 {
                fcntl_setfd(&descriptor, FdFlags::empty()).unwrap();
            }
            descriptor
        })
        .collect()
}

/// What stands at the numbers that are held to be lent.
const HELD: &str = "anon_inode:[eventfd]";

/// Which file each of our descriptors is; but for those that are held to be lent, and the list itself.
fn ours() -> BTreeSet<(i32, PathBuf)> {
    let mut all = all();
    all.retain(|(_, file)| file.as_os_str() != HELD);
    all
}

fn held() -> usize {
    all().iter().filter(|(_, file)| file.as_os_str() == HELD).count()
}

fn all() -> BTreeSet<(i32, PathBuf)> {
    let listed = fs::read_dir("/proc/self/fd").unwrap();
    let all = listed.filter_map(|entry| {
        let entry = entry.unwrap();
        let file = fs::read_link(entry.path()).unwrap();
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, file)).filter(|(_, file)| !file.starts_with("/proc"))
    });
    all.collect()
}

#[track_caller]
fn check_ours(before: &BTreeSet<(i32, PathBuf)>) {
    let now = ours();
    let changes: Vec<_> = now.symmetric_difference(before).take(20).collect();
    assert!(changes.is_empty(), "opened or closed: {changes:?}");
}

/// How many descriptors a table that a child was born with has room for.
fn room() -> usize {
    let (status, _) = output_of(request(&["cat", "/proc/self/status"]));
    field(&status, "FDSize").parse().unwrap()
}

/// Children have exactly what was asked for, by name and from an open program, whatever is open here.
fn check_children() {
    let (listed, cause) = output_of(request(&["ls", "/proc/self/fd"]));
    assert_eq!(
        (listed.as_str(), cause),
        ("0\n1\n2\n3\n", Cause::Code(0)),
        "3 is the directory that ls reads"
    );

    // With nothing to lend.
    let started = Launch::new(request(&["true"])).unwrap().start(&[], None).unwrap();
    assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));

    // At low numbers, at the ones that are lent, and high above all that is copied.
    let numbers = [3, 17, 300];
    let files = numbers.map(|number| format!("/proc/self/fd/{number}"));
    let mut given = shell(&format!("cat {}; echo; exec ls /proc/self/fd", files.join(" ")));
    for (number, text) in numbers.into_iter().zip(["three", " seventeen", " three hundred"]) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        given.descriptors.push((number, Arc::new(fs::File::open(file.path()).unwrap().into())));
    }
    let (text, _) = output_of(given);
    let (said, listed) = text.split_once('\n').unwrap();
    assert_eq!(said, "three seventeen three hundred");
    let mut listed: Vec<i32> = listed.lines().map(|number| number.parse().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, [0, 1, 2, 3, 4, 17, 300], "4 is the directory that ls reads");

    // A program that is open, with a child's own at every number where it may stand.
    let ls = Arc::new(OwnedFd::from(fs::File::open("/bin/ls").unwrap()));
    let argv = ["ls", "/proc/self/fd"].map(Into::into).to_vec();
    let mut crowded = Request::new(Program::Open(ls), argv);
    crowded.descriptors = (3..60).map(|number| (number, null())).collect();
    let (text, cause) = output_of(crowded);
    assert_eq!((text.lines().count(), cause), (61, Cause::Code(0)), "{text}");

    let error = start(request(&["no-such-program"])).err().unwrap();
    assert_eq!((error.step, error.errno), (Step::Exec, libc::ENOENT));
}

#[test]
fn a_child_has_its_own_descriptors_and_pays_for_no_others() {
    in_own_process("with_thousands_open");
    in_own_process("with_thousands_open_before_the_first_start");
}

/// Does its work when `a_child_has_its_own_descriptors_and_pays_for_no_others` runs it in a process of its own.
#[test]
fn with_thousands_open() {
    if !processes::inside() {
        return;
    }
    let _first = Launch::new(request(&["true"])).unwrap();
    let _many = open_thousands();
    let before = ours();
    check_children();
    assert!(room() <= 256, "a table of {} was copied", room());
    check_ours(&before);
}

/// Does its work when `a_child_has_its_own_descriptors_and_pays_for_no_others` runs it in a process of its own.
#[test]
fn with_thousands_open_before_the_first_start() {
    if !processes::inside() {
        return;
    }
    let _many = open_thousands();
    check_children();
}

#[test]
fn where_the_table_cannot_be_left_a_child_has_the_same_from_a_copy() {
    for test in ["without_close_range", "with_close_range_forbidden", "with_flags_unknown"] {
        in_own_process(test);
    }
}

fn check_a_copy(errno: i32) {
    if !processes::inside() {
        return;
    }
    let _first = Launch::new(request(&["true"])).unwrap();
    let _many = open_thousands();
    let before = ours();
    answer(libc::SYS_close_range, error(errno));
    check_children();
    assert!(room() > 1000, "it was not a copy");
    check_ours(&before);
    assert_eq!(held(), 0, "of no use any more");
}

/// Does its work when `where_the_table_cannot_be_left_a_child_has_the_same_from_a_copy` runs it in a process of its own.
#[test]
fn without_close_range() {
    check_a_copy(libc::ENOSYS);
}

/// Does its work when `where_the_table_cannot_be_left_a_child_has_the_same_from_a_copy` runs it in a process of its own.
#[test]
fn with_close_range_forbidden() {
    check_a_copy(libc::EPERM);
}

/// Does its work when `where_the_table_cannot_be_left_a_child_has_the_same_from_a_copy` runs it in a process of its own.
#[test]
fn with_flags_unknown() {
    check_a_copy(libc::EINVAL);
}

#[test]
fn the_older_clone_shares_the_table_too() {
    in_own_process("without_clone3");
}

/// As in many containers.
/// Does its work when `the_older_clone_shares_the_table_too` runs it in a process of its own.
#[test]
fn without_clone3() {
    if !processes::inside() {
        return;
    }
    let _first = Launch::new(request(&["true"])).unwrap();
    let _many = open_thousands();
    answer(libc::SYS_clone3, error(libc::ENOSYS));
    check_children();
    assert!(room() <= 256, "a table of {} was copied", room());
}

#[test]
fn who_dies_in_our_table_closes_nothing_of_ours() {
    in_own_process("killed_when_it_leaves");
}

/// Does its work when `who_dies_in_our_table_closes_nothing_of_ours` runs it in a process of its own.
#[test]
fn killed_when_it_leaves() {
    if !processes::inside() {
        return;
    }
    let mut launch = Launch::new(request(&["true"])).unwrap();
    let _many = open_thousands();
    let before = ours();
    answer(libc::SYS_close_range, KILL);
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).unwrap();
    let started = launch.start(&[], None).unwrap();
    let cause = pidfd::wait(&started.pidfd).unwrap().0;
    assert!(matches!(cause, Cause::Signal(libc::SIGSYS, _)), "{cause:?}");
    drop(started);
    check_ours(&before);
}

#[test]
fn another_failure_to_leave_is_reported_and_not_tried_again() {
    in_own_process("without_memory_to_leave");
}

/// Does its work when `another_failure_to_leave_is_reported_and_not_tried_again` runs it in a process of its own.
#[test]
fn without_memory_to_leave() {
    if !processes::inside() {
        return;
    }
    let mut launch = Launch::new(request(&["true"])).unwrap();
    let before = all();
    answer(libc::SYS_close_range, error(libc::ENOMEM));
    let error = launch.start(&[], None).unwrap_err();
    let words = "closing other descriptors: Cannot allocate memory (os error 12)";
    assert_eq!(
        (error.step, error.errno, error.to_string().as_str()),
        (Step::Descriptors, libc::ENOMEM, words)
    );
    // It would have been given up then.
    assert_eq!(all(), before);
    let children = mainstay::sys::procfs::children(std::process::id()).unwrap();
    assert!(children.is_empty(), "{children:?}");
}

/// Else a logger's line or a removed service's pipe would never end.
#[test]
fn a_start_keeps_nothing_of_what_it_gave() {
    in_own_process("gives_the_end_of_a_pipe");
}

/// Does its work when `a_start_keeps_nothing_of_what_it_gave` runs it in a process of its own, where nobody
/// else starts something that has the pipe for a moment.
#[test]
fn gives_the_end_of_a_pipe() {
    if !processes::inside() {
        return;
    }
    for argv in [&["true"][..], &["no-such-program"]] {
        let (read, write) = std::io::pipe().unwrap();
        let mut request = request(argv);
        request.descriptors = vec![(1, Arc::new(OwnedFd::from(write)))];
        let mut launch = Launch::new(request).unwrap();
        if let Ok(started) = launch.start(&[], None) {
            assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
        }
        drop(launch);
        rustix::io::ioctl_fionbio(&read, true).unwrap();
        assert_eq!(rustix::io::read(&read, &mut [0; 1]), Ok(0), "{argv:?}: somebody has the other end open");
    }
}

/// With no number left to hold, and with more asked for than are held.
#[test]
fn a_start_needs_no_numbers_that_are_held() {
    in_own_process("with_none_left");
}

/// Does its work when `a_start_needs_no_numbers_that_are_held` runs it in a process of its own.
#[test]
fn with_none_left() {
    if !processes::inside() {
        return;
    }
    let limit = rustix::process::Rlimit { current: Some(200), maximum: Some(200) };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
    // Above all targets: it need not be moved out of their way, for which there is no room either.
    let null = Arc::new(fcntl_dupfd_cloexec(null(), 100).unwrap());
    let mut taken: Vec<OwnedFd> = std::iter::from_fn(|| fcntl_dupfd_cloexec(&null, 3).ok()).collect();
    let mut request = request(&["true"]);
    request.descriptors = vec![(0, null.clone()), (7, null)];
    let mut launch = Launch::new(request).unwrap();
    let error = launch.start(&[], None).unwrap_err();
    assert_eq!((error.step, error.errno), (Step::Fork, libc::EMFILE), "not even for a pidfd");
    // One number for the pidfd, and none or too few to be held.
    for _ in 0..3 {
        taken.pop();
        let started = launch.start(&[], None).unwrap();
        assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
    }
    drop(taken);
    let started = launch.start(&[], None).unwrap();
    assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
}

/// Launches that are prepared one after the other share their table only where it is the same.
#[test]
fn what_is_shared_between_launches_is_what_they_have_in_common() {
    let launch = |directory: &str, soft: u64, word: &str| {
        let (read, write) = std::io::pipe().unwrap();
        let mut request = shell("echo $(pwd) $(ulimit -Sn) $WORD");
        request.directory = Some(directory.into());
        request.limits = vec![(Resource::Nofile, Limit { soft: Some(soft), hard: Some(200) })];
        request.variables.push(("WORD".into(), word.into()));
        request.descriptors.push((1, Arc::new(write.into())));
        (Launch::new(request).unwrap(), read)
    };
    let all = [("/", 100, "a"), ("/", 100, "b"), ("/usr", 100, "c"), ("/usr", 101, "d"), ("/", 100, "e")];
    let launches: Vec<_> = all.iter().map(|(directory, soft, word)| launch(directory, *soft, word)).collect();
    for ((mut launch, mut output), (directory, soft, word)) in launches.into_iter().zip(all) {
        let started = launch.start(&[], None).unwrap();
        assert_eq!(pidfd::wait(&started.pidfd).unwrap().0, Cause::Code(0));
        let mut text = [0; 100];
        let length = output.read(&mut text).unwrap();
        assert_eq!(String::from_utf8_lossy(&text[..length]), format!("{directory} {soft} {word}\n"));
    }
}
