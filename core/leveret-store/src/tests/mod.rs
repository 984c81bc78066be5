//! What every engine must do: one suite, run over each of them.

mod engines;
mod log_model;
mod meta_model;
