//! What a step that failed means to people: the words, and what to do about it.
//!
//! The only part of a start that may look at files and allocate: nothing is left of the child by then.

use super::table::{Entry, Failure};
use super::{Launch, StartError, Step};
use crate::sys::user::UnknownIdentity;
use rustix::process::Resource;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) const CGROUP: &str = "entering the control group";

impl Launch {
    pub(super) fn explain(&self, failure: Failure, paths: &[u8]) -> StartError {
        let Failure { step, errno, detail } = failure;
        let user = self.user().unwrap_or_default();
        let what = match step {
            Step::Dispositions => "resetting signals".to_owned(),
            Step::Session => "beginning a session".to_owned(),
            Step::Cgroup => CGROUP.to_owned(),
            Step::OomScore => "setting the out-of-memory score".to_owned(),
            Step::Descriptors if detail < 0 => "closing other descriptors".to_owned(),
            Step::Descriptors => format!("opening descriptor {detail}"),
            Step::Chroot | Step::Directory => format!(
                "changing {} to `{}`",
                if step == Step::Chroot { "root" } else { "directory" },
                self.path_of(step).unwrap_or(Path::new("")).display()
            ),
            Step::Nice => "setting the niceness".to_owned(),
            Step::Limit => format!("setting the limit {}", limit_name(detail)),
            Step::Groups => format!("setting the groups of user `{user}`"),
            Step::Group => format!("taking the group of user `{user}`"),
            Step::User => format!("becoming user `{user}`"),
            Step::DeathSignal => "asking for a death signal".to_owned(),
            Step::Parent => "finding the supervisor alive".to_owned(),
            Step::NoNewPrivileges => "giving up new privileges".to_owned(),
            Step::Mask => "unblocking signals".to_owned(),
            Step::Exec => {
                return self.explain_exec(errno, paths.split(|byte| *byte == 0).nth(detail as usize));
            }
            Step::Arguments | Step::FindUser | Step::FindGroup | Step::Fork => {
                unreachable!("not a step of the child")
            }
        };
        StartError::new(step, errno, what)
    }

    /// The path of the table's entry for this step.
    fn path_of(&self, step: Step) -> Option<&Path> {
        let path = self.entries.iter().find_map(|entry| match entry {
            Entry::Chroot(path) if step == Step::Chroot => Some(path),
            Entry::Directory(path) if step == Step::Directory => Some(path),
            _ => None,
        });
        path.map(|path| Path::new(OsStr::from_bytes(path.as_bytes())))
    }

    fn explain_exec(&self, errno: i32, candidate: Option<&[u8]>) -> StartError {
        let Some(name) = self.name() else {
            let name = self.text.first_argument().unwrap_or_default();
            let what = format!("executing the open program `{}`", name.to_string_lossy());
            return StartError::new(Step::Exec, errno, what);
        };
        let name = name.to_string_lossy().into_owned();
        let searched = !name.contains('/') && !name.is_empty();
        let tried = candidate.filter(|_| searched).map_or(OsStr::new(&name), OsStr::from_bytes);
        let shown =
            if searched && errno == libc::ENOENT { name.clone() } else { tried.to_string_lossy().into() };
        let error = StartError::new(Step::Exec, errno, format!("executing `{shown}`"));
        if self.path_of(Step::Chroot).is_some() {
            return error;
        }
        match errno {
            libc::ENOENT if searched => {
                let path = String::from_utf8_lossy(self.search_path()).into_owned();
                let broken = self.search_path().split(|byte| *byte == b':').find_map(|directory| {
                    missing_interpreter(
                        &self.seen_from_here(Path::new(OsStr::from_bytes(directory)).join(&name)),
                    )
                });
                error.with_hint(broken.unwrap_or(format!(
                    "no such program in PATH={path}; install it, or give a path with a slash"
                )))
            }
            libc::ENOENT => {
                let hint = missing_interpreter(&self.seen_from_here(tried.into()));
                error.with_hint(hint.unwrap_or("there is no such file; check the path".to_owned()))
            }
            libc::EACCES => match fs::metadata(self.seen_from_here(tried.into())) {
                Ok(found) if found.is_dir() => error.with_hint("name a program, not a directory"),
                Ok(found) if found.permissions().mode() & 0o111 == 0 => {
                    error.with_hint(format!("make it executable: chmod +x {shown}"))
                }
                _ => error.with_hint(match self.user() {
                    Some(user) => format!("let user `{user}` reach and execute it, interpreter included"),
                    None => {
                        "it must be reachable and executable, on a file system without `noexec`".to_owned()
                    }
                }),
            },
            _ => error,
        }
    }

    /// A path of the child as one of ours.
    fn seen_from_here(&self, path: PathBuf) -> PathBuf {
        self.path_of(Step::Directory).map(|directory| directory.join(&path)).unwrap_or(path)
    }
}

fn limit_name(resource: i32) -> &'static str {
    const NAMES: [(Resource, &str); 16] = [
        (Resource::Cpu, "CPU"),
        (Resource::Fsize, "FSIZE"),
        (Resource::Data, "DATA"),
        (Resource::Stack, "STACK"),
        (Resource::Core, "CORE"),
        (Resource::Rss, "RSS"),
        (Resource::Nproc, "NPROC"),
        (Resource::Nofile, "NOFILE"),
        (Resource::Memlock, "MEMLOCK"),
        (Resource::As, "AS"),
        (Resource::Locks, "LOCKS"),
        (Resource::Sigpending, "SIGPENDING"),
        (Resource::Msgqueue, "MSGQUEUE"),
        (Resource::Nice, "NICE"),
        (Resource::Rtprio, "RTPRIO"),
        (Resource::Rttime, "RTTIME"),
    ];
    NAMES.iter().find(|(known, _)| *known as i32 == resource).map_or("of a resource", |(_, name)| name)
}

pub(super) fn unknown(error: UnknownIdentity) -> StartError {
    match error {
        UnknownIdentity::User(name, errno) => {
            StartError::new(Step::FindUser, errno, format!("finding user `{name}`"))
        }
        UnknownIdentity::Group(name, errno) => {
            StartError::new(Step::FindGroup, errno, format!("finding group `{name}`"))
        }
    }
}

/// "No such file" about a file that is there means what its first line names.
fn missing_interpreter(program: &Path) -> Option<String> {
    let mut start = Vec::new();
    fs::File::open(program).and_then(|file| file.take(256).read_to_end(&mut start)).ok()?;
    let Some(line) = start.strip_prefix(b"#!") else {
        return Some("the program is there, the loader it was linked for is not".to_owned());
    };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_ascii_whitespace().next().unwrap_or_default().to_owned();
    let returns = if line.ends_with('\r') { " (its lines end in CR LF)" } else { "" };
    Some(format!("its interpreter `{interpreter}` does not exist{returns}: change the first line"))
}
