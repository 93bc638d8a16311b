//! Seams: where in the pipes of its output a life begins. Nothing here waits, whoever writes and whoever reads.

use crate::ipc::seam::Seams;
use crate::supervisor::spec::Incarnation;
use crate::sys::log_pipe::{LogPipe, Stamp};
use crate::sys::shared_file;
use std::io;

/// What seams are made with.
pub struct Sewing {
    /// How they look: for the logger, and nobody else.
    pub seams: Seams,
    stamp: Stamp,
}

impl Sewing {
    /// With a token that nobody knows.
    ///
    /// # Errors
    /// No descriptors or no random numbers are left.
    pub fn new() -> io::Result<Sewing> {
        let seams = Seams::new([shared_file::random()?, shared_file::random()?]);
        Ok(Sewing { seams, stamp: Stamp::new()? })
    }

    /// Puts the seam before the words of a life that is about to begin. False: a pipe is too full for it.
    pub fn sew(&self, life: Incarnation, pipes: &[LogPipe; 2]) -> bool {
        self.stamp.put(&self.seams.before(life.0), pipes)
    }
}
