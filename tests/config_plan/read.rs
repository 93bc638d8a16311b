//! Text → plan, as the tests ask for it.

use mainstay::config::plan::Program;
use mainstay::config::{self, Configuration, Diagnostics, Origin, Plan};
use mainstay::supervisor::spec::{Child, ChildId, Group, Node};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) const MILLIS: fn(u64) -> Duration = Duration::from_millis;

pub(crate) const SECS: fn(u64) -> Duration = Duration::from_secs;

pub(crate) fn parse_bytes(text: &[u8]) -> Result<Configuration, Diagnostics> {
    let files = BTreeMap::from([
        ("/srv/shop/.env", "# a comment\nexport A='1'\r\nB = \"two words\"\n\nC=$A `x` \\n\nPORT=1"),
        ("/etc/extra.env", "B=3"),
    ]);
    let env_files = |path: &Path| {
        let text = path.to_str().and_then(|path| files.get(path));
        text.map(|text| (*text).to_owned()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(text, &Origin { env_files: &env_files, ..origin })
}

/// Reads the first as `mainstay.toml` and the others as files of `conf.d`.
pub(crate) fn several(files: &[Vec<u8>]) -> Result<Configuration, Diagnostics> {
    let part = |(at, text): (usize, &Vec<u8>)| config::Part {
        file: PathBuf::from(format!("/srv/shop/conf.d/{at}.toml")),
        shown: format!("conf.d/{at}.toml"),
        text: if text == b"?" { Err("it is gone".to_owned()) } else { Ok(text.clone()) },
    };
    let parts: Vec<_> = files.iter().enumerate().skip(1).map(part).collect();
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(&files[0], &Origin { parts: &parts, ..origin })
}

pub(crate) fn plan(text: &str) -> Plan {
    match parse_bytes(text.as_bytes()) {
        Ok(configuration) => configuration.plan,
        Err(found) => panic!("{found}"),
    }
}

/// The only service's policy and program, from the keys of its table.
pub(crate) fn service(keys: &str) -> (Child, Program) {
    let plan = plan(&format!("[service.web]\ncommand = \"./web\"\n{keys}\n"));
    assert_eq!(plan.tree.children.len(), 1);
    (plan.tree.children[0].clone(), plan.programs[0].clone())
}

pub(crate) fn group<'a>(plan: &'a Plan, name: &str) -> &'a Group {
    plan.tree.groups.iter().find(|g| g.name == name).expect("the group is there")
}

pub(crate) fn child<'a>(plan: &'a Plan, name: &str) -> &'a Child {
    plan.tree.children.iter().find(|c| c.name == name).expect("the instance is there")
}

pub(crate) fn node(plan: &Plan, name: &str) -> Node {
    let place = plan.tree.children.iter().position(|c| c.name == name).expect("the instance is there");
    Node::Child(ChildId(u32::try_from(place).unwrap()))
}
