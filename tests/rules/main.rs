//! The core's rules, each as a test named by a sentence and by the ids of the behaviours that it shows.

mod one_for_one;
mod rig;
