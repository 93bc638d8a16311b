//! The example shop, as it stands in `examples`: flags reach all of its programs, and each survives its death.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{Project, outcome, readable};

/// The shop in a folder of its own, with the programs of this build, on a free port.
fn shop() -> (Project, u16) {
    let built = Path::new(env!("CARGO_BIN_EXE_mainstay")).parent().unwrap();
    let worker = built.join("examples/board_worker");
    assert!(worker.exists(), "{} is missing: `cargo build --examples` makes it", worker.display());
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = fs::read_to_string(examples.join("shop.toml")).unwrap();
    let file = file.replace("../target/release", built.to_str().unwrap()).replace("8737", &port.to_string());
    let project = Project::new(&file);
    fs::create_dir(project.path("shop")).unwrap();
    for name in ["shop/web.py", "shop/mailer.sh"] {
        fs::copy(examples.join(name), project.path(name)).unwrap();
    }
    (project, port)
}

/// `mainstay logs -f`, from the first line on.
struct Log {
    child: Child,
    text: String,
}

impl Log {
    fn of(project: &Project, service: &str) -> Log {
        let mut command = project.command(&["logs", "--follow", "--lines", "100000", service]);
        Log { child: command.stdout(Stdio::piped()).spawn().unwrap(), text: String::new() }
    }

    /// Reads on until these words come, and forgets everything up to them.
    #[track_caller]
    fn until(&mut self, words: &str) {
        while !self.text.contains(words) {
            let stdout = self.child.stdout.as_mut().unwrap();
            let fd: OwnedFd = stdout.as_fd().try_clone_to_owned().unwrap();
            readable(&fd);
            let mut bytes = [0; 4096];
            let count = stdout.read(&mut bytes).unwrap();
            assert_ne!(count, 0, "the log ends before {words:?}: {}", self.text);
            self.text += &String::from_utf8_lossy(&bytes[..count]);
        }
        let end = self.text.find(words).unwrap() + words.len();
        self.text.drain(..end);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(port: u16, customer: &str) -> String {
    let url = format!("http://127.0.0.1:{port}/{customer}");
    let script =
        "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())";
    outcome(Command::new("python3").args(["-c", script, &url])).ok().trim().to_owned()
}

#[test]
fn every_program_of_the_shop_sees_a_flag_change_and_comes_back_when_it_is_killed() {
    let (project, port) = shop();
    project.start();
    let (mut stock, mut mailer) = (Log::of(&project, "stock"), Log::of(&project, "mailer#1"));
    stock.until("new-checkout: on for 0 of 4 customers");
    mailer.until("dan gets the old checkout");
    assert!(ask(port, "ana").starts_with("ana: old checkout"));

    project.mainstay(&["flag", "set", "new-checkout=on"]).ok();
    stock.until("new-checkout: on for 4 of 4 customers");
    mailer.until("dan gets the new checkout");
    assert!(ask(port, "ana").starts_with("ana: new checkout"));

    for name in ["web", "mailer#2", "mailer#1", "stock", "mainstay.keeper", "mainstay.logger"] {
        let state = if name.starts_with("mainstay") { "up" } else { "ready" };
        project.kill_and_wait(name, state);
        project.mainstay(&["wait", "*", "--state", "ready"]).ok();
    }

    project.mainstay(&["flag", "set", "new-checkout=off"]).ok();
    stock.until("new-checkout: on for 0 of 4 customers");
    mailer.until("ana gets the old checkout");
    assert!(ask(port, "ana").starts_with("ana: old checkout"));
    drop((stock, mailer));
    project.shutdown();
}
