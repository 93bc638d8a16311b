//! Pages of logs, from files made for the purpose.

use super::*;
use crate::cli::output::Style;
use crate::paths::ChosenBy;
use crate::services::logger::older;
use std::fs;
use std::path::Path;

const WEB_OLD: &str = "\
2026-11-23T12:02:07.000Z web#1 --- life 1
2026-11-23T12:02:07.412Z web#1 out listening on :8080
2026-11-23T12:02:07.413Z web#1 --- ready, pid 4188
";
const WEB: &str = "\
2026-11-23T12:02:30.877Z web#2 out GET / 200 \x1b[1m3ms
2026-11-23T12:02:31.000Z web#2 err+ rest
2026-11-23T12:02:31.090Z web#1 --- end 1: killed by SIGKILL after 23.6 s (c-7)
";
const WORKER: &str = "2026-11-23T12:02:30.000Z worker out job 1\n";

fn check(arguments: Logs, json: bool, expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path();
    fs::write(older(&logs.join("web.log"), 1), WEB_OLD).unwrap();
    fs::write(logs.join("web.log"), WEB).unwrap();
    fs::write(logs.join("worker.log"), WORKER).unwrap();
    fs::write(logs.join("mainstay.log"), "2026-11-23T12:02:00.000Z mainstay --- all up\n").unwrap();
    let mut data = Vec::new();
    let result =
        run(&arguments, &project(logs), &mut Output::new(Style::PLAIN, json, &mut data, std::io::sink()));
    result.unwrap();
    assert_eq!(String::from_utf8(data).unwrap(), expected, "{arguments:?}");
}

fn project(logs: &Path) -> Project {
    Project {
        name: "shop".into(),
        config: None,
        runtime: logs.into(),
        state: logs.into(),
        logs: logs.into(),
        chosen_by: ChosenBy::Project,
        searched: Vec::new(),
    }
}

fn of(patterns: &[&str]) -> Logs {
    Logs { patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(), ..Logs::default() }
}

#[test]
fn all_logs_are_merged_by_time_and_rotated_files_come_first() {
    let page = "\
listening on :8080|ready, pid 4188|job 1|GET / 200 \x1b[1m3ms|…rest|killed by SIGKILL after 23.6 s (c-7)";
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path();
    fs::write(older(&logs.join("web.log"), 1), WEB_OLD).unwrap();
    fs::write(logs.join("web.log"), WEB).unwrap();
    fs::write(logs.join("worker.log"), WORKER).unwrap();
    let mut data = Vec::new();
    let mut output = Output::new(Style::PLAIN, false, &mut data, std::io::sink());
    run(&of(&[]), &project(logs), &mut output).unwrap();
    drop(output);
    let text = String::from_utf8(data).unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    for (line, end) in text.lines().zip(page.split('|')) {
        assert!(line.ends_with(end), "{line}");
    }
    assert!(text.contains(" web#1 !! killed by SIGKILL"), "{text}");
}

#[test]
fn json_has_every_line_and_every_mark() {
    let line = r#"{"schema":1,"time":"2026-11-23T12:02:30.000Z","service":"worker","instance":"worker","stream":"out","kind":"line","text":"job 1"}"#;
    check(of(&["worker"]), true, &format!("{line}\n"));
    let mark = r#"{"schema":1,"time":"2026-11-23T12:02:00.000Z","service":"mainstay","instance":"mainstay","stream":null,"kind":"mark","text":"all up"}"#;
    check(of(&["mainstay"]), true, &format!("{mark}\n"));
}

fn times(arguments: Logs, expected: &[&str]) {
    let lines: Vec<_> = expected.iter().map(|time| time.to_string()).collect();
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path();
    fs::write(older(&logs.join("web.log"), 1), WEB_OLD).unwrap();
    fs::write(logs.join("web.log"), WEB).unwrap();
    fs::write(logs.join("worker.log"), WORKER).unwrap();
    let mut data = Vec::new();
    let mut output = Output::new(Style::PLAIN, true, &mut data, std::io::sink());
    run(&arguments, &project(logs), &mut output).unwrap();
    drop(output);
    let found: Vec<_> =
        String::from_utf8(data).unwrap().lines().map(|line| line[31..43].to_owned()).collect();
    assert_eq!(found, lines, "{arguments:?}");
}

#[test]
fn patterns_mean_services_instances_and_globs() {
    times(of(&["web#2"]), &["12:02:30.877", "12:02:31.000"]);
    times(of(&["w*#2"]), &["12:02:30.877", "12:02:31.000"]);
    times(
        of(&["wo*", "web#1"]),
        &["12:02:07.000", "12:02:07.412", "12:02:07.413", "12:02:30.000", "12:02:31.090"],
    );
}

#[test]
fn an_instance_of_a_template_is_in_the_log_of_the_template() {
    let directory = tempfile::tempdir().unwrap();
    let line = |instance: &str| format!("2026-11-23T12:02:30.000Z {instance} out from {instance}\n");
    fs::write(directory.path().join("job@.log"), line("job@1") + &line("job@12")).unwrap();
    fs::write(directory.path().join("web.log"), WEB).unwrap();
    let texts = |pattern: &str| {
        let mut data = Vec::new();
        let mut output = Output::new(Style::PLAIN, false, &mut data, std::io::sink());
        let result = run(&of(&[pattern]), &project(directory.path()), &mut output);
        drop(output);
        let text = String::from_utf8(data).unwrap();
        result.map(|()| {
            text.lines().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        })
    };
    assert_eq!(texts("job@1").unwrap(), ["job@1"]);
    assert_eq!(texts("j*@12").unwrap(), ["job@12"]);
    assert_eq!(texts("job@").unwrap(), ["job@1", "job@12"]);
    assert_eq!(texts("jab@1").unwrap_err().code().number(), 4);
}

#[test]
fn the_newest_lines_are_those_of_all_logs_together() {
    times(Logs { lines: Some(0), ..of(&[]) }, &[]);
    times(
        Logs { lines: Some(4), ..of(&[]) },
        &["12:02:30.000", "12:02:30.877", "12:02:31.000", "12:02:31.090"],
    );
    times(Logs { lines: Some(2), ..of(&["web#1"]) }, &["12:02:07.413", "12:02:31.090"]);
}

#[test]
fn times_limit_what_is_shown() {
    let time = |text: &str| Some(format!("2026-11-23T{text}Z"));
    let (since, until) = (time("12:02:30"), time("12:02:31"));
    let all = ["12:02:30.000", "12:02:30.877", "12:02:31.000"];
    times(Logs { since: since.clone(), until: until.clone(), ..of(&[]) }, &all);
    times(Logs { since, until, lines: Some(2), ..of(&[]) }, &all[1..]);
}

#[test]
fn an_unknown_name_is_exit_4_with_what_is_near() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("web.log"), WEB).unwrap();
    let mut output = Output::new(Style::PLAIN, false, std::io::sink(), std::io::sink());
    let error = run(&of(&["wbe"]), &project(directory.path()), &mut output).unwrap_err();
    assert_eq!((error.code().number(), error.hint().as_str()), (4, "did you mean `web`?"));
}
