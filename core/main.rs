//! The `leveret` binary: arguments in, exit code out.

fn main() {}
