//! leveret-extension
