//! The destinations of an exchange by slot: a vector that is cheap to copy and change one place of,
//! because every bind publishes a new version of it.

use std::sync::Arc;

use leveret_plugin::host::Slot;

const CHUNK: usize = 256;

/// A persistent vector of `T`, in chunks that versions share.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    chunks: Vec<Arc<Vec<Option<T>>>>,
    len: usize,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Slots<T> {
    /// What stands at `slot`; nothing if that was never given out or was taken away.
    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        let slot = slot as usize;
        self.chunks.get(slot / CHUNK)?.get(slot % CHUNK)?.as_ref()
    }

    /// Gives out the next slot.
    pub(crate) fn push(&mut self, value: T) -> Slot {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::new(Vec::with_capacity(if self.len == 0 { 4 } else { CHUNK })));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(Some(value));
        }
        self.len += 1;
        (self.len - 1) as Slot
    }

    /// Takes away what stands at `slot`; the number is not given out again.
    pub(crate) fn clear(&mut self, slot: Slot) {
        let slot = slot as usize;
        let chunk = self.chunks.get_mut(slot / CHUNK).map(Arc::make_mut);
        if let Some(place) = chunk.and_then(|chunk| chunk.get_mut(slot % CHUNK)) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_do_not_see_each_others_changes() {
        let mut old = Slots::default();
        (0..1000).for_each(|n| assert_eq!(old.push(n), n));
        let mut new = old.clone();
        new.clear(300);
        assert_eq!(new.push(7), 1000);
        assert_eq!((old.get(300), new.get(300)), (Some(&300), None));
        assert_eq!((old.get(1000), new.get(1000)), (None, Some(&7)));
    }
}
