//! Files that are empty, odd, damaged or enormous.

use crate::read::{parse_bytes, plan, several};
use mainstay::config::{self, Origin};
use std::path::{Path, PathBuf};

#[test]
fn an_empty_file_is_a_project_without_services() {
    for text in ["", "\u{feff}", "\r\n\r\n", "# nothing\n"] {
        let plan = plan(text);
        assert_eq!((plan.tree.children.len(), plan.tree.groups.len()), (0, 1), "{text:?}");
    }
}

#[test]
fn byte_order_marks_and_crlf_change_neither_the_meaning_nor_the_place_of_an_error() {
    let text = "[service.web]\r\ncommand = './web'\r\nrestrat = 1\r\n";
    let plain = parse_bytes(text.as_bytes()).unwrap_err();
    let marked = parse_bytes(format!("\u{feff}{text}").as_bytes()).unwrap_err();
    assert!(plain.to_string().contains("mainstay.toml:3:1"), "{plain}");
    assert_eq!(plain.to_string(), marked.to_string());
    let good = parse_bytes("\u{feff}[service.web]\r\ncommand = './web'\r\n".as_bytes()).unwrap();
    assert_eq!(good.plan.programs[0].argv, ["./web"]);
}

#[test]
fn text_that_is_not_utf8_is_shown_with_the_byte() {
    let found = parse_bytes(b"name = 'a'\n[service.\xff]\n").unwrap_err().to_string();
    insta::assert_snapshot!(found, @r"
    error: the file is not UTF-8: byte 20 is 0xff
     --> mainstay.toml:2:10
      |
    2 | [service.�]
      |          ^ not a character
      |
      = help: save the file as UTF-8
    1 error, nothing was changed
    ");
}

#[test]
fn a_path_that_no_plan_can_keep_is_an_error_of_the_file() {
    use std::os::unix::ffi::OsStrExt;
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    let (folder, name) = (path(b"/srv/\xff/mainstay.toml"), path(b"/srv/conf.d/\xff.toml"));
    let found =
        config::parse(b"[service.a]\ncommand = 'x'\n", &Origin::new(&folder, "mainstay.toml", "shop"));
    let found = found.unwrap_err().to_string();
    assert!(found.contains("error: `/srv/\u{fffd}/mainstay.toml` is not UTF-8"), "{found}");
    let parts = [config::Part { file: name, shown: "conf.d/\u{fffd}.toml".to_owned(), text: Ok(Vec::new()) }];
    let origin = Origin::new(Path::new("/srv/mainstay.toml"), "mainstay.toml", "shop");
    let found = config::parse(b"", &Origin { parts: &parts, ..origin }).unwrap_err().to_string();
    assert!(found.contains("the name of this file is not UTF-8") && found.contains("--> conf.d/"), "{found}");
}

#[test]
fn nothing_in_a_file_reaches_the_terminal_as_a_control_character() {
    for text in [
        "x = '\u{1b}[31m'",
        "\u{1b}]0;t\u{7} = 1",
        "a\0b = 1",
        "[service.\"\\u001b[31m\"]\n\"\\u001b\" = 1\n\"\\u009b\" = 2",
    ] {
        let found = parse_bytes(text.as_bytes()).unwrap_err().to_string();
        assert!(!found.chars().any(|c| c.is_control() && c != '\n'), "{found:?}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_full_stack() {
    let arrays = format!("a = {}{}", "[".repeat(50_000), "]".repeat(50_000));
    let tables = format!("a = {}1{}", "{ a = ".repeat(50_000), "}".repeat(50_000));
    let dots = format!("{}a = 1", "a.".repeat(50_000));
    let header = format!("[{}a]", "a.".repeat(50_000));
    for text in [arrays, tables, dots, header] {
        assert!(parse_bytes(text.as_bytes()).unwrap_err().errors() > 0);
    }
    let mut groups = String::from("[group.g0]\n");
    for i in 1..5_000 {
        groups.push_str(&format!("[group.g{i}]\ngroup = 'g{}'\n", i - 1));
    }
    let found = parse_bytes(groups.as_bytes()).unwrap_err();
    assert!(found.to_string().contains("nested more than 64 deep"), "{found}");
    assert_eq!(found.errors(), 1);
}

#[test]
fn ten_thousand_services_in_a_chain_are_one_walk() {
    let mut text = String::from("[service.s0]\ncommand = 'x'\n");
    for i in 1..10_000 {
        text.push_str(&format!("[service.s{i}]\ncommand = 'x'\nneeds = ['s{}']\n", i - 1));
    }
    assert_eq!(plan(&text).tree.children.len(), 10_000);
    // The same chain closed to a ring is one circle, shown without drowning the reader.
    let ring = text.replacen("command = 'x'", "command = 'x'\nneeds = ['s9999']", 1);
    let found = parse_bytes(ring.as_bytes()).unwrap_err();
    assert_eq!(found.errors(), 1);
    assert!(found.list[0].message.contains("→ (9989 more) →"), "{found}");
}

#[test]
fn ten_thousand_mistakes_are_counted_and_the_first_are_shown() {
    let mut text = String::new();
    for i in 0..10_000 {
        text.push_str(&format!("[service.s{i}]\ncommand = 'x'\nneeds = ['t{i}']\ncomand = 1\n"));
    }
    let found = parse_bytes(text.as_bytes()).unwrap_err();
    assert_eq!(found.errors(), 20_000);
    let shown = found.to_string();
    assert!(
        shown.contains("… and 19950 more\n20000 errors, nothing was changed"),
        "{}",
        &shown[shown.len() - 200..]
    );
}

#[test]
fn ten_megabytes_are_read_and_more_than_sixteen_are_refused() {
    let text = format!("# {}\n[service.web]\ncommand = 'x'\nfoo = 1\n", "x".repeat(10 << 20));
    assert!(parse_bytes(text.as_bytes()).unwrap_err().to_string().contains("mainstay.toml:4:1"));
    let line = format!("[service.web]\ncommand = 'x'\nfoo = '{}'\n", "é".repeat(5 << 20));
    let shown = parse_bytes(line.as_bytes()).unwrap_err().to_string();
    assert!(shown.len() < 4_000, "an endless line is cut: {} bytes", shown.len());
    let found = parse_bytes(&vec![b'\n'; config::FILE_MAX + 1]).unwrap_err().to_string();
    assert!(found.contains("larger than 16MiB"), "{found}");
    let half = format!("# {}\n", "x".repeat(9 << 20)).into_bytes();
    let found = several(&[half.clone(), half.clone()]).unwrap_err().to_string();
    assert!(found.contains("with this file all together are larger than 16MiB"), "{found}");
    assert!(found.contains("--> conf.d/1.toml"), "{found}");
    assert!(several(&[half, Vec::new()]).is_ok());
    let garbage = parse_bytes("= \n".repeat(1 << 20).as_bytes()).unwrap_err();
    assert_eq!(garbage.errors(), 1, "the first is enough");
}

#[test]
fn more_instances_or_needs_than_can_be_counted_out_are_refused() {
    let service = |i: usize| format!("[service.s{i}]\ncommand = 'x'\ninstances = 10000\n");
    let many: String = (0..11).map(service).collect();
    assert!(parse_bytes(many.as_bytes()).unwrap_err().to_string().contains("more than 100000 instances"));
    let crossed = format!("{}{}needs = ['s0']\n", service(0), service(1));
    assert!(parse_bytes(crossed.as_bytes()).unwrap_err().to_string().contains("more than 1000000 needs"));
    assert_eq!(plan(&service(0)).programs.len(), 10_000);
    // Of a template one instance is counted, so that what one start costs is bounded too.
    let all: String = (0..10).map(service).collect();
    let names: Vec<String> = (0..10).map(|i| format!("'s{i}'")).collect();
    let template = |i: usize| format!("[service.'t{i}@']\ncommand = 'x'\nneeds = [{}]\n", names.join(", "));
    let templates = |count: usize| format!("{all}{}", (0..count).map(template).collect::<String>());
    assert!(
        parse_bytes(templates(11).as_bytes()).unwrap_err().to_string().contains("more than 1000000 needs")
    );
    assert_eq!(plan(&templates(10)).templates[9].child.needs.len(), 100_000);
}
