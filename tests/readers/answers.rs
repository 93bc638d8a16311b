//! Every reader gives the answers of `readers/vectors.json`.

use super::boards;
use super::programs::{EVERY, Reader, Running};
use mainstay::board::{Board, Flag, Options, Reading, Source};
use mainstay::flags::{Packed, Prefix, Value};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// A question of the vectors.
struct Question<'a> {
    flag: &'a str,
    ask: &'a str,
    id: &'a str,
    fallback: &'a str,
    answer: &'a str,
}

impl<'a> Question<'a> {
    fn of(json: &'a Json) -> Question<'a> {
        let at = |n: usize| json[n].as_str().expect("a string");
        Question { flag: at(0), ask: at(1), id: at(2), fallback: at(3), answer: at(4) }
    }

    fn line(&self) -> String {
        format!("{}\t{}\t{}\t{}\n", self.flag, self.ask, self.id, self.fallback)
    }
}

/// Goes through the boards: `start` opens one, `ask` is asked each question.
fn check<Opened>(
    who: &str,
    start: impl Fn(&Path, Option<&str>) -> Opened,
    ask: impl Fn(&mut Opened, &[Question]) -> Vec<String>,
    end: impl Fn(Opened),
) {
    let (vectors, mut wrong, mut asked) = (boards::vectors(), Vec::new(), 0);
    for board in vectors["boards"].as_array().expect("boards") {
        let name = board["name"].as_str().expect("a name");
        let folder = tempfile::tempdir().unwrap();
        let mut writer = boards::build(board, folder.path());
        let mut reader = None;
        for (number, step) in board["steps"].as_array().expect("steps").iter().enumerate() {
            boards::act(step, &mut writer, folder.path());
            let reader = reader
                .get_or_insert_with(|| start(folder.path(), board.get("instance").and_then(Json::as_str)));
            let questions: Vec<Question> =
                step["ask"].as_array().expect("questions").iter().map(Question::of).collect();
            let answers = ask(reader, &questions);
            assert_eq!(answers.len(), questions.len(), "{who}, {name}");
            for (question, answer) in questions.iter().zip(answers) {
                asked += 1;
                if answer != question.answer {
                    let Question { flag, ask, id, fallback, answer: right } = question;
                    wrong.push(format!(
                        "{name}, step {number}: {flag} {ask} {id:?} or {fallback}: {answer}, not {right}"
                    ));
                }
            }
        }
        reader.into_iter().for_each(&end);
    }
    assert!(asked > 100, "{asked} questions");
    assert!(wrong.is_empty(), "{who}:\n  {}", wrong.join("\n  "));
}

struct InRust {
    board: Board,
    flags: HashMap<String, Flag>,
}

fn answer(flag: &Flag, question: &Question) -> String {
    let number_or_none = |number: Option<String>| number.unwrap_or_else(|| "none".to_owned());
    let text = |text: Packed| text.text().expect("UTF-8").to_owned();
    let Reading { truth, source } = flag.read();
    match question.ask {
        "on" => {
            let on = if question.id.is_empty() { flag.is_on() } else { flag.is_on_for(question.id) };
            if on { "on" } else { "off" }.to_owned()
        }
        "int" => number_or_none(flag.int().map(|number| number.to_string())),
        "text" => number_or_none(flag.text().map(|said| format!("={}", text(said)))),
        "stage" => {
            let name = flag.stage_and_name().map(|(_, name)| text(name)).unwrap_or_default();
            number_or_none(flag.stage().map(|stage| format!("{stage} ={name}")))
        }
        "share" => number_or_none(truth.map(|truth| {
            let share = if let Value::Share(share) = truth.value { share } else { 0 };
            format!("{share}{}", if truth.disabled { " disabled" } else { "" })
        })),
        "source" => match source {
            Source::Proven => "proven",
            Source::Stale => "stale",
            Source::Unknown => "unknown",
            Source::Lost => "lost",
            Source::Asked => "asked",
        }
        .to_owned(),
        other => panic!("`{other}` is no question"),
    }
}

#[test]
fn the_reader_in_rust_answers_as_the_vectors_say() {
    check(
        "Rust",
        |directory, instance| {
            let options = Options { instance: instance.map(str::to_owned), ..Options::default() };
            InRust { board: Board::open_by(directory, options), flags: HashMap::new() }
        },
        |InRust { board, flags }, questions| {
            let answer = |question: &Question| {
                // The fallback belongs to the handle here, and may be another one with each question.
                let key = question.flag.to_owned();
                let flag =
                    flags.remove(&key).unwrap_or_else(|| board.flag(&key)).or(question.fallback == "on");
                let said = answer(&flag, question);
                flags.insert(key, flag);
                said
            };
            questions.iter().map(answer).collect()
        },
        drop,
    );
}

#[test]
fn the_readers_in_c_and_python_answer_as_the_vectors_say() {
    for reader in EVERY {
        check(
            &format!("{reader:?}"),
            |directory, instance| {
                let mut command = reader.command("answer", &[directory.to_str().expect("UTF-8")]);
                instance.map(|instance| command.env("MAINSTAY_INSTANCE", instance));
                Running::start(&mut command)
            },
            |running, questions| {
                let lines: String = questions.iter().map(Question::line).collect();
                running.say(&(lines + "!\n"));
                std::iter::repeat_with(|| running.hear()).take_while(|line| line != "!").collect::<Vec<_>>()
            },
            Running::end,
        );
    }
}

#[test]
fn the_command_line_answers_as_the_vectors_say() {
    let vectors = boards::vectors();
    let mut asked = 0;
    // A process for each question has no last value: only what is read at the first step.
    for board in vectors["boards"].as_array().expect("boards") {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = boards::build(board, folder.path());
        boards::act(&board["steps"][0], &mut writer, folder.path());
        for question in board["steps"][0]["ask"].as_array().expect("questions") {
            let question = Question::of(question);
            let Question { flag, ask, id, fallback, answer } = question;
            if ask != "on" || flag.contains(' ') || flag.len() > 128 {
                continue;
            }
            let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
            command.args(["flag", "on", flag, "--default", fallback]).current_dir(folder.path());
            if !id.is_empty() {
                command.args(["--id", id]);
            }
            command.env("RUNTIME_DIRECTORY", folder.path()).env_remove("MAINSTAY_INSTANCE");
            command.env("STATE_DIRECTORY", folder.path().join("state"));
            if let Some(instance) = board.get("instance").and_then(Json::as_str) {
                command.env("MAINSTAY_INSTANCE", instance);
            }
            let output = command.output().unwrap();
            let code = output.status.code();
            let expected = if answer == "on" { 0 } else { 1 };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                code == Some(expected) || code == Some(2) && answer == fallback,
                "{}: {flag} {id:?} or {fallback}: {code:?}, not {answer}: {said}",
                board["name"]
            );
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked} questions");
}

#[test]
fn positions_are_those_of_the_table() {
    let start = |reader: Reader| (reader, Running::start(&mut reader.command("answer", &["/nowhere"])));
    let mut others: Vec<_> = EVERY.map(start).into();
    for row in boards::vectors()["positions"].as_array().expect("positions") {
        let [salt, id, hash] = [0, 1, 2].map(|at| row[at].as_str().expect("a string"));
        let prefix = Prefix::new(salt).unwrap();
        assert_eq!(
            prefix.hash(id).map(|hash| format!("{hash:#010x}")).as_deref(),
            Some(hash),
            "{salt}, {id}"
        );
        assert_eq!(prefix.position(id).map(u64::from), row[3].as_u64(), "{salt}, {id}");
        for (_, others) in &mut others {
            others.say(&format!("{salt}\tposition\t{id}\toff\n!\n"));
        }
        for (reader, others) in &mut others {
            assert_eq!(others.hear(), row[3].to_string(), "{reader:?}: {salt}, {id}");
            assert_eq!(others.hear(), "!");
        }
    }
    others.into_iter().for_each(|(_, other)| other.end());
}

#[test]
fn a_reader_whose_descriptors_were_closed_reads_on_and_touches_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = boards::vectors();
    let _writer = boards::build(&vectors["boards"][0], folder.path());
    for reader in EVERY {
        let mut running =
            Running::start(&mut reader.command("closed", &[folder.path().to_str().unwrap(), "on"]));
        assert_eq!(running.hear(), "proven proven", "{reader:?}");
        running.end();
    }
}
