//! Text → plan: what every key means, what every mistake says, and that nothing makes it panic.

use mainstay::config::{self, Configuration, Diagnostics, Origin};
use std::path::Path;

/// Reads `text` as `/srv/shop/mainstay.toml`.
fn parse(text: &str) -> Result<Configuration, Diagnostics> {
    let origin = Origin::new(Path::new("/srv/shop/mainstay.toml"), "mainstay.toml", "shop");
    config::parse(text.as_bytes(), &origin)
}

/// The errors and the last line, as `check` shows them.
fn mistakes(text: &str) -> String {
    parse(text).expect_err("the text has a mistake").to_string()
}

#[test]
fn the_mistake_of_the_first_five_minutes_reads_as_promised() {
    let text = r#"#:schema ./mainstay.schema.json
[service.web]
command = ["./web", "--port", "8080"]
ready   = { tcp = 8080 }

[service.worker]
command = "./worker --queue mail"
needs   = ["wbe"]
restrat = { policy = "permanent", max = 5 }

[flag.new-checkout]
default = false
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
    error: unknown field `restrat`, did you mean `restart`?
     --> mainstay.toml:9:1
      |
    9 | restrat = { policy = "permanent", max = 5 }
      | ^^^^^^^ in service `worker`
    error: service `worker` needs `wbe`, which does not exist
     --> mainstay.toml:8:12
      |
    8 | needs   = ["wbe"]
      |            ^^^^^ did you mean `web`?
    2 errors, nothing was changed
    "#);
}
