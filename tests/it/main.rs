//! Tests of the repository as a whole. They need nothing but its files.

mod manifest;
mod source;
mod tidy;
