//! What takes time: logging in, opening a virtual host, and every method that may wait for the
//! disk or for an auth plugin.

use leveret_broker::auth::LoginAttempt;
use leveret_broker::{Batch, Error, Incoming, Refused, Session};
use leveret_protocol::encode;
use leveret_protocol::methods::{AMQPClass, connection};

use super::{Action, Connection};

impl Connection {
    pub(super) async fn perform(&mut self, action: Action) {
        match action {
            Action::Login { mechanism, user, password } => {
                self.log_in(mechanism, user, password).await;
            }
            Action::Open { vhost } => self.open(&vhost).await,
            Action::Method { channel, method, arguments } => {
                self.method(channel, method, &arguments).await;
            }
            Action::Ask { incoming, question } => {
                let channel = incoming.channel();
                let Some(session) = &mut self.session else { return };
                if let Err(error) = session.wait_for(*question).await {
                    return self.fail(channel, &error, (60, 40));
                }
                self.publish_again(*incoming);
            }
        }
        self.emit();
    }

    async fn log_in(&mut self, mechanism: &'static str, user: String, password: Vec<u8>) {
        let attempt = LoginAttempt {
            mechanism: mechanism.to_owned(),
            user: user.clone(),
            password,
            peer: self.ends.peer.ip().to_canonical(),
        };
        match self.shared.broker.auth().authenticate(attempt).await {
            Ok(identity) => {
                self.identity = Some(identity);
                self.machine.accept_login();
            }
            Err(reason) => {
                tracing::error!(
                    "{} login refused for user '{user}' from {}: {reason}",
                    mechanism,
                    self.ends
                );
                let now_ms = self.now_ms();
                self.machine.refuse_login(now_ms);
            }
        }
    }

    async fn open(&mut self, vhost: &str) {
        let Some(identity) = self.identity.clone() else { return };
        match self.try_open(vhost).await {
            Ok(session) => {
                let (ends, user) = (self.ends, &identity.user);
                tracing::info!(
                    "connection {ends}: user '{user}' authenticated and granted access to vhost '{vhost}'"
                );
                self.session = Some(Box::new(session));
                self.machine.open_ok();
            }
            Err(error) => self.fail(0, &error, (10, 40)),
        }
    }

    async fn try_open(&mut self, vhost: &str) -> Result<Session, Error> {
        self.shared.connections.check_limit()?;
        let notify = self.machine.consumer_cancel_notify();
        self.outbound.lock().negotiated(self.machine.frame_max(), notify);
        let identity = self.identity.clone().ok_or_else(|| Error::internal("nobody logged in"))?;
        let (broker, peer) = (self.shared.broker.clone(), self.ends.peer.ip().to_canonical());
        Session::open(broker, identity, peer, vhost, self.outbound.clone()).await
    }

    async fn method(&mut self, channel: u16, method: AMQPClass, arguments: &[u8]) {
        let ids = ids(&method);
        let Some(session) = &mut self.session else { return };
        let done = match method {
            AMQPClass::Connection(connection::AMQPMethod::UpdateSecret(update)) => {
                let done = session.update_secret(update.new_secret.as_bytes()).await;
                if done.is_ok() {
                    let ok = connection::AMQPMethod::UpdateSecretOk(connection::UpdateSecretOk {});
                    let ok = AMQPClass::Connection(ok);
                    self.outbound.send(|out| encode::method(out, 0, &ok));
                }
                done
            }
            method => session.method(channel, method, arguments).await,
        };
        if let Err(error) = done {
            self.fail(channel, &error, ids);
        }
    }

    fn publish_again(&mut self, incoming: Incoming<'static>) {
        let channel = incoming.channel();
        let Some(session) = &mut self.session else { return };
        let mut batch = Batch::take();
        let done = session.publish(&mut batch, incoming);
        session.flush(&mut batch);
        batch.give_back();
        match done {
            Ok(()) => {}
            Err(Refused::Error(error)) => self.fail(channel, &error, (60, 40)),
            Err(Refused::Ask { .. }) => {
                self.fail(channel, &Error::internal("permissions keep changing"), (60, 40));
            }
        }
    }
}

/// Class and method of a method, as a close names the one at fault.
fn ids(method: &AMQPClass) -> (u16, u16) {
    (method.get_amqp_class_id(), method.get_amqp_method_id())
}
