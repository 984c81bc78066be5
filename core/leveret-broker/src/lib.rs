//! leveret-broker
