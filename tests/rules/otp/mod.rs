//! What OTP's supervisor does, on the core: each test begins with the ids of the behaviours that it shows.
//! `docs/otp.md` is the table; `tests/otp_table.rs` holds it against the names here.

mod a_starting;
mod b_policies;
mod c_children;
mod d_pools;
mod d_pools_ending;
mod deviations;
mod e_restart_types;
mod f_one_for_one;
mod g_one_for_all;
mod h_rest_for_one;
mod i_intensity;
mod j_loops;
mod k_shutdown;
mod l_trees;
mod m_changes;
mod m_significant;
mod n_reload;
mod o_cost;
mod p_reports;
mod q_processes;

use crate::rig::{Plant, Rig, exit, otp, plain};
use mainstay::supervisor::spec::AutoShutdown::{All, Any, Never};
use mainstay::supervisor::spec::Restart::{Permanent, Temporary, Transient};
use mainstay::supervisor::spec::Strategy::{OneForAll, OneForOne, RestForOne};
use mainstay::supervisor::spec::{
    AutoShutdown, Child, ChildId, Grace, Group, GroupId, Incarnation, Intensity, Node, OnLimit, Pool,
    Restart, Strategy,
};
use mainstay::supervisor::{Cause, Change, Command, Event, Flaw, Refused, Revision, State, flaws};
use mainstay::time::{Duration, Instant};

/// OTP's `normal`.
const NORMAL: Cause = Cause::Code(0);
/// OTP's `shutdown`: the own stop signal.
const SHUTDOWN: Cause = Cause::Signal(15, false);
/// OTP's `{shutdown, Term}`: a code that [`of`] declares clean.
const CLEAN: Cause = Cause::Code(3);
/// Any other reason.
const ERROR: Cause = Cause::Code(1);
/// OTP's `killed`.
const KILLED: Cause = Cause::Signal(9, false);

/// A child of this restart type, for which code 3 is clean.
fn of(restart: Restart) -> impl Fn(&mut Child) {
    move |child| (child.restart, child.clean) = (restart, vec![3])
}

/// A significant child of this restart type.
fn significant(restart: Restart) -> impl Fn(&mut Child) {
    move |child| (child.restart, child.significant) = (restart, true)
}

fn within(grace: Grace) -> impl Fn(&mut Child) {
    move |child| child.grace = grace
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
