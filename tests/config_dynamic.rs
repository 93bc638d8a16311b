//! Text → plan, for what changes while the tree runs: templates, conditions, and counting instances again.

use mainstay::config::declared::ScaleError;
use mainstay::config::plan::{Condition, Program, Ready};
use mainstay::config::template::{InstanceError, Template};
use mainstay::config::{self, Configuration, Diagnostics, Origin, Plan};
use mainstay::supervisor::spec::{Child, ChildId, GroupId, Node, Restart};
use std::path::Path;

/// Reads `text` as `/srv/10%/mainstay.toml`, beside which a `secret.env` stands.
fn parse(text: &str) -> Result<Configuration, Diagnostics> {
    let origin = Origin::new(Path::new("/srv/10%/mainstay.toml"), "mainstay.toml", "shop");
    let env_files = |_: &Path| Ok("SECRET=%i%%".to_owned());
    config::parse(text.as_bytes(), &Origin { env_files: &env_files, ..origin })
}

fn plan(text: &str) -> Plan {
    match parse(text) {
        Ok(configuration) => configuration.plan,
        Err(found) => panic!("{text}\n{found}"),
    }
}

/// The first line of each message, in order.
fn messages(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(found) => found.warnings.list.into_iter().map(|d| format!("warning: {}", d.message)).collect(),
        Err(found) => found.list.into_iter().map(|d| d.message).collect(),
    }
}

/// The text has exactly one mistake, and its message begins so.
fn refused(text: &str, begins: &str) {
    let found = messages(text);
    assert!(
        found.len() == 1 && found[0].starts_with(begins),
        "{text}\nexpected: {begins}\nfound: {found:#?}"
    );
}

fn accepted(text: &str) {
    assert_eq!(messages(text), [""; 0], "{text}");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn child<'a>(plan: &'a Plan, name: &str) -> &'a Child {
    plan.tree.children.iter().find(|c| c.name == name).expect("the instance is there")
}

fn names(plan: &Plan) -> Vec<&str> {
    assert_eq!(plan.programs.len(), plan.tree.children.len());
    let both = plan.programs.iter().zip(&plan.tree.children);
    both.map(|(program, child)| {
        assert_eq!(program.instance, child.name);
        program.instance.as_str()
    })
    .collect()
}

fn node(plan: &Plan, name: &str) -> Node {
    let place = plan.tree.children.iter().position(|c| c.name == name).expect("the instance is there");
    Node::Child(ChildId(u32::try_from(place).unwrap()))
}

// Templates.

const WORKER: &str = r#"
[defaults]
env = { ZONE = "UTC" }
[group.app]
[service.db]
command = "./db"
[service."worker@"]
group     = "app"
command   = ["./worker", "--queue", "%i", "100%%", "%i%i"]
env       = { NAME = "worker-%i", SHARE = "5%%" }
env_file  = "secret.env"
directory = "spool/%i"
user      = "u-%i:www"
condition = { exists = "keys/%i" }
ready     = { output = "%i is up" }
needs     = ["db"]
restart   = "transient"
"#;

fn template(text: &str) -> Template {
    let mut plan = plan(text);
    assert_eq!(plan.templates.len(), 1, "{text}");
    plan.templates.remove(0)
}

#[test]
fn a_template_is_never_in_the_tree() {
    let plan = plan(WORKER);
    assert_eq!(names(&plan), ["db"]);
    assert_eq!(plan.tree.groups[1].members, []);
    assert_eq!(plan.templates.len(), 1);
    let template = &plan.templates[0];
    assert_eq!((template.name.as_str(), template.child.name.as_str()), ("worker@", "worker@"));
    assert_eq!((template.child.group, &template.child.needs), (GroupId(1), &vec![node(&plan, "db")]));
}

#[test]
fn an_instance_has_the_argument_wherever_percent_i_stands() {
    let template = template(WORKER);
    let (child, program) = template.instance("mail.v2", &[], None).unwrap();
    assert_eq!(child, Child { name: "worker@mail.v2".to_owned(), added: true, ..template.child.clone() });
    assert_eq!((child.restart, child.autostart), (Restart::Transient, true));
    assert_eq!((program.service.as_str(), program.instance.as_str()), ("worker@", "worker@mail.v2"));
    assert_eq!(program.argv, ["./worker", "--queue", "mail.v2", "100%", "mail.v2mail.v2"]);
    // The folder's own percent sign is one, and so is that of a secret.
    assert_eq!(program.directory, Path::new("/srv/10%/spool/mail.v2"));
    assert_eq!(program.condition, Some(Condition::Exists("/srv/10%/keys/mail.v2".into())));
    assert_eq!(program.user.as_deref(), Some("u-mail.v2:www"));
    assert_eq!(program.ready, Ready::Output("mail.v2 is up".to_owned()));
    let env: Vec<_> = program.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(env, [("ZONE", "UTC"), ("SECRET", "%i%%"), ("NAME", "worker-mail.v2"), ("SHARE", "5%")]);
}

#[test]
fn an_instance_may_be_given_another_name() {
    let template = template("[service.'job@']\ncommand = 'x %i'\n");
    let name = |name: &str| {
        template.instance("7", &[], Some(name)).map(|(child, program)| {
            assert_eq!((child.name == program.instance, program.argv[1].as_str()), (true, "7"));
            child.name
        })
    };
    for good in ["mailer", "job@7", "other@x.y"] {
        assert_eq!(name(good).as_deref(), Ok(good));
    }
    for bad in ["", "a b", "a/b", "job@", "@x", "a@b@c", "mainstay", "mainstay.x", "web#2", "-a", "é"] {
        assert!(matches!(name(bad), Err(InstanceError::Name { .. })), "{bad}");
    }
}

#[test]
fn an_argument_becomes_part_of_file_names_so_it_has_a_rule() {
    let template = template("[service.'w@']\ncommand = 'x %i'\n");
    let long = "x".repeat(64);
    for good in ["1", "a", ".", "..", "-x", long.as_str()] {
        assert_eq!(template.instance(good, &[], None).map(|(c, _)| c.name), Ok(format!("w@{good}")));
    }
    let longer = "x".repeat(65);
    for bad in ["", "a b", "a/b", "../x", "a@b", "a#1", "a\0b", "a\nb", "é", longer.as_str()] {
        let error = template.instance(bad, &[], None).unwrap_err();
        assert!(matches!(error, InstanceError::Argument { .. }), "{bad}: {error}");
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
    }
    assert_eq!(template.instance("a", &words(&["a\0"]), None).unwrap_err(), InstanceError::Nul);
}

#[test]
fn a_port_may_hold_the_argument_and_is_judged_when_it_is_known() {
    let template = template("[service.'w@']\ncommand = 'x'\nready = { tcp = '80%i' }\n");
    let ready = |argument: &str| template.instance(argument, &[], None).map(|(_, program)| program.ready);
    assert_eq!(ready("80"), Ok(Ready::Tcp(8080)));
    for bad in ["x", "800", "-1"] {
        assert_eq!(ready(bad), Err(InstanceError::Port { text: format!("80{bad}") }));
    }
    let zero = self::template("[service.'w@']\ncommand = 'x'\nready = { tcp = '%i' }\n");
    assert!(zero.instance("0", &[], None).is_err());
    refused("[service.w]\ncommand = 'x'\nready = { tcp = '80%i' }", "`tcp` is a string, expected");
    refused("[service.'w@']\ncommand = 'x'\nready = { tcp = '8080' }", "`tcp` is a string, expected");
}

#[test]
fn percent_i_outside_of_a_template_is_an_error_and_any_other_percent_is_not() {
    for key in [
        "command = 'x %i'",
        "command = ['x', '%i']",
        "command = 'x'\nenv = { A = '%i' }",
        "command = 'x'\ndirectory = '%i'",
        "command = 'x'\nuser = 'u%i'",
        "command = 'x'\ncondition = { exists = '%i' }",
        "command = 'x'\nready = { output = '%i' }",
    ] {
        let found = messages(&format!("[service.w]\n{key}"));
        assert!(
            found.len() == 1 && found[0].contains("`%i` stands for the argument of a template"),
            "{key}: {found:?}"
        );
        accepted(&format!("[service.'w@']\n{key}"));
        accepted(&format!("[service.w]\n{}", key.replace("%i", "%d%%")));
        let found = messages(&format!("[service.'w@']\n{}", key.replace("%i", "%d")));
        assert!(found.len() == 1 && found[0].contains("`%d` means nothing"), "{key}: {found:?}");
    }
    let found = messages("[service.'w@']\ncommand = 'x'\nenv_file = '%i.env'");
    assert!(found.len() == 1 && found[0].contains("before any argument is known"), "{found:?}");
    refused("[defaults]\nenv = { A = '%i' }\n", "invalid `A`: `%i` stands for");
}

#[test]
fn a_template_has_neither_instances_nor_a_start_of_its_own() {
    refused("[service.'w@']\ncommand = 'x'\ninstances = 3", "`instances` means nothing in a template");
    refused("[service.'w@']\ncommand = 'x'\nautostart = false", "`autostart` means nothing in a template");
    refused("[service.'w@mail']\ncommand = 'x'", "`w@mail` cannot name a service: a template ends in `@`");
    refused("[service.'@']\ncommand = 'x'", "`@` cannot name a service: it is empty");
    refused("[service.'mainstay@']\ncommand = 'x'", "`mainstay@` cannot name a service");
    refused("[group.'g@']\n", "`g@` cannot name a group: only a service is a template");
}

#[test]
fn a_template_or_its_instance_is_not_needed_by_name() {
    let text = |need: &str| {
        format!(
            "[service.'w@']\ncommand = 'x'\ngroup = 'g'\n[group.g]\n[service.a]\ncommand = 'x'\nneeds = ['{need}']"
        )
    };
    refused(&text("w@"), "service `a` needs `w@`, which is made while the tree runs");
    refused(&text("w@1"), "service `a` needs `w@1`, which is made while the tree runs");
    refused(&text("v@1"), "service `a` needs `v@1`, which does not exist");
    accepted(&text("@g"));
}

#[test]
fn what_an_instance_would_wait_for_ever_for_is_a_circle_before_there_is_one() {
    let found = messages(
        "[group.g]\n[service.'w@']\ncommand = 'x'\ngroup = 'g'\nneeds = ['a']\n[service.a]\ncommand = 'x'\nneeds = ['@g']",
    );
    assert!(found.len() == 1 && found[0].contains("wait for each other for ever"), "{found:?}");
}

// Counting again.

const SHOP: &str = "
[group.app]
[service.web]
command = './web'
instances = 3
group = 'app'
[service.db]
command = './db'
[service.api]
command = './api'
needs = ['web', 'db', '@app']
[service.'job@']
command = './job'
needs = ['web']
";

#[test]
fn a_plan_counted_again_is_the_plan_of_a_file_that_says_so() {
    let file = |count: u32| plan(&SHOP.replace("= 3", &format!("= {count}")));
    let same = |left: &Plan, right: &Plan| {
        assert_eq!((&left.tree, &left.programs), (&right.tree, &right.programs));
        assert_eq!((&left.declared, &left.templates), (&right.declared, &right.templates));
    };
    let three = plan(SHOP);
    for count in [2, 3, 7, 200] {
        same(&three.scaled("web", count).unwrap(), &file(count));
    }
    let none = three.scaled("web", 0).unwrap();
    assert_eq!(names(&none), ["db", "api"]);
    assert_eq!(child(&none, "api").needs, [node(&none, "db"), Node::Group(GroupId(1))]);
    same(&none.scaled("web", 3).unwrap(), &three);
    same(&none.scaled("db", 2).unwrap().scaled("web", 3).unwrap().scaled("db", 1).unwrap(), &three);
}

#[test]
fn instances_keep_their_names_when_they_are_counted_again() {
    let three = plan(SHOP);
    assert_eq!(names(&three.scaled("web", 1).unwrap()), ["web#1", "db", "api"]);
    assert_eq!(names(&three.scaled("db", 3).unwrap())[3..], ["db", "db#2", "db#3", "api"]);
    let command = Plan::for_command("p", &words(&["./x"]), Path::new("/"));
    assert_eq!(names(&command.scaled("x", 2).unwrap()), ["x", "x#2"]);
}

#[test]
fn a_count_that_cannot_be_is_refused_with_the_reason() {
    let plan = plan(&format!("{SHOP}[service.one]\ncommand = 'x'\nneeds = ['web#3']"));
    let error = |service: &str, count| plan.scaled(service, count).unwrap_err();
    assert_eq!(error("wep", 1), ScaleError::Unknown { near: Some("web".to_owned()) });
    assert_eq!(error("nothing", 1), ScaleError::Unknown { near: None });
    assert_eq!(error("web#1", 1).to_string(), "there is no such service, did you mean `web`?");
    assert_eq!(error("job@", 1), ScaleError::Template);
    assert_eq!(error("web", 10_001), ScaleError::TooMany);
    assert_eq!(error("web", 2), ScaleError::Needed { by: "one".to_owned(), instance: "web#3".to_owned() });
    assert!(plan.scaled("web", 3).is_ok());
    let crossed = plan.scaled("web", 1_000).unwrap();
    assert_eq!(crossed.scaled("api", 1_000).unwrap_err(), ScaleError::TooManyNeeds);
    let many: String =
        (0..10).map(|i| format!("[service.s{i}]\ncommand = 'x'\ninstances = 10000\n")).collect();
    let many = self::plan(&many.replacen("10000", "9999", 1));
    assert_eq!(many.scaled("s0", 10_000).map(|p| p.programs.len()), Ok(100_000));
    let full = self::plan(&format!(
        "{}[service.more]\ncommand = 'x'",
        (0..10).map(|i| format!("[service.s{i}]\ncommand = 'x'\ninstances = 9999\n")).collect::<String>()
    ));
    assert_eq!(full.scaled("more", 100).unwrap_err(), ScaleError::TooManyTogether);
}

// The rest.

#[test]
fn a_condition_is_a_path_and_an_ignore_code_needs_somebody_who_waits() {
    let plan =
        plan("[service.a]\ncommand = 'x'\ncondition = { exists = 'k' }\nignore = 0\nready = { tcp = 1 }");
    assert_eq!(plan.programs[0].condition, Some(Condition::Exists("/srv/10%/k".into())));
    assert_eq!(plan.tree.children[0].ignore, Some(0));
    assert_eq!(Program::default().condition, None);
    refused("[service.a]\ncommand = 'x'\nignore = 3", "`ignore` without `ready` is never looked at");
    refused(
        "[service.a]\ncommand = 'x'\nready = { tcp = 1 }\nignore = 256",
        "invalid `ignore`: 256 is not a whole number from 0 to 255",
    );
    refused(
        "[service.a]\ncommand = 'x'\ncondition = {}",
        "invalid `condition`: it does not say what: `exists`",
    );
    refused("[service.a]\ncommand = 'x'\ncondition = { exist = 'x' }", "unknown field `exist`");
    refused("[service.a]\ncommand = 'x'\ncondition = '/x'", "`condition` is a string, expected a table");
    refused("[service.a]\ncommand = 'x'\ncondition = { exists = '' }", "invalid `exists`: it is empty");
}

// What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod otp {
    use super::*;

    #[test]
    fn d08_words_of_the_caller_come_after_those_of_the_command_as_they_are() {
        let template = template("[service.'w@']\ncommand = ['./w', '%i']\n");
        let (_, program) = template.instance("1", &words(&["%i", "", "a b"]), None).unwrap();
        assert_eq!(program.argv, ["./w", "1", "%i", "", "a b"]);
    }
}
