//! Something for each channel of a connection, by the channel's number.
//!
//! Nearly always there is one channel, or the same is asked for again: the place that was found
//! last is tried first. Sorted, so that thousands of channels are found quickly as well.

/// See the module. Values are boxed because most connections are idle and have few.
#[derive(Debug)]
pub(crate) struct ChannelMap<T> {
    entries: Vec<(u16, Box<T>)>,
    last: usize,
}

impl<T> Default for ChannelMap<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), last: 0 }
    }
}

impl<T> ChannelMap<T> {
    #[inline]
    fn find(&mut self, number: u16) -> Option<usize> {
        if self.entries.get(self.last).is_some_and(|(n, _)| *n == number) {
            return Some(self.last);
        }
        self.last = self.entries.binary_search_by_key(&number, |(n, _)| *n).ok()?;
        Some(self.last)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u16) -> Option<&mut T> {
        let index = self.find(number)?;
        self.entries.get_mut(index).map(|(_, value)| &mut **value)
    }

    /// Puts a value in the place of an older one.
    pub(crate) fn insert(&mut self, number: u16, value: T) {
        match self.entries.binary_search_by_key(&number, |(n, _)| *n) {
            Ok(index) => *self.entries[index].1 = value,
            Err(index) => self.entries.insert(index, (number, Box::new(value))),
        }
    }

    pub(crate) fn remove(&mut self, number: u16) -> Option<Box<T>> {
        let index = self.find(number)?;
        Some(self.entries.remove(index).1)
    }

    pub(crate) fn numbers(&self) -> Vec<u16> {
        self.entries.iter().map(|(number, _)| *number).collect()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|(_, value)| &mut **value)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_finds_its_own_after_others_came_and_went() {
        let mut map = ChannelMap::default();
        for number in [7, 1, 2000, 3] {
            map.insert(number, u32::from(number));
        }
        assert_eq!(map.remove(3).as_deref(), Some(&3));
        map.insert(1, 11);
        let found = [1, 2, 3, 7, 2000, 7].map(|number| map.get_mut(number).copied());
        assert_eq!(found, [Some(11), None, None, Some(7), Some(2000), Some(7)]);
        assert_eq!(map.numbers(), [1, 7, 2000]);
    }
}
