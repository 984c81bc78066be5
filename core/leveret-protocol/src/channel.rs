//! The channels of one connection, as far as the protocol needs to know them.

use crate::assembly::Assembly;

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelState {
    /// In use.
    Open,
    /// We sent channel.close and wait for close-ok; everything else is ignored.
    Closing,
    /// The client sent channel.close; the upper layer still holds things.
    Releasing,
}

/// One channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) number: u16,
    pub(crate) state: ChannelState,
    /// The message that is coming in pieces, if one is.
    pub(crate) assembly: Option<Box<Assembly>>,
}

/// The channels in ascending order of their numbers. Most connections have one.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    list: Vec<Channel>,
    /// Where the last one was found: the next frame is likely for it, too.
    last: usize,
}

impl Channels {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u16) -> Option<&mut Channel> {
        if self.list.get(self.last).is_none_or(|channel| channel.number != number) {
            self.last = self.find(number).ok()?;
        }
        self.list.get_mut(self.last)
    }

    /// Whether whole messages of this channel may be taken in one step.
    #[inline]
    pub(crate) fn is_idle(&mut self, number: u16) -> bool {
        self.get_mut(number).is_some_and(|channel| {
            channel.state == ChannelState::Open && channel.assembly.is_none()
        })
    }

    /// Adds a channel that is not there yet.
    pub(crate) fn open(&mut self, number: u16) {
        if let Err(at) = self.find(number) {
            let channel = Channel { number, state: ChannelState::Open, assembly: None };
            self.list.reserve_exact(usize::from(self.list.is_empty()));
            self.list.insert(at, channel);
        }
    }

    /// Forgets a channel; says whether it was there.
    pub(crate) fn remove(&mut self, number: u16) -> bool {
        let found = self.find(number);
        found.map(|at| self.list.remove(at)).is_ok()
    }

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        self.list = Vec::new();
    }

    fn find(&self, number: u16) -> Result<usize, usize> {
        self.list.binary_search_by_key(&number, |channel| channel.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_found_whatever_order_they_came_in() {
        let mut channels = Channels::default();
        for number in [7, 3, 9, 1] {
            channels.open(number);
        }
        assert_eq!(channels.len(), 4);
        for number in [9, 1, 3, 7, 7] {
            assert_eq!(channels.get_mut(number).map(|channel| channel.number), Some(number));
        }
        assert!(channels.remove(3));
        assert!(!channels.remove(3));
        assert!(channels.get_mut(3).is_none());
        assert!(channels.is_idle(9));
    }
}
