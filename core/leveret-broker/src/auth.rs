//! Asking auth plugins: the first that allows or denies decides, all deferring is a no, and so is
//! no answer in time. Knows no password, no permission and no socket.

mod cache;
mod request;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use leveret_plugin::host::{Access, Auth, Completion, Decision, Login};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, timeout_at};

pub use cache::PermissionCache;
pub use request::{AccessRequest, ActionRequest, LoginAttempt};

/// How long the whole chain may take where nothing else is configured.
pub const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(10);

/// Auth plugins in the order in which they are asked; cheap to clone.
#[derive(Clone)]
pub struct AuthChain {
    plugins: Arc<[Arc<dyn Auth>]>,
    time_limit: Duration,
}

/// Somebody who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the user, as the plugin has it.
    pub user: Arc<str>,
    /// Tags such as `administrator`.
    pub tags: Vec<String>,
    /// Name of the plugin that allowed it.
    pub backend: String,
}

impl Identity {
    /// Whether the user has this tag.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}

/// Why nobody logged in: for the log, never for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// An answer that is there already, or one to wait for.
pub enum Answer {
    /// Every plugin that was asked answered at once.
    Now(bool),
    /// A plugin thinks about it.
    Later(Pin<Box<dyn Future<Output = bool> + Send>>),
}

impl AuthChain {
    /// Asks `plugins` in this order, and gives the whole chain `time_limit` for an answer. Without
    /// plugins everything is refused.
    pub fn new(plugins: Vec<Arc<dyn Auth>>, time_limit: Duration) -> Self {
        Self { plugins: plugins.into(), time_limit }
    }

    /// The plugins, in the order in which they are asked.
    pub fn plugins(&self) -> &[Arc<dyn Auth>] {
        &self.plugins
    }

    /// Whether the plugin that let somebody in has nothing to check in a new secret.
    pub(crate) fn is_lasting(&self, identity: &Identity) -> bool {
        let is_its = |plugin: &&Arc<dyn Auth>| plugin.name() == identity.backend;
        self.plugins.iter().find(is_its).is_some_and(|plugin| plugin.is_lasting())
    }

    /// Tells every plugin to forget what it remembered of users and permissions.
    pub fn changed(&self) {
        self.plugins.iter().for_each(|plugin| plugin.changed());
    }

    /// Checks a login. The refusal says which backend refused, and why.
    pub fn authenticate(
        &self,
        attempt: LoginAttempt,
    ) -> impl Future<Output = Result<Identity, Refusal>> + Send + use<> {
        let chain = self.clone();
        async move { chain.log_in(&attempt).await.map_err(Refusal) }
    }

    async fn log_in(&self, attempt: &LoginAttempt) -> Result<Identity, String> {
        let deadline = Instant::now() + self.time_limit;
        let mut deferred = Deferred::default();
        for plugin in self.plugins.iter() {
            let answer = ask(|done| plugin.authenticate(&attempt.as_credentials(), done));
            match self.wait(plugin.name(), answer, deadline).await? {
                Login::Allow { user, tags } => return Ok(identity(attempt, plugin, user, tags)),
                Login::Deny(reason) => return Err(denied(plugin.name(), &reason)),
                Login::Defer(reason) => deferred.add(plugin.name(), &reason),
            }
        }
        Err(deferred.into_text())
    }

    /// Checks one access.
    pub async fn authorise(&self, access: AccessRequest) -> bool {
        match self.try_authorise(&access.as_access()) {
            Answer::Now(allowed) => allowed,
            Answer::Later(answer) => answer.await,
        }
    }

    /// Checks one access without waiting, if the plugins answer without waiting.
    pub fn try_authorise(&self, access: &Access<'_>) -> Answer {
        let mut deferred = Deferred::default();
        for (index, plugin) in self.plugins.iter().enumerate() {
            let mut answer = ask(|done| plugin.authorise(access, done));
            let verdict = match answer.try_recv() {
                Ok(decision) => judge(plugin.name(), decision, &mut deferred),
                Err(TryRecvError::Closed) => Some(Err(no_answer(plugin.name()))),
                Err(TryRecvError::Empty) => {
                    let rest = Rest { chain: self.clone(), index, deferred, access: access.into() };
                    return Answer::Later(Box::pin(rest.finish(answer)));
                }
            };
            if let Some(verdict) = verdict {
                return Answer::Now(conclude(access, &verdict));
            }
        }
        Answer::Now(conclude(access, &Err(deferred.into_text())))
    }

    async fn wait<T>(
        &self,
        backend: &str,
        answer: oneshot::Receiver<T>,
        deadline: Instant,
    ) -> Result<T, String> {
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(no_answer(backend)),
            Err(_) => {
                Err(format!("backend '{backend}' did not answer within {:?}", self.time_limit))
            }
        }
    }
}

impl fmt::Debug for AuthChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.plugins.iter().map(|plugin| plugin.name()).collect();
        f.debug_struct("AuthChain").field("plugins", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(allowed) => f.debug_tuple("Now").field(allowed).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// A question to the chain that one plugin has not answered yet.
struct Rest {
    chain: AuthChain,
    access: AccessRequest,
    /// The plugin that is thinking.
    index: usize,
    deferred: Deferred,
}

impl Rest {
    async fn finish(mut self, answer: oneshot::Receiver<Decision>) -> bool {
        let verdict = self.verdict(answer).await;
        conclude(&self.access.as_access(), &verdict)
    }

    async fn verdict(&mut self, mut answer: oneshot::Receiver<Decision>) -> Verdict {
        let deadline = Instant::now() + self.chain.time_limit;
        loop {
            let name = self.chain.plugins[self.index].name();
            let decision = self.chain.wait(name, answer, deadline).await?;
            if let Some(verdict) = judge(name, decision, &mut self.deferred) {
                return verdict;
            }
            self.index += 1;
            let Some(next) = self.chain.plugins.get(self.index) else {
                return Err(std::mem::take(&mut self.deferred).into_text());
            };
            answer = ask(|done| next.authorise(&self.access.as_access(), done));
        }
    }
}

/// Allowed, or the reason for the log why not.
type Verdict = Result<(), String>;

/// Puts a question. The receiver is closed if the plugin drops its completion.
fn ask<T: Send + 'static>(question: impl FnOnce(Completion<T>)) -> oneshot::Receiver<T> {
    let (sender, answer) = oneshot::channel();
    // Nobody listens any more when the connection is gone.
    question(Box::new(move |answer| drop(sender.send(answer))));
    answer
}

/// What a decision means for the chain; `None` if the next plugin is to be asked.
fn judge(backend: &str, decision: Decision, deferred: &mut Deferred) -> Option<Verdict> {
    match decision {
        Decision::Allow => Some(Ok(())),
        Decision::Deny(reason) => Some(Err(denied(backend, &reason))),
        Decision::Defer(reason) => {
            deferred.add(backend, &reason);
            None
        }
    }
}

/// Writes the reason of a refusal to the log: the client is not told.
fn conclude(access: &Access<'_>, verdict: &Verdict) -> bool {
    if let Err(reason) = verdict {
        let Access { user, vhost, peer, action } = access;
        tracing::info!(user, vhost, %peer, ?action, "access refused: {reason}");
    }
    verdict.is_ok()
}

fn identity(
    attempt: &LoginAttempt,
    plugin: &Arc<dyn Auth>,
    user: String,
    tags: Vec<String>,
) -> Identity {
    let user = if user.is_empty() { attempt.user.as_str().into() } else { user.into() };
    Identity { user, tags, backend: plugin.name().to_owned() }
}

fn denied(backend: &str, reason: &str) -> String {
    format!("backend '{backend}' refused: {reason}")
}

fn no_answer(backend: &str) -> String {
    format!("backend '{backend}' gave no answer")
}

/// Who deferred, and why.
#[derive(Default)]
struct Deferred(Vec<String>);

impl Deferred {
    fn add(&mut self, backend: &str, reason: &str) {
        self.0.push(format!("'{backend}': {reason}"));
    }

    fn into_text(self) -> String {
        if self.0.is_empty() {
            return "there is no auth plugin".to_owned();
        }
        format!("every backend deferred: {}", self.0.join("; "))
    }
}

#[cfg(test)]
mod tests;
