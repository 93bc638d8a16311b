//! Why a flag is what it is for an id: a decision, step by step.
