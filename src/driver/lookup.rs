//! A user that only the argument of a template names (`user = "%i"`) is looked up by a helper before the child is
//! started, because a name service may take its time. All others were looked up when the plan was loaded.

use super::control::{Answer, refused};
use super::helper::Helper;
use super::new_child::New;
use super::{Driver, Source};
use crate::cli::revision::{self, Revised};
use crate::ipc::control::Refusal;
use crate::ipc::server::ConnectionId;
use crate::time::Instant;

/// A child that is started when its user is known.
pub struct Lookup {
    helper: Helper,
    user: String,
    new: New,
    asked: ConnectionId,
    /// The newest event when it was asked for.
    cursor: u64,
}

impl Driver {
    /// Starts a helper for `user`; the child follows, and the answer to whoever `asked`.
    pub(super) fn look_up(
        &mut self,
        user: String,
        new: New,
        asked: ConnectionId,
        cursor: u64,
    ) -> Result<(), Refusal> {
        // It answers when it knows: then the client may have to wait for longer than for an answer.
        if !self.server.follow(asked) {
            return Err(refused("too many clients wait already", "try again"));
        }
        let begun = self.begin_helper(revision::user_words(&user), Source::Lookup);
        let helper =
            begun.map_err(|error| refused(format!("cannot look up user `{user}`: {error}"), "try again"))?;
        self.lookups.push(Lookup { helper, user, new, asked, cursor });
        Ok(())
    }

    /// A helper has ended.
    pub(super) fn on_lookup(&mut self, pid: u32) {
        let Some(at) = self.lookups.iter().position(|lookup| lookup.helper.pid == pid) else { return };
        let Lookup { helper, user, new, asked, cursor } = self.lookups.swap_remove(at);
        let answer: Answer = match self.end_of_helper(&helper) {
            Ok(Revised::Users(users)) => self.start_known_child(&new, &users),
            _ => Err(refused(
                format!("cannot start `{}`: nobody could say in time who user `{user}` is", new.asked.name),
                format!("getent passwd {user}, then try again"),
            )),
        };
        self.say_answer(asked, answer, cursor);
    }

    /// Those whose time is over are ended.
    pub(super) fn end_lookups(&mut self, now: Instant) {
        let late = self.lookups.iter_mut().filter(|lookup| lookup.helper.deadline <= now);
        late.for_each(|lookup| lookup.helper.end());
    }

    /// All of them: nobody is started any more.
    pub(super) fn end_all_lookups(&mut self) {
        self.lookups.iter_mut().for_each(|lookup| lookup.helper.end());
    }

    /// When the first of them is ended.
    pub(super) fn next_lookup(&self) -> Option<Instant> {
        self.lookups.iter().map(|lookup| lookup.helper.deadline).min()
    }
}
