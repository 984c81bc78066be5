//! What the owner of a connection tells it: answers to events, and actions of its own.

use super::{Connection, Phase};
use crate::channel::ChannelState;
use crate::encode;
use crate::method::{CHANNEL_CLOSE, CHANNEL_CLOSE_OK, CONNECTION_CLOSE_OK};
use crate::reply_code::{Reply, ReplyCode};

impl Connection {
    /// Answers [`Event::Login`](crate::Event::Login): the user may go on.
    pub fn accept_login(&mut self) {
        if self.phase == Phase::LoginWait {
            self.send_tune();
            self.phase = Phase::Tuning;
        }
    }

    /// Answers [`Event::Login`](crate::Event::Login): refused. The client gets 403 if it can take it, else silence.
    pub fn refuse_login(&mut self, now_ms: u64) {
        if self.phase != Phase::LoginWait {
            return;
        }
        self.now_ms = now_ms;
        if !self.capabilities.authentication_failure_close {
            return self.finish(true, self.options.silent_close_ms);
        }
        let text = format!(
            "Login was refused using authentication mechanism {}. \
             For details see the broker logfile.",
            self.mechanism.name()
        );
        self.send_close(&Reply::new(ReplyCode::AccessRefused, (0, 0), text));
        self.phase = Phase::Closing;
        self.deadline_ms = now_ms.saturating_add(self.options.silent_close_ms);
    }

    /// Answers [`Event::Open`](crate::Event::Open): the virtual host may be used.
    pub fn open_ok(&mut self) {
        if self.phase == Phase::OpenWait {
            encode::write_method(&mut self.output, 0, (10, 41), |out| out.push(0));
            self.phase = Phase::Running;
        }
    }

    /// Answers [`Event::ChannelOpen`](crate::Event::ChannelOpen).
    pub fn channel_opened(&mut self, channel: u16) {
        if self.channels.get_mut(channel).is_some() {
            let no_id = |out: &mut Vec<u8>| out.extend_from_slice(&[0; 4]);
            encode::write_method(&mut self.output, channel, (20, 11), no_id);
        }
    }

    /// Answers [`Event::ChannelClose`](crate::Event::ChannelClose), after everything of the channel was released. The number
    /// is free from here on.
    pub fn channel_closed(&mut self, channel: u16) {
        let releasing = self.channels.get_mut(channel).map(|channel| channel.state);
        if releasing == Some(ChannelState::Releasing) {
            self.channels.remove(channel);
            encode::write_method(&mut self.output, channel, CHANNEL_CLOSE_OK, |_| ());
        }
    }

    /// Closes a channel with an error whose scope is the channel: channel.close is queued, and what
    /// comes on the channel is ignored until the client's close-ok. Release what it held.
    pub fn close_channel(&mut self, channel: u16, reply: &Reply) {
        let Some(found) = self.channels.get_mut(channel) else { return };
        if found.state != ChannelState::Open {
            return;
        }
        found.state = ChannelState::Closing;
        if let Some(assembly) = &mut found.assembly {
            assembly.forsake();
        }
        super::ending::write_close(&mut self.output, channel, CHANNEL_CLOSE, reply);
    }

    /// Closes the connection: connection.close is queued. Release everything; [`Event::Closed`](crate::Event::Closed)
    /// follows when the client answered or did not within min(heartbeat, 30 s).
    pub fn close(&mut self, reply: &Reply, now_ms: u64) {
        self.now_ms = now_ms;
        match self.phase {
            Phase::Running | Phase::Opening | Phase::OpenWait => {
                self.send_close(reply);
                self.enter_closing();
            }
            Phase::CloseWait => self.close_ok(),
            Phase::Header | Phase::Starting | Phase::LoginWait | Phase::Tuning => {
                self.finish(true, 0);
            }
            _ => {}
        }
    }

    /// Answers [`Event::CloseRequested`](crate::Event::CloseRequested), after everything was released.
    pub fn close_ok(&mut self) {
        if self.phase == Phase::CloseWait {
            encode::write_method(&mut self.output, 0, CONNECTION_CLOSE_OK, |_| ());
            self.finish(false, self.closing_timeout_ms());
        }
    }

    /// Stops the check that the peer is alive, because an alarm keeps us from reading; or resumes
    /// it.
    pub fn pause_liveness(&mut self, paused: bool, now_ms: u64) {
        self.now_ms = now_ms;
        self.heartbeat.pause(paused, now_ms);
    }
}
