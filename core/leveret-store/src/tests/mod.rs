//! What every engine must do: one suite, run over each of them.

pub(crate) mod disks;
mod engines;
mod format;
mod log_model;
mod meta_model;
