//! Authentication and authorisation by the users and permissions that the broker keeps: it looks
//! records up and decides; it stores none.

mod logins;
mod password;
mod pattern;
mod permissions;
mod worker;

use leveret_plugin::host::{Access, Credentials, Decision, Failure, Login, UserRecord};
use leveret_plugin::{Auth, Broker, Later, Outcome};

use logins::Logins;
use permissions::Permissions;
use worker::{Job, Worker};

pub use password::hash_password;
pub use pattern::check_pattern;

/// Marks an account whose password is public: the rest of the text is the password.
const WELL_KNOWN: &str = "well-known:";

/// The auth plugin `internal`.
pub struct Internal {
    broker: Broker,
    logins: Logins,
    permissions: Permissions,
    worker: Worker,
}

impl Auth for Internal {
    const NAME: &'static str = "internal";
    const LASTING: bool = true;

    fn new(_: &str, broker: &Broker) -> Result<Self, Failure> {
        Ok(Self {
            broker: *broker,
            logins: Logins::new(),
            permissions: Permissions::new(),
            worker: Worker::new(),
        })
    }

    fn authenticate(
        &self,
        credentials: &Credentials<'_>,
        later: Later<'_, Login>,
    ) -> Outcome<Login> {
        if !Self::MECHANISMS.split(' ').any(|known| known == credentials.mechanism) {
            return Login::Defer(format!("no mechanism {}", credentials.mechanism)).into();
        }
        let user = match self.broker.user(credentials.user) {
            None => return self.pretend(credentials, later, Login::Defer("no such user".into())),
            Some(user) => user,
        };
        if user.loopback_only && !credentials.peer.to_canonical().is_loopback() {
            let refusal = Login::Deny("may log in from loopback addresses only".into());
            return self.pretend(credentials, later, refusal);
        }
        if user.password_hash.is_empty() {
            let refusal = Login::Defer("has no password here".into());
            return self.pretend(credentials, later, refusal);
        }
        self.check(credentials, user, later)
    }

    fn authorise(&self, access: &Access<'_>, _: Later<'_, Decision>) -> Outcome<Decision> {
        self.permissions.decide(access, &self.broker).into()
    }

    fn changed(&self) {
        self.logins.forget();
        self.permissions.forget();
    }
}

impl Internal {
    /// Compares the password with the record's.
    fn check(
        &self,
        credentials: &Credentials<'_>,
        user: UserRecord,
        later: Later<'_, Login>,
    ) -> Outcome<Login> {
        if let Some(expected) = user.password_hash.strip_prefix(WELL_KNOWN) {
            let right = password::equal(expected.as_bytes(), credentials.password);
            return if right { allow(user) } else { wrong() }.into();
        }
        let login = self.logins.key(&user.name, credentials.password, &user.password_hash);
        if self.logins.is_verified(&login) {
            return allow(user).into();
        }
        let logins = self.logins.clone();
        let hash = user.password_hash.clone();
        self.hash(credentials.password, Some(hash), later, move |verified| match verified {
            Ok(true) => {
                logins.remember(login);
                allow(user)
            }
            Ok(false) => wrong(),
            Err(reason) => Login::Deny(reason),
        })
    }

    /// Says no after as much work as a wrong password costs, so that the time tells nothing.
    fn pretend(
        &self,
        credentials: &Credentials<'_>,
        later: Later<'_, Login>,
        refusal: Login,
    ) -> Outcome<Login> {
        self.hash(credentials.password, None, later, move |_| refusal)
    }

    /// Hashes on the worker and answers then.
    fn hash(
        &self,
        password: &[u8],
        hash: Option<String>,
        later: Later<'_, Login>,
        answer: impl FnOnce(Result<bool, String>) -> Login + Send + 'static,
    ) -> Outcome<Login> {
        let (outcome, completion) = later.begin();
        let done = Box::new(move |verified| completion.complete(answer(verified)));
        let refused = self.worker.submit(Job { password: password.to_vec(), hash, done });
        if let Err(job) = refused {
            self.broker.warn("too many logins wait for their passwords to be hashed");
            (job.done)(Err("too many logins at once".to_owned()));
        }
        outcome
    }
}

fn allow(user: UserRecord) -> Login {
    Login::Allow { user: user.name, tags: user.tags }
}

fn wrong() -> Login {
    Login::Deny("wrong password".into())
}

leveret_plugin::plugin! { name: "internal", auths: [Internal] }

#[cfg(test)]
mod tests;
