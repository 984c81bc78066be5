//! leveret-protocol
