//! What must survive on disk: the journal and its snapshots.
