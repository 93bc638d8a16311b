//! What `docs/otp.md` names: each test begins with the ids of the behaviours that it shows.

mod deaths;
mod sleep;
mod starts;
