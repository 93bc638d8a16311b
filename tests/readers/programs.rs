//! The readers as processes: `reader.c`, compiled here, and `reader.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

/// A reader in another language, and how it loads.
#[derive(Clone, Copy, Debug)]
pub enum Reader {
    CByCopy,
    CByMap,
    /// With the sanitizers, which see what a crash might not show.
    CSanitized,
    Python,
}

pub const EVERY: [Reader; 4] = [Reader::CByCopy, Reader::CByMap, Reader::CSanitized, Reader::Python];

fn path(under: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(under)
}

impl Reader {
    /// The program with its verb and what is read.
    pub fn command(self, verb: &str, place: &[&str]) -> Command {
        let mut command = match self {
            Reader::Python => {
                let mut python = Command::new("python3");
                python
                    .arg(path("tests/readers/reader.py"))
                    .arg(verb)
                    .env("PYTHONPATH", path("readers/python"));
                python.env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
            Reader::CByCopy | Reader::CByMap => Command::new(compiled(false)),
            Reader::CSanitized => Command::new(compiled(true)),
        };
        let mode = match self {
            Reader::Python => None,
            Reader::CByCopy => Some("copy"),
            Reader::CByMap | Reader::CSanitized => Some("map"),
        };
        if !matches!(self, Reader::Python) {
            command.arg(verb);
        }
        match place {
            [directory, rest @ ..] if verb != "agree" => command.arg(directory).args(mode).args(rest),
            _ => command.args(place),
        };
        command.env_remove("MAINSTAY_INSTANCE").env_remove("MAINSTAY_BLACKBOX_FD");
        command
    }
}

/// Compiles `reader.c` once for this run of the tests.
fn compiled(sanitized: bool) -> &'static Path {
    static PROGRAMS: [OnceLock<PathBuf>; 2] = [const { OnceLock::new() }; 2];
    PROGRAMS[usize::from(sanitized)].get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if sanitized {
            "reader-sanitized"
        } else {
            "reader-c"
        });
        // Under a name of its own first: another run of the tests may be executing the old one.
        let new = program.with_extension(std::process::id().to_string());
        let mut compiler = Command::new("cc");
        compiler.args([
            "-std=c11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Wshadow",
            "-Wconversion",
            "-Werror",
        ]);
        if sanitized {
            compiler.args(["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
        }
        compiler.arg("-I").arg(path("readers/c")).arg(path("tests/readers/reader.c")).arg("-o").arg(&new);
        let output = compiler.output().expect("a C compiler, `cc`");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::rename(&new, &program).expect("our folder");
        program
    })
}

/// A reader that runs, and is spoken with by lines.
pub struct Running {
    child: Child,
    say: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
        let (say, hear) = (child.stdin.take(), child.stdout.take());
        Running { child, say, hear: BufReader::new(hear.expect("a pipe")) }
    }

    /// Says some lines at once.
    pub fn say(&mut self, lines: &str) {
        self.say.as_mut().expect("it is not at its end").write_all(lines.as_bytes()).expect("it listens");
    }

    /// Its next line, without the end of the line. Panics when it ended.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        if self.hear.read_line(&mut line).expect("UTF-8") == 0 {
            panic!("the reader ended: {}", self.child.wait().expect("it is ours"));
        }
        line.trim_end_matches('\n').to_owned()
    }

    /// Closes its input and waits for its end, which must be a good one.
    #[track_caller]
    pub fn end(mut self) {
        drop(self.say.take());
        let status = self.child.wait().expect("it is ours");
        assert!(status.success(), "the reader ended: {status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_header_compiles_without_a_warning_and_the_analyzer_finds_nothing() {
    let output = Command::new("cc")
        .args([
            "-std=c11",
            "-O2",
            "-fanalyzer",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-c",
            "-o",
            "/dev/null",
        ])
        .arg("-I")
        .arg(path("readers/c"))
        .arg(path("tests/readers/reader.c"))
        .output()
        .expect("a C compiler, `cc`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
