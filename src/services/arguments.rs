//! What keeper and registry are told when they are started.

use std::ffi::OsString;
use std::path::PathBuf;

/// Which project's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The runtime directory, where what is mapped is.
    pub runtime: PathBuf,
    /// The state directory, where the truth is.
    pub state: PathBuf,
}

impl Arguments {
    /// `--runtime DIR --state DIR`, in any order.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, String> {
        let (mut runtime, mut state) = (None, None);
        let mut arguments = arguments.into_iter();
        while let Some(option) = arguments.next() {
            let place = match option.to_str() {
                Some("--runtime") => &mut runtime,
                Some("--state") => &mut state,
                _ => return Err(format!("unknown argument `{}`", option.display())),
            };
            *place = Some(PathBuf::from(
                arguments.next().ok_or_else(|| format!("`{}` needs a directory", option.display()))?,
            ));
        }
        match (runtime, state) {
            (Some(runtime), Some(state)) => Ok(Arguments { runtime, state }),
            _ => Err("both --runtime DIR and --state DIR are needed".to_owned()),
        }
    }
}
