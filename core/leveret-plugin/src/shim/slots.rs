//! The broker's buffer of slots.

use crate::abi;
use crate::host::Slot;

/// Takes the slots that a route chooses.
#[derive(Debug)]
pub struct Slots<'a>(&'a mut abi::Slots);

impl<'a> Slots<'a> {
    /// # Safety
    /// `slots` is a buffer of the broker, lent for `'a`.
    pub(super) unsafe fn new(slots: &'a mut abi::Slots) -> Self {
        Self(slots)
    }

    /// Adds a slot.
    #[inline]
    pub fn push(&mut self, slot: Slot) {
        if self.0.len < self.0.capacity || self.grow(1) {
            // SAFETY: `len` is below `capacity`, up to which `ptr` may be written.
            unsafe { self.0.ptr.add(self.0.len as usize).write(slot) };
            self.0.len += 1;
        }
    }

    /// Adds many slots.
    pub fn extend_from_slice(&mut self, slots: &[Slot]) {
        let Ok(count) = u32::try_from(slots.len()) else { return };
        if self.0.capacity - self.0.len >= count || self.grow(count) {
            // SAFETY: there is room for `count` slots behind `len`.
            unsafe {
                let end = self.0.ptr.add(self.0.len as usize);
                end.copy_from_nonoverlapping(slots.as_ptr(), slots.len());
            }
            self.0.len += count;
        }
    }

    /// Number of slots so far.
    pub fn len(&self) -> usize {
        self.0.len as usize
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[cold]
    fn grow(&mut self, extra: u32) -> bool {
        let Some(grow) = self.0.grow else { return false };
        // SAFETY: the function belongs to this buffer.
        let grown = unsafe { grow(self.0, extra) } == abi::OK;
        grown && self.0.capacity - self.0.len >= extra
    }
}

impl Extend<Slot> for Slots<'_> {
    fn extend<I: IntoIterator<Item = Slot>>(&mut self, slots: I) {
        slots.into_iter().for_each(|slot| self.push(slot));
    }
}
