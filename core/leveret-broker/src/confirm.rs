//! Publisher confirms of one channel: which publishes are settled, and the fewest acks that say so.
//!
//! The prefix of settled publishes is acknowledged with one `multiple` ack; what is settled beyond
//! the oldest open one is acknowledged singly. Clients accept both orders.

use std::collections::VecDeque;

use leveret_protocol::encode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Settled,
    Told,
}

/// The confirms of one channel. Publishes are numbered from 1.
#[derive(Debug)]
pub(crate) struct Confirms {
    /// Number of the publish that `states[0]` stands for.
    oldest: u64,
    states: VecDeque<State>,
    /// Settled since the last [`Self::write`].
    fresh: Vec<u64>,
}

impl Confirms {
    pub(crate) fn new() -> Self {
        Self { oldest: 1, states: VecDeque::new(), fresh: Vec::new() }
    }

    /// Publishes up to `tag` are under way.
    pub(crate) fn issue(&mut self, tag: u64) {
        let wanted = (tag + 1).saturating_sub(self.oldest) as usize;
        if wanted > self.states.len() {
            self.states.resize(wanted, State::Open);
        }
    }

    /// How many publishes are neither acked nor nacked.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.states.iter().filter(|s| **s == State::Open).count()
    }

    /// The publish is safe, or needs not be.
    pub(crate) fn settle(&mut self, tag: u64) {
        if self.mark(tag, State::Settled) {
            self.fresh.push(tag);
        }
    }

    /// The publish was refused; the nack is written at once.
    pub(crate) fn refuse(&mut self, tag: u64, channel: u16, out: &mut Vec<u8>) {
        if self.mark(tag, State::Told) {
            encode::nack(out, channel, tag, false);
        }
    }

    fn mark(&mut self, tag: u64, state: State) -> bool {
        let index = tag.wrapping_sub(self.oldest) as usize;
        match self.states.get_mut(index) {
            Some(open) if *open == State::Open => {
                *open = state;
                true
            }
            _ => false,
        }
    }

    /// Writes the acks for all that was settled since the last call.
    pub(crate) fn write(&mut self, channel: u16, out: &mut Vec<u8>) {
        if self.fresh.is_empty() {
            self.drop_told();
            return;
        }
        let first = self.oldest;
        let mut last = 0;
        while let Some(state) = self.states.front().copied() {
            if state == State::Open {
                break;
            }
            if state == State::Settled {
                last = self.oldest;
            }
            self.states.pop_front();
            self.oldest += 1;
        }
        if last != 0 {
            encode::ack(out, channel, last, last > first);
        }
        self.write_gaps(channel, out);
    }

    fn write_gaps(&mut self, channel: u16, out: &mut Vec<u8>) {
        for tag in std::mem::take(&mut self.fresh) {
            if tag >= self.oldest {
                self.states[(tag - self.oldest) as usize] = State::Told;
                encode::ack(out, channel, tag, false);
            }
        }
    }

    fn drop_told(&mut self) {
        while self.states.front() == Some(&State::Told) {
            self.states.pop_front();
            self.oldest += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks(out: &[u8]) -> Vec<(u64, bool)> {
        // frame: type, channel(2), size(4), class(2), method(2), tag(8), bits, end = 21 bytes
        out.chunks(21)
            .map(|f| (u64::from_be_bytes(f[11..19].try_into().unwrap()), f[19] & 1 == 1))
            .collect()
    }

    #[test]
    fn a_settled_prefix_is_one_multiple_ack() {
        let mut confirms = Confirms::new();
        confirms.issue(5);
        (1..=5).for_each(|tag| confirms.settle(tag));
        let mut out = Vec::new();
        confirms.write(1, &mut out);
        assert_eq!(acks(&out), [(5, true)]);
        assert_eq!(confirms.open(), 0);
    }

    #[test]
    fn beyond_a_gap_acks_are_single_and_come_once() {
        let mut confirms = Confirms::new();
        confirms.issue(4);
        confirms.settle(3);
        let mut out = Vec::new();
        confirms.write(1, &mut out);
        assert_eq!(acks(&out), [(3, false)]);
        out.clear();
        confirms.settle(1);
        confirms.settle(2);
        confirms.write(1, &mut out);
        assert_eq!(acks(&out), [(2, true)]);
        assert_eq!(confirms.open(), 1);
    }

    #[test]
    fn settling_twice_or_something_unknown_says_nothing() {
        let mut confirms = Confirms::new();
        confirms.issue(1);
        let mut out = Vec::new();
        confirms.settle(1);
        confirms.write(1, &mut out);
        out.clear();
        confirms.settle(1);
        confirms.settle(7);
        confirms.write(1, &mut out);
        assert!(out.is_empty());
    }
}
