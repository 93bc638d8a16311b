//! Whatever a file says, there is an answer, and every error has a place in it and can be shown.

use crate::read::{parse_bytes, plan, several};
use mainstay::config;
use proptest::prelude::*;

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        judge(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        judge(text.as_bytes());
    }

    #[test]
    fn no_toml_makes_it_panic(lines in proptest::collection::vec(line(), 0..20)) {
        judge(lines.join("\n").as_bytes());
    }

    #[test]
    fn no_files_together_make_it_panic(
        files in proptest::collection::vec(proptest::collection::vec(line(), 0..8), 1..4),
        odd in proptest::option::weighted(0.2, proptest::collection::vec(any::<u8>(), 0..20)),
    ) {
        let mut files: Vec<Vec<u8>> = files.iter().map(|lines| lines.join("\n").into_bytes()).collect();
        files.extend(odd);
        judge_all(&files);
    }

    #[test]
    fn services_are_the_same_in_one_file_and_in_several(
        tables in proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c"), Just("d")], 1..4),
        cut in 0usize..4,
    ) {
        let mut names: Vec<&str> = Vec::new();
        tables.into_iter().for_each(|name| if !names.contains(&name) { names.push(name) });
        let table = |name: &&str| format!("[service.{name}]\ncommand = '/bin/{name} é'\ndirectory = '/'\n[flag.{name}]\n");
        let cut = cut.min(names.len());
        let (first, second): (String, String) =
            (names[..cut].iter().map(table).collect(), names[cut..].iter().map(table).collect());
        let whole = plan(&format!("{first}{second}"));
        let parts = several(&[first.into_bytes(), second.into_bytes()]).unwrap().plan;
        prop_assert_eq!(&parts.tree, &whole.tree);
        prop_assert_eq!(config::diff::diff(&parts, &whole), []);
        let of_second = parts.programs.iter().filter(|program| program.part == 1).map(|program| program.line);
        prop_assert_eq!(of_second.collect::<Vec<_>>(), (0..names.len() - cut).map(|at| 4 * at as u32 + 1).collect::<Vec<_>>());
    }
}

fn judge_all(files: &[Vec<u8>]) {
    match several(files) {
        Ok(configuration) => {
            let plan = &configuration.plan;
            for template in &plan.templates {
                // Whatever stands in a template that is read, an instance is made or refused in words.
                match template.instance("a.1", &["%i".to_owned()], None) {
                    Ok((child, program)) => assert_eq!(child.name, program.instance),
                    Err(reason) => assert!(!reason.to_string().is_empty()),
                }
            }
            for service in &plan.declared.services {
                assert_eq!(plan.scaled(&service.name, service.count).unwrap().tree, plan.tree);
            }
            assert_eq!(config::diff::diff(plan, plan), []);
            configuration.warnings.render(false);
        }
        Err(found) => {
            assert!(found.errors() > 0);
            assert!(!found.render(false).is_empty() && !found.render(true).is_empty());
            assert_eq!(found.sources.len(), files.len());
            let locator = found.locator();
            for diagnostic in &found.list {
                let spans = diagnostic.span.iter().chain(diagnostic.related.iter().map(|(span, _)| span));
                for span in spans {
                    let source = locator.source(span.start);
                    assert!(span.start - source.start <= source.text.len(), "{diagnostic:?}");
                    assert!(locator.position(span.start) >= (1, 1));
                }
            }
        }
    }
}

/// Whatever the text is: an answer, and every error has a place in it and can be shown.
fn judge(bytes: &[u8]) {
    let _ = config::name_of(bytes);
    judge_all(&[bytes.to_owned()]);
    match parse_bytes(bytes) {
        Ok(configuration) => {
            let plan = configuration.plan;
            assert_eq!(plan.programs.len(), plan.tree.children.len());
            assert!(plan.programs.iter().all(|p| !p.argv.is_empty() && p.directory.is_absolute()));
            let members: usize = plan.tree.groups.iter().map(|g| g.members.len()).sum();
            assert_eq!(
                members,
                plan.tree.children.len() + plan.tree.groups.len() - 1,
                "each is a member once"
            );
        }
        Err(found) => {
            assert!(found.errors() > 0);
            assert!(!found.render(false).is_empty() && !found.render(true).is_empty());
            let last = found.sources.last().expect("there is a file");
            let length = last.start + last.text.len();
            assert!(found.list.iter().filter_map(|d| d.span.as_ref()).all(|span| span.start <= length));
        }
    }
}

/// Lines that are often valid, so that the walk gets far.
fn line() -> impl proptest::strategy::Strategy<Value = String> {
    let name = prop_oneof![
        Just("web"),
        Just("db"),
        Just("app"),
        Just("\"a.b\""),
        Just("mainstay"),
        Just("é"),
        Just("\"worker@\""),
        Just("worker@")
    ];
    let key = prop_oneof![
        Just("name"),
        Just("command"),
        Just("group"),
        Just("needs"),
        Just("instances"),
        Just("restart"),
        Just("backoff"),
        Just("ready"),
        Just("stop"),
        Just("env"),
        Just("env_file"),
        Just("log"),
        Just("user"),
        Just("umask"),
        Just("strategy"),
        Just("intensity"),
        Just("period"),
        Just("semantics"),
        Just("default"),
        Just("percent"),
        Just("restart.max"),
        Just("stop.grace"),
        Just("log.max_size"),
        Just("defaults.backoff.base"),
        Just("directory"),
        Just("significant"),
        Just("auto_shutdown"),
        Just("max_children"),
        Just("ignore"),
        Just("condition"),
        Just("restart.policy"),
        Just("ready.tcp"),
        Just("ready.output"),
    ];
    let value = prop_oneof![
        Just("1"),
        Just("-1"),
        Just("0.5"),
        Just("nan"),
        Just("true"),
        Just("'web'"),
        Just("'@app'"),
        Just("['web', 'db#1']"),
        Just("['@app']"),
        Just("'10s'"),
        Just("'10MiB'"),
        Just("'otp'"),
        Just("'rest_for_one'"),
        Just("'none'"),
        Just("{}"),
        Just("{ max = 3, within = '1s' }"),
        Just("{ tcp = 80 }"),
        Just("{ signal = 'INT' }"),
        Just("[]"),
        Just("[[1]]"),
        Just("1979-05-27"),
        Just("\"\\u0000\""),
        Just("99999999999999999999"),
        Just("'pool'"),
        Just("'any'"),
        Just("'transient'"),
        Just("'otp-seconds'"),
        Just("'%i'"),
        Just("'80%i %%'"),
        Just("'%'"),
        Just("{ exists = '%i/x' }"),
        Just("['x', '%i%%']"),
        Just("'worker@'"),
        Just("['worker@a', 'web']"),
        Just("'''"),
        Just("{"),
    ];
    let header = (prop_oneof![Just("service"), Just("group"), Just("flag"), Just("log"), Just("x")], name)
        .prop_map(|(kind, name)| format!("[{kind}.{name}]"));
    prop_oneof![1 => header, 3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}"))]
}
