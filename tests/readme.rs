//! The transcripts of README.md are true: each is run in a fresh folder, in one shell, and compared.
//!
//! A ```toml block is the folder's `mainstay.toml` from there on. In a ```console block each line that begins
//! with `$ ` is a command; what follows is what it prints. Times, pids and durations may differ, and so may the
//! number of spaces; everything else may not. A block with `tty` after `console` runs on a terminal.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use support::Project;

enum Block {
    Toml(String),
    Console { line: usize, text: String },
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) else { continue };
        let body: Vec<&str> = lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").collect();
        let text = body.join("\n") + "\n";
        match kind {
            "toml" => found.push(Block::Toml(text)),
            "console" => found.push(Block::Console { line: number + 1, text }),
            _ => {}
        }
    }
    found
}

/// What may differ from run to run becomes the same.
fn normal(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        words.clear();
        words.extend(line.split_whitespace().map(word));
        // "23.6 s", "73 ms", "1m 12s": one duration, whatever its unit.
        let mut joined: Vec<String> = Vec::new();
        for word in &words {
            let unit = matches!(word.trim_end_matches([',', ')', '.', ';', ':']), "s" | "ms" | "µs" | "ns");
            match joined.last_mut() {
                Some(last) if unit && last == "N" => {
                    *last = format!("TIME{}", word.trim_start_matches(['s', 'm', 'µ', 'n']));
                }
                Some(last) if word.starts_with("TIME") && last == "TIME" => last.clone_from(word),
                _ => joined.push(word.clone()),
            }
        }
        lines.push(joined.join(" "));
    }
    lines.join("\n").trim_end().to_owned()
}

fn word(word: &str) -> String {
    let core = word.trim_end_matches([',', ')', '.', ';', ':']);
    let tail = &word[core.len()..];
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let time = matches!(core.len(), 8 | 12) && core.bytes().filter(|b| *b == b':').count() == 2;
    let stamp = core.len() >= 20 && core.contains('T') && core.ends_with('Z');
    let unit = ["ms", "µs", "ns", "s", "m", "h", "%"].iter().find_map(|u| core.strip_suffix(u));
    match core {
        // Built-ins that die take numbers, too, in no order.
        _ if word.contains("c-")
            && word.trim_matches(['(', ')', ',']).strip_prefix("c-").is_some_and(number) =>
        {
            "c-N".to_owned()
        }
        _ if time => format!("HH:MM:SS.mmm{tail}"),
        _ if stamp => format!("STAMP{tail}"),
        _ if is_date(core) => format!("DATE{tail}"),
        _ if number(core) => format!("N{tail}"),
        _ if unit.is_some_and(number) => format!("TIME{tail}"),
        _ => word.to_owned(),
    }
}

/// `2026-11-23`
fn is_date(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let digits = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.iter().all(digits)
}

struct Shell {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const MARK: &str = "----end-of-command----";

impl Shell {
    fn new(project: &Project) -> Shell {
        let program = Path::new(env!("CARGO_BIN_EXE_mainstay")).parent().unwrap();
        let path = format!("{0}:{0}/examples:{1}", program.display(), std::env::var("PATH").unwrap());
        let mut process = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .current_dir(project.folder())
            .env("PATH", path)
            .env("RUNTIME_DIRECTORY", project.path("run"))
            .env("STATE_DIRECTORY", project.path("state"))
            .env("LOGS_DIRECTORY", project.path("log"))
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .env_remove("MAINSTAY_RUNTIME_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Shell { process, input, output }
    }

    fn run(&mut self, command: &str) -> String {
        writeln!(self.input, "{{ {command}\n}} 2>&1 </dev/null\necho; echo {MARK}").unwrap();
        let mut text = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the shell ended: {text}");
            if line.trim_end() == MARK {
                return text.trim_end_matches('\n').to_owned();
            }
            text.push_str(&line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"exit\n");
        let mut rest = String::new();
        let _ = self.output.read_to_string(&mut rest);
        let _ = self.process.wait();
    }
}

#[test]
fn the_transcripts_of_the_readme_are_true() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let project = Project::new("");
    let mut shell = Shell::new(&project);
    let mut commands = 0;
    for block in blocks(&text) {
        match block {
            Block::Toml(configuration) => project.write("mainstay.toml", &configuration),
            Block::Console { line, text } => {
                for part in text.split("\n$ ").map(|part| part.strip_prefix("$ ").unwrap_or(part)) {
                    let (command, expected) = part.split_once('\n').unwrap_or((part, ""));
                    let actual = shell.run(command);
                    assert_eq!(
                        normal(&actual),
                        normal(expected),
                        "README.md, block at line {line}: `{command}` printed:\n{actual}"
                    );
                    commands += 1;
                }
            }
        }
    }
    assert!(commands >= 10, "only {commands} commands are in the README");
}

#[test]
fn what_may_differ_is_the_same_and_nothing_else() {
    let check = |left: &str, right: &str, same: bool| {
        assert_eq!(normal(left) == normal(right), same, "{left} {right}")
    };
    check("12:02:31.090 web killed after 23.6 s", "09:00:00.000 web  killed after 4 ms", true);
    check("pid 4188", "pid 7", true);
    check("up 1m 12s", "up 3s", true);
    check("up 3s,", "up 3s", false);
    check("on 2026-11-23", "on 2027-01-02", true);
    check("exit 3", "exit three", false);
    check("web up", "web down", false);
}
