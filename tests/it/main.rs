//! Tests of the repository and of the broker as one process.

mod tidy;
