//! A transform: hides card numbers in texts when they are published, and takes away what is not
//! for consumers when they are delivered.
//!
//! Configuration: `{"max_body_bytes": 100000}`; larger texts are refused.

use leveret_plugin::host::{Failure, Match, Stage, Verdict};
use leveret_plugin::{Broker, Draft, Transform, Value};
use serde::Deserialize;

/// Digits of a card number, of which the last [`SHOWN`] stay.
const DIGITS: usize = 16;
const SHOWN: usize = 4;
/// A header that consumers do not see.
const INTERNAL: &str = "x-internal";

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    max_body_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_body_bytes: 1 << 20 }
    }
}

/// The transform.
pub struct Redact {
    config: Config,
}

impl Transform for Redact {
    const NAME: &'static str = "redact";
    const STAGES: &'static [Stage] = &[Stage::Publish, Stage::Deliver];

    fn new(config: &str, broker: &Broker) -> Result<Self, Failure> {
        let config: Config =
            serde_json::from_str(config).map_err(|error| Failure::error(error.to_string()))?;
        broker.info(&format!("texts of more than {} bytes are refused", config.max_body_bytes));
        Ok(Self { config })
    }

    fn matches(&self) -> Match {
        // Other messages cost nothing: the broker compares before it calls.
        Match { content_type: Some("text/*".to_owned()), ..Match::default() }
    }

    fn apply(&self, stage: Stage, message: &mut Draft<'_>) -> Result<Verdict, Failure> {
        if stage == Stage::Deliver {
            message.remove_header(INTERNAL)?;
            return Ok(Verdict::Pass);
        }
        let limit = self.config.max_body_bytes;
        let body = message.view().body;
        if body.len() > limit {
            return Ok(Verdict::Reject(
                406,
                format!("PRECONDITION_FAILED - text over {limit} bytes"),
            ));
        }
        let (redacted, count) = redact(body);
        if count > 0 {
            message.set_body(&redacted)?;
            message.set_header("x-redacted", Value::I64(count))?;
        }
        Ok(Verdict::Pass)
    }
}

/// The text with all card numbers hidden, and how many there were.
fn redact(text: &[u8]) -> (Vec<u8>, i64) {
    let mut redacted = text.to_vec();
    let mut count = 0;
    let mut start = 0;
    for run in text.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        if run.len() == DIGITS && run[0].is_ascii_digit() {
            redacted[start..start + DIGITS - SHOWN].fill(b'*');
            count += 1;
        }
        start += run.len();
    }
    (redacted, count)
}

#[cfg(test)]
mod tests {
    use leveret_plugin::Value;
    use leveret_plugin::host::{Stage, Verdict};
    use leveret_plugin::message::MessageMut;
    use leveret_plugin::testkit::{self, Publish, TestHost};

    use crate::PLUGIN;

    #[test]
    fn card_numbers_are_hidden_at_publish() {
        let redact = testkit::transform(&PLUGIN, "redact", "{}", &TestHost::new()).unwrap();
        let publish = Publish::key("k").body("pay 4111111111111111 by 20261231");
        let mut message = MessageMut::new(publish.message());
        assert_eq!(redact.apply(Stage::Publish, &mut message), Ok(Verdict::Pass));
        assert_eq!(&*message.body, b"pay ************1111 by 20261231");
        assert_eq!(message.view().header("x-redacted"), Some(Value::I64(1)));
    }

    #[test]
    fn other_texts_are_left_as_they_are() {
        let redact = testkit::transform(&PLUGIN, "redact", "{}", &TestHost::new()).unwrap();
        let publish = Publish::key("k").body("nothing to hide");
        let mut message = MessageMut::new(publish.message());
        assert_eq!(redact.apply(Stage::Publish, &mut message), Ok(Verdict::Pass));
        assert!(!message.is_changed());
    }

    #[test]
    fn texts_that_are_too_long_are_refused() {
        let config = r#"{"max_body_bytes": 4}"#;
        let redact = testkit::transform(&PLUGIN, "redact", config, &TestHost::new()).unwrap();
        let publish = Publish::key("k").body("12345");
        let mut message = MessageMut::new(publish.message());
        let verdict = redact.apply(Stage::Publish, &mut message);
        assert!(matches!(verdict, Ok(Verdict::Reject(406, _))));
    }

    #[test]
    fn internal_headers_are_not_delivered() {
        let redact = testkit::transform(&PLUGIN, "redact", "{}", &TestHost::new()).unwrap();
        let publish =
            Publish::key("k").header("x-internal", Value::I32(1)).header("a", Value::Void);
        let mut message = MessageMut::new(publish.message());
        assert_eq!(redact.apply(Stage::Deliver, &mut message), Ok(Verdict::Pass));
        assert_eq!(message.view().header("x-internal"), None);
        assert_eq!(message.view().header("a"), Some(Value::Void));
    }

    #[test]
    fn a_wrong_configuration_is_an_error() {
        let config = r#"{"max_body_byte": 4}"#;
        assert!(testkit::transform(&PLUGIN, "redact", config, &TestHost::new()).is_err());
    }
}
