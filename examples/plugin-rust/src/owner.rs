//! An auth plugin: devices log in with tokens from the configuration, and each may use what begins
//! with its own name and a dot, in every virtual host. Of everybody else it knows nothing and
//! defers to the next plugin.
//!
//! Configuration: `{"tokens": {"meter-17": "secret"}}`

use std::collections::HashMap;

use leveret_plugin::host::{Access, Action, Credentials, Decision, Failure, Login};
use leveret_plugin::{Auth, Broker, Later, Outcome};
use serde::Deserialize;

/// The auth plugin.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Owner {
    /// Tokens by the name of the device.
    tokens: HashMap<String, String>,
}

impl Auth for Owner {
    const NAME: &'static str = "owner";

    fn new(config: &str, _: &Broker) -> Result<Self, Failure> {
        serde_json::from_str(config).map_err(|error| Failure::error(error.to_string()))
    }

    // A plugin that must ask somebody else would call `later.begin()`, hand the completion to its
    // own thread and return the outcome: nothing here may block.
    fn authenticate(&self, credentials: &Credentials<'_>, _: Later<'_, Login>) -> Outcome<Login> {
        let login = match self.tokens.get(credentials.user) {
            None => Login::Defer("no device of this name".to_owned()),
            Some(token) if same(token.as_bytes(), credentials.password) => {
                Login::Allow { user: credentials.user.to_owned(), tags: vec!["device".to_owned()] }
            }
            Some(_) => Login::Deny("wrong token".to_owned()),
        };
        login.into()
    }

    fn authorise(&self, access: &Access<'_>, _: Later<'_, Decision>) -> Outcome<Decision> {
        if !self.tokens.contains_key(access.user) {
            return Decision::Defer("no device of this name".to_owned()).into();
        }
        let is_own =
            |name: &str| name.strip_prefix(access.user).is_some_and(|rest| rest.starts_with('.'));
        let decision = match access.action {
            Action::Access | Action::Topic { .. } => Decision::Allow,
            Action::Resource { name, .. } if is_own(name) || name == "amq.default" => {
                Decision::Allow
            }
            Action::Resource { .. } => Decision::Deny("it belongs to somebody else".to_owned()),
        };
        decision.into()
    }
}

/// Compares in a time that does not tell where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use leveret_plugin::host::{self, Access, Action, Decision, Login, Permission, ResourceKind};
    use leveret_plugin::testkit::{self, TestHost};

    use crate::PLUGIN;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn owner() -> Box<dyn host::Auth> {
        let config = r#"{"tokens": {"meter-17": "secret"}}"#;
        testkit::auth(&PLUGIN, "owner", config, &TestHost::new()).unwrap()
    }

    fn login(user: &str, password: &[u8]) -> Login {
        let credentials = host::Credentials { mechanism: "PLAIN", user, password, peer: PEER };
        testkit::authenticate(&*owner(), &credentials)
    }

    fn configure(user: &str, name: &str) -> Decision {
        let kind = ResourceKind::Queue;
        let action = Action::Resource { kind, name, permission: Permission::Configure };
        testkit::authorise(&*owner(), &Access { user, vhost: "/", peer: PEER, action })
    }

    #[test]
    fn a_device_logs_in_with_its_token() {
        let expected =
            Login::Allow { user: "meter-17".to_owned(), tags: vec!["device".to_owned()] };
        assert_eq!(login("meter-17", b"secret"), expected);
        assert!(matches!(login("meter-17", b"guess"), Login::Deny(_)));
        assert!(matches!(login("guest", b"guest"), Login::Defer(_)));
    }

    #[test]
    fn a_device_may_use_what_has_its_name() {
        assert_eq!(configure("meter-17", "meter-17.readings"), Decision::Allow);
        assert!(matches!(configure("meter-17", "meter-171.readings"), Decision::Deny(_)));
        assert!(matches!(configure("guest", "meter-17.readings"), Decision::Defer(_)));
    }
}
