//! Auth scripts.

use std::net::IpAddr;
use std::sync::Arc;

use leveret_plugin::host::{
    Access, Action, Auth, Completion, Credentials, Decision, Failure, Level, Login, Origin,
    Permission, ResourceKind,
};

use super::pool::Pool;
use super::script::Script;
use super::stack::Stack;
use super::verdict;
use super::vm::Vm;

/// An auth plugin that is a script. Its functions run on the threads of a pool.
pub(crate) struct LuaAuth {
    pub(crate) script: Arc<Script>,
    pub(crate) pool: Arc<Pool>,
}

impl Auth for LuaAuth {
    fn name(&self) -> &str {
        &self.script.description().name
    }

    fn origin(&self) -> &Origin {
        self.script.origin()
    }

    fn authenticate(&self, credentials: &Credentials<'_>, done: Completion<Login>) {
        let known = &self.script.description().mechanisms;
        if !known.is_empty() && !known.iter().any(|name| name == credentials.mechanism) {
            return done(Login::Defer("not one of its mechanisms".into()));
        }
        let attempt = Attempt {
            mechanism: credentials.mechanism.into(),
            user: credentials.user.into(),
            password: credentials.password.into(),
            peer: credentials.peer,
        };
        let script = Arc::clone(&self.script);
        // A job that is dropped drops the completion, which refuses.
        self.pool.run(Box::new(move || {
            let login = script.run(|vm| authenticate(vm, &attempt));
            done(login.unwrap_or_else(|failure| Login::Deny(failed(&script, &failure))));
        }));
    }

    fn authorise(&self, access: &Access<'_>, done: Completion<Decision>) {
        let request = Request::from(access);
        let script = Arc::clone(&self.script);
        self.pool.run(Box::new(move || {
            let decision = script.run(|vm| authorise(vm, &request));
            done(decision.unwrap_or_else(|failure| Decision::Deny(failed(&script, &failure))));
        }));
    }

    fn changed(&self) {}
}

/// Logs the failure, which denies.
fn failed(script: &Script, failure: &Failure) -> String {
    script.log(Level::Warn, &format!("denied, because the script failed: {failure}"));
    failure.text.clone()
}

/// A login attempt that owns its texts.
struct Attempt {
    mechanism: Box<str>,
    user: Box<str>,
    password: Box<[u8]>,
    peer: IpAddr,
}

/// A question that owns its texts.
struct Request {
    user: Box<str>,
    vhost: Box<str>,
    peer: IpAddr,
    op: &'static str,
    kind: &'static str,
    name: Box<str>,
    routing_key: Option<Box<str>>,
}

impl From<&Access<'_>> for Request {
    fn from(access: &Access<'_>) -> Self {
        let (op, kind, name, routing_key) = match access.action {
            Action::Access => ("access", "vhost", access.vhost, None),
            Action::Resource { kind, name, permission } => {
                (word(permission), kind_word(kind), name, None)
            }
            Action::Topic { exchange, routing_key, permission } => {
                (word(permission), "topic", exchange, Some(routing_key.into()))
            }
        };
        let (user, vhost, name) = (access.user.into(), access.vhost.into(), name.into());
        Self { user, vhost, peer: access.peer, op, kind, name, routing_key }
    }
}

fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Configure => "configure",
        Permission::Write => "write",
        Permission::Read => "read",
    }
}

fn kind_word(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Exchange => "exchange",
        ResourceKind::Queue => "queue",
    }
}

/// Calls `authenticate(req, config)`.
fn authenticate(vm: &Vm, attempt: &Attempt) -> Result<Login, Failure> {
    let Some(function) = vm.functions.authenticate else {
        return Ok(Login::Defer("it does not authenticate".into()));
    };
    let mut login = Login::Deny(String::new());
    vm.call(&mut |stack| {
        stack.push_kept(function);
        let request = new_record(stack);
        set_text(stack, request, c"mechanism", attempt.mechanism.as_bytes());
        set_text(stack, request, c"user", attempt.user.as_bytes());
        set_text(stack, request, c"password", &attempt.password);
        set_text(stack, request, c"peer", attempt.peer.to_string().as_bytes());
        stack.push_kept(vm.config);
        stack.call(2, 1);
        login = verdict::of_login(stack, stack.top(), &attempt.user)?;
        Ok(())
    })?;
    Ok(login)
}

/// Calls `authorise(user, access, config)`.
fn authorise(vm: &Vm, request: &Request) -> Result<Decision, Failure> {
    let Some(function) = vm.functions.authorise else {
        return Ok(Decision::Defer("it does not authorise".into()));
    };
    let mut decision = Decision::Deny(String::new());
    vm.call(&mut |stack| {
        stack.push_kept(function);
        let user = new_record(stack);
        set_text(stack, user, c"name", request.user.as_bytes());
        let access = new_record(stack);
        set_text(stack, access, c"op", request.op.as_bytes());
        set_text(stack, access, c"kind", request.kind.as_bytes());
        set_text(stack, access, c"name", request.name.as_bytes());
        set_text(stack, access, c"vhost", request.vhost.as_bytes());
        set_text(stack, access, c"peer", request.peer.to_string().as_bytes());
        if let Some(key) = &request.routing_key {
            set_text(stack, access, c"routing_key", key.as_bytes());
        }
        stack.push_kept(vm.config);
        stack.call(3, 1);
        decision = verdict::of_access(stack, stack.top())?;
        Ok(())
    })?;
    Ok(decision)
}

fn new_record(stack: &Stack) -> std::ffi::c_int {
    stack.new_table(0, 8);
    stack.top()
}

fn set_text(stack: &Stack, table: std::ffi::c_int, name: &std::ffi::CStr, text: &[u8]) {
    stack.push_bytes(text);
    stack.set(table, name);
}
