//! Who a service runs as: names and numbers from the user database, looked up before the fork.

use nix::unistd::{Group, User, getgrouplist};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A user as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The main group's number.
    pub gid: u32,
    /// The supplementary groups, the main one included.
    pub groups: Vec<u32>,
    /// Its name, when it has an entry.
    pub name: Option<String>,
    /// Its home, when it has an entry.
    pub home: Option<CString>,
    /// Its shell, when it has an entry.
    pub shell: Option<CString>,
}

/// Why an [`Identity`] was not found.
#[derive(Clone, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub enum UnknownIdentity {
    /// No such user; the error number of the database, or 0.
    User(String, i32),
    /// No such group; the error number of the database, or 0.
    Group(String, i32),
}

/// Looks up `name`, `name:group`, or numbers. A number needs no entry in the database; then its group
/// is the one of the same number unless one is named.
///
/// # Errors
/// There is no such user or group, or the database cannot be read.
pub fn identity(text: &str) -> Result<Identity, UnknownIdentity> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let entry = find_user(user)?;
    let number = user.parse::<u32>().ok();
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid.as_raw(),
        (None, Some(number)) => number,
        (None, None) => return Err(UnknownIdentity::User(user.to_owned(), 0)),
    };
    let gid = match group {
        Some(group) => find_group(group)?,
        None => entry.as_ref().map_or(uid, |entry| entry.gid.as_raw()),
    };
    let groups = match &entry {
        Some(entry) => supplementary(&entry.name, gid)?,
        None => vec![gid],
    };
    Ok(Identity {
        uid,
        gid,
        groups,
        name: entry.as_ref().map(|entry| entry.name.clone()),
        home: entry.as_ref().and_then(|entry| c_string(&entry.dir)),
        shell: entry.as_ref().and_then(|entry| c_string(&entry.shell)),
    })
}

/// It came from the C library, so there is no NUL byte in it.
fn c_string(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

/// Users that were looked up where waiting for a name service holds up nobody: each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Users(BTreeMap<String, Result<Identity, UnknownIdentity>>);

impl Users {
    /// Looks them up, as [`identity`] does.
    pub fn look_up<'a>(names: impl IntoIterator<Item = &'a str>) -> Users {
        let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
        Users(names.into_iter().map(|name| (name.to_owned(), identity(name))).collect())
    }

    /// What was found of this name; `None`: it was not looked up, and is not now.
    pub fn get(&self, name: &str) -> Option<&Result<Identity, UnknownIdentity>> {
        self.0.get(name)
    }
}

/// The name of a user; `None`: it has no entry, or the database cannot be read.
pub fn name(uid: u32) -> Option<String> {
    User::from_uid(uid.into()).ok().flatten().map(|user| user.name)
}

/// A name first, as `chown(1)` does: a user may be called `1000`.
fn find_user(text: &str) -> Result<Option<User>, UnknownIdentity> {
    let failed = |error: nix::Error| UnknownIdentity::User(text.to_owned(), error as i32);
    // A number that no user can have: the kernel takes it for "do not change".
    if text.is_empty() || text == u32::MAX.to_string() {
        return Err(UnknownIdentity::User(text.to_owned(), 0));
    }
    if let Some(user) = User::from_name(text).map_err(failed)? {
        return Ok(Some(user));
    }
    match text.parse::<u32>() {
        Ok(number) => User::from_uid(number.into()).map_err(failed),
        Err(_) => Ok(None),
    }
}

fn find_group(text: &str) -> Result<u32, UnknownIdentity> {
    let unknown = |errno| UnknownIdentity::Group(text.to_owned(), errno);
    if text.is_empty() || text == u32::MAX.to_string() {
        return Err(unknown(0));
    }
    match Group::from_name(text).map_err(|error| unknown(error as i32))? {
        Some(group) => Ok(group.gid.as_raw()),
        None => text.parse().map_err(|_| unknown(0)),
    }
}

fn supplementary(name: &str, gid: u32) -> Result<Vec<u32>, UnknownIdentity> {
    let failed = |errno| UnknownIdentity::User(name.to_owned(), errno);
    let user = CString::new(name).map_err(|_| failed(0))?;
    let groups = getgrouplist(&user, gid.into()).map_err(|error| failed(error as i32))?;
    Ok(groups.into_iter().map(nix::unistd::Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_number() {
        for text in ["root", "0", "root:0", "0:root"] {
            let root = identity(text).unwrap();
            assert_eq!((root.uid, root.gid), (0, 0), "{text}");
            assert!(root.groups.contains(&0), "{text}");
        }
    }

    #[test]
    fn users_are_looked_up_once_and_nobody_else_is() {
        let users = Users::look_up(["root", "nobody-of-that-name", "root"]);
        assert_eq!(users.get("root"), Some(&identity("root")));
        let nobody = UnknownIdentity::User("nobody-of-that-name".to_owned(), 0);
        assert_eq!(users.get("nobody-of-that-name"), Some(&Err(nobody)));
        assert_eq!(users.get("0"), None, "the same user by another name was not asked for");
    }

    #[test]
    fn a_number_needs_no_entry() {
        let stranger = identity("3999999999").unwrap();
        assert_eq!((stranger.uid, stranger.gid), (3_999_999_999, 3_999_999_999));
        assert_eq!(stranger.groups, [3_999_999_999]);
        assert_eq!(identity("3999999999:0").unwrap().gid, 0);
    }

    #[test]
    fn who_does_not_exist_is_named() {
        let user = |text: &str| Err(UnknownIdentity::User(text.to_owned(), 0));
        let group = |text: &str| Err(UnknownIdentity::Group(text.to_owned(), 0));
        assert_eq!(identity("nobody-of-that-name"), user("nobody-of-that-name"));
        assert_eq!(identity(""), user(""));
        assert_eq!(identity("-1"), user("-1"));
        assert_eq!(identity("4294967295"), user("4294967295"), "the kernel reads it as `no change`");
        assert_eq!(identity("4294967296"), user("4294967296"));
        assert_eq!(identity("root:no-such-group"), group("no-such-group"));
        assert_eq!(identity("root:"), group(""));
        assert_eq!(identity("root:4294967295"), group("4294967295"));
    }
}
