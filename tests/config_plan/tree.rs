//! Who is in which group, needs whom, and by which rules; flags, and the name of it all.

use crate::read::{SECS, child, group, node, plan, service};
use mainstay::config::plan::Program;
use mainstay::config::{self, Plan};
use mainstay::flags::Value;
use mainstay::supervisor::spec::Strategy as GroupStrategy;
use mainstay::supervisor::spec::{
    Backoff, DEFAULT_LIMIT, Grace, GroupId, Intensity, Node, OTP_INTENSITY, OnLimit, Restart,
};
use std::path::Path;

#[test]
fn instances_are_numbered_from_one_when_there_are_several() {
    let plan =
        plan("[service.web]\ncommand = \"w\"\ninstances = 3\n[service.db]\ncommand = \"d\"\ninstances = 1\n");
    let names: Vec<_> = plan.programs.iter().map(|p| (p.service.as_str(), p.instance.as_str())).collect();
    assert_eq!(names, [("web", "web#1"), ("web", "web#2"), ("web", "web#3"), ("db", "db")]);
    let children: Vec<_> = plan.tree.children.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(children, ["web#1", "web#2", "web#3", "db"]);
}

#[test]
fn needs_name_services_instances_and_groups() {
    let plan = plan(
        "[service.web]\ncommand = 'w'\nneeds = ['db', 'queue#2', '@app', 'db']\n\
         [service.db]\ncommand = 'd'\ninstances = 2\n[service.queue]\ncommand = 'q'\ninstances = 2\n\
         [group.app]\n",
    );
    let app = Node::Group(GroupId(1));
    assert_eq!(
        child(&plan, "web").needs,
        [node(&plan, "db#1"), node(&plan, "db#2"), node(&plan, "queue#2"), app]
    );
}

#[test]
fn members_stand_in_the_order_of_the_file_whatever_their_names() {
    let plan = plan(
        "[service.z]\ncommand = 'z'\n[group.m]\n[service.a]\ncommand = 'a'\ngroup = 'm'\n[service.b]\ncommand = 'b'\n\
         [group.inner]\ngroup = '@m'\n[service.c]\ncommand = 'c'\ngroup = 'm'\n",
    );
    let (m, inner) = (Node::Group(GroupId(1)), Node::Group(GroupId(2)));
    assert_eq!(plan.tree.groups[0].members, [node(&plan, "z"), m, node(&plan, "b")]);
    assert_eq!(group(&plan, "m").members, [node(&plan, "a"), inner, node(&plan, "c")]);
    assert_eq!(group(&plan, "inner").parent, Some(GroupId(1)));
    assert_eq!(plan.tree.groups[0].parent, None);
}

#[test]
fn s7_a_group_has_a_window_only_when_it_declares_intensity() {
    let plan = plan(
        "strategy = 'one_for_all'\nintensity = 9\nperiod = '1m'\n[group.none]\n[group.some]\nintensity = 3\n\
         strategy = 'rest_for_one'\non_limit = 'park'\nrestart = { max = 2 }\nbackoff = 'none'\n",
    );
    let none = group(&plan, "none");
    assert_eq!((none.intensity, none.otp, none.on_limit), (None, false, OnLimit::Escalate));
    assert_eq!((none.limit, none.backoff), (Some(DEFAULT_LIMIT), Backoff::default()));
    let some = group(&plan, "some");
    assert_eq!(some.intensity, Some(Intensity { max: 3, within: SECS(5) }));
    assert_eq!((some.strategy, some.on_limit), (GroupStrategy::RestForOne, OnLimit::Park));
    assert_eq!((some.limit, some.backoff), (Some(Intensity { max: 2, within: SECS(30) }), Backoff::NONE));
    let root = &plan.tree.groups[0];
    assert_eq!(root.intensity, Some(Intensity { max: 9, within: SECS(60) }));
    assert_eq!((root.strategy, root.limit), (GroupStrategy::OneForAll, None));
}

#[test]
fn s9_otp_semantics_turn_every_convenience_off_for_all_inside() {
    let plan = plan(
        "[defaults]\nrestart = { policy = 'transient', max = 7 }\nbackoff = { base = '1s' }\n\
         [group.otp]\nsemantics = 'otp'\n[group.inner]\ngroup = 'otp'\n[group.free]\ngroup = 'otp'\nsemantics = 'mainstay'\n\
         [service.a]\ncommand = 'a'\ngroup = 'otp'\n[service.b]\ncommand = 'b'\ngroup = 'inner'\n\
         [service.c]\ncommand = 'c'\ngroup = 'free'\n[service.d]\ncommand = 'd'\n",
    );
    let (otp, inner, free) = (group(&plan, "otp"), group(&plan, "inner"), group(&plan, "free"));
    assert_eq!((otp.otp, inner.otp, free.otp), (true, true, false));
    assert_eq!(
        (otp.intensity, inner.intensity, free.intensity),
        (Some(OTP_INTENSITY), Some(OTP_INTENSITY), None)
    );
    assert_eq!(OTP_INTENSITY, Intensity { max: 1, within: SECS(5) }, "A05");
    // The group itself is a member of the root, which is not OTP's; the inner ones are members of an OTP group.
    assert_eq!((otp.limit.map(|l| l.max), inner.limit, free.limit), (Some(7), None, None));
    assert_eq!((inner.backoff, free.backoff), (Backoff::NONE, Backoff::NONE));
    for name in ["a", "b"] {
        let child = child(&plan, name);
        assert_eq!(
            (child.limit, child.backoff, child.restart),
            (None, Backoff::NONE, Restart::Transient),
            "{name}"
        );
        assert_eq!(child.grace, Grace::After(SECS(5)), "A05");
    }
    for name in ["c", "d"] {
        let child = child(&plan, name);
        assert_eq!((child.limit.map(|l| l.max), child.backoff.base), (Some(7), SECS(1)), "{name}");
    }
}

#[test]
fn an_otp_group_keeps_the_period_or_the_intensity_that_it_says() {
    let plan =
        plan("[group.a]\nsemantics = 'otp'\nperiod = '9s'\n[group.b]\nsemantics = 'otp'\nintensity = 0\n");
    assert_eq!(group(&plan, "a").intensity, Some(Intensity { max: 1, within: SECS(9) }));
    assert_eq!(group(&plan, "b").intensity, Some(Intensity { max: 0, within: SECS(5) }));
}

#[test]
fn flags_have_a_default_a_safe_value_and_a_salt() {
    let plan = plan(
        "[flag.a]\n[flag.'b.c']\ndefault = true\nsafe = true\nsalt = 's'\nowner = 'ana'\ndescription = 'd'\n\
         [flag.share]\npercent = 12.5\n[flag.none]\npercent = 0\n[flag.all]\npercent = 100.0\n[flag.least]\npercent = 0.001\n",
    );
    let values: Vec<_> =
        plan.flags.iter().map(|f| (f.name.as_str(), f.default, f.configured, f.safe)).collect();
    assert_eq!(
        values,
        [
            ("a", Value::Off, None, Value::Off),
            ("b.c", Value::On, None, Value::On),
            ("share", Value::Off, Some(Value::Share(12_500)), Value::Off),
            ("none", Value::Off, Some(Value::Off), Value::Off),
            ("all", Value::Off, Some(Value::On), Value::Off),
            ("least", Value::Off, Some(Value::Share(1)), Value::Off),
        ]
    );
    assert_eq!((plan.flags[0].salt.as_str(), plan.flags[1].salt.as_str()), ("a", "s"));
    assert_eq!(
        (plan.flags[1].owner.as_deref(), plan.flags[1].description.as_deref()),
        (Some("ana"), Some("d"))
    );
}

#[test]
fn the_project_is_named_by_the_file_or_by_its_folder() {
    assert_eq!(plan("").project, "shop");
    let plan = plan("name = 'other'");
    assert_eq!((plan.project.as_str(), plan.tree.groups[0].name.as_str()), ("other", "other"));
    let name = |text: &str| config::name_of(text.as_bytes());
    assert_eq!(name("name = 'x'").as_deref(), Some("x"));
    assert_eq!(name("name = 'x'\n[service").as_deref(), Some("x"), "a broken file still has a name");
    assert_eq!(
        (name(""), name("name = 3"), name("name = 'a b'"), name("name = 'mainstay'")),
        (None, None, None, None)
    );
}

#[test]
fn a_command_without_a_file_is_a_service_named_after_its_program() {
    let argv = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    let plan = Plan::for_command("shop-1", &argv(&["./bin/my web", "--port", "80"]), Path::new("/srv"));
    assert_eq!((plan.project.as_str(), plan.programs[0].instance.as_str()), ("shop-1", "my-web"));
    assert_eq!(plan.programs[0].argv, ["./bin/my web", "--port", "80"]);
    // It is the same tree as that of a file with only a command.
    let (child, program) = service("");
    let same = Plan::for_command("shop", &argv(&["./web"]), Path::new("/srv/shop"));
    assert_eq!(same.tree.children, [child]);
    assert_eq!(same.programs, [Program { line: 0, ..program }]);
    assert_eq!(same.tree.groups, self::plan("[service.web]\ncommand = './web'").tree.groups);
    for (program, name) in
        [("/", "main"), ("", "main"), ("mainstay", "main"), ("...", "main"), ("-x", "x"), ("a/é", "main")]
    {
        assert_eq!(
            Plan::for_command("p", &argv(&[program]), Path::new("/")).programs[0].service,
            name,
            "{program}"
        );
    }
}
