//! The arguments of exchange.declare.

use std::sync::Arc;

use leveret_plugin::table::Table;
use leveret_plugin::value::Value;

use super::equivalence::assert_arguments;
use crate::error::{Error, exchange_in};

const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// The validated arguments of an exchange. What its type makes of the others is the plugin's
/// affair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeArguments {
    raw: Box<[u8]>,
    /// `alternate-exchange`: takes what this one can route nowhere.
    pub alternate_exchange: Option<Arc<str>>,
}

impl ExchangeArguments {
    /// Validates the arguments of a new exchange: the pairs of a field table without the length.
    ///
    /// # Errors
    /// 406 if the alternate exchange is no string.
    pub fn parse(vhost: &str, exchange: &str, raw: &[u8]) -> Result<Self, Error> {
        let what = || exchange_in(vhost, exchange);
        let alternate_exchange = match Table::new(raw).get(ALTERNATE_EXCHANGE) {
            None => None,
            Some(Value::Text(name)) => {
                Some(std::str::from_utf8(name).map_err(|_| {
                    Error::argument_value(ALTERNATE_EXCHANGE, &what(), "invalid_utf8")
                })?)
            }
            Some(other) => {
                return Err(Error::argument_type(other.type_name(), ALTERNATE_EXCHANGE, &what()));
            }
        };
        Ok(Self { raw: raw.into(), alternate_exchange: alternate_exchange.map(Arc::from) })
    }

    /// The arguments as the client sent them.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Compares with the arguments of another declaration of the same exchange, of which only
    /// `alternate-exchange` counts.
    ///
    /// # Errors
    /// 406 if it differs.
    pub fn assert_equivalent(
        &self,
        vhost: &str,
        exchange: &str,
        received: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        assert_arguments(
            || exchange_in(vhost, exchange),
            &[ALTERNATE_EXCHANGE],
            &Table::new(&self.raw),
            &Table::new(received.as_ref()),
        )
    }
}

/// The bytes that the client sent.
impl AsRef<[u8]> for ExchangeArguments {
    fn as_ref(&self) -> &[u8] {
        &self.raw
    }
}
