//! Persistent collections for routing tables: a clone costs nothing, a change copies a path, and
//! whatever was cloned before stays as it was.

mod bag;
mod hamt;
mod map;
mod positions;
mod trie;

pub use bag::SlotBag;
pub use map::PMap;
pub use trie::TopicTrie;
