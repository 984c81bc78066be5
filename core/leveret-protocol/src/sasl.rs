//! The SASL mechanisms PLAIN (RFC 4616) and AMQPLAIN: responses in, name and password out.

use std::borrow::Cow;

use crate::table;

/// Name and password of a response.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials<'b> {
    /// User name; bytes that are not UTF-8 are replaced.
    pub user: Cow<'b, str>,
    /// Password as sent.
    pub password: &'b [u8],
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A mechanism that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// `NUL user NUL password`.
    Plain,
    /// Pairs of a field table: `LOGIN` and `PASSWORD`.
    AmqPlain,
}

impl Mechanism {
    /// The mechanism with this name, if `offered` (names separated by spaces) has it.
    #[must_use]
    pub fn find(name: &str, offered: &str) -> Option<Self> {
        let mechanism = match name {
            "PLAIN" => Self::Plain,
            "AMQPLAIN" => Self::AmqPlain,
            _ => return None,
        };
        offered.split(' ').any(|other| other == name).then_some(mechanism)
    }

    /// Name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::AmqPlain => "AMQPLAIN",
        }
    }

    /// Takes a response apart; `None` if it is malformed.
    #[must_use]
    pub fn credentials(self, response: &[u8]) -> Option<Credentials<'_>> {
        let (user, password) = match self {
            Self::Plain => plain(response)?,
            Self::AmqPlain => amqplain(response)?,
        };
        Some(Credentials { user: String::from_utf8_lossy(user), password })
    }
}

/// The authorisation identity in front must be empty, as RabbitMQ wants it.
fn plain(response: &[u8]) -> Option<(&[u8], &[u8])> {
    let (nul, rest) = response.split_first()?;
    let middle = rest.iter().position(|octet| *octet == 0)?;
    let (user, password) = (&rest[..middle], &rest[middle + 1..]);
    (*nul == 0 && !password.contains(&0)).then_some((user, password))
}

fn amqplain(response: &[u8]) -> Option<(&[u8], &[u8])> {
    table::check(response).ok()?;
    let text = |key| table::find(response, key).filter(|value| value.tag == b'S');
    Some((text("LOGIN")?.bytes, text("PASSWORD")?.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TableBuilder;

    fn plain_parts(response: &[u8]) -> Option<(String, Vec<u8>)> {
        let credentials = Mechanism::Plain.credentials(response)?;
        Some((credentials.user.into_owned(), credentials.password.to_vec()))
    }

    #[test]
    fn plain_gives_name_and_password() {
        assert_eq!(plain_parts(b"\0guest\0secret"), Some(("guest".into(), b"secret".to_vec())));
        assert_eq!(plain_parts(b"\0\0"), Some((String::new(), Vec::new())));
    }

    #[test]
    fn plain_refuses_an_authorisation_identity_and_missing_parts() {
        for response in [&b"x\0guest\0secret"[..], b"", b"\0", b"\0guest", b"guest", b"\0a\0b\0c"] {
            assert_eq!(plain_parts(response), None, "{response:?}");
        }
    }

    #[test]
    fn amqplain_needs_both_strings_in_any_order() {
        let both = TableBuilder::new().text("PASSWORD", "secret").text("LOGIN", "guest");
        let bytes = both.into_bytes();
        let credentials = Mechanism::AmqPlain.credentials(&bytes).expect("well formed");
        assert_eq!((&*credentials.user, credentials.password), ("guest", &b"secret"[..]));
        let one = TableBuilder::new().text("LOGIN", "guest").into_bytes();
        assert_eq!(Mechanism::AmqPlain.credentials(&one), None);
        let wrong = TableBuilder::new().text("LOGIN", "guest").boolean("PASSWORD", true);
        assert_eq!(Mechanism::AmqPlain.credentials(&wrong.into_bytes()), None);
        assert_eq!(Mechanism::AmqPlain.credentials(b"\xFFgarbage"), None);
    }

    #[test]
    fn only_offered_mechanisms_are_found() {
        assert_eq!(Mechanism::find("PLAIN", "PLAIN AMQPLAIN"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::find("PLAIN", "AMQPLAIN"), None);
        assert_eq!(Mechanism::find("BOGUS", "BOGUS"), None);
    }

    #[test]
    fn passwords_are_not_shown() {
        let credentials = Mechanism::Plain.credentials(b"\0guest\0secret").expect("well formed");
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
