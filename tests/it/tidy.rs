//! The shape of the repository.
