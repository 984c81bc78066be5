//! leveret-server
