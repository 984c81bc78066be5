//! leveret-store
