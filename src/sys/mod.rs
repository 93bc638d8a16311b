//! The only system calls and the only unsafe code; one file per concern, safe outside.
