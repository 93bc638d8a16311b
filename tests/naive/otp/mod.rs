//! The comparisons. Their names begin with the ids of the rules that they go through.

mod every_death;
mod histories;
mod overlap;
