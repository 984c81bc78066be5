//! Tests of a plugin without a broker: everything goes through the plugin's descriptor, as it will
//! in the broker.
//!
//! ```
//! use leveret_plugin::testkit::{self, Exchange, Publish};
//! # mod acme {
//! #     use leveret_plugin::{*, collections::SlotBag, host::{Declaration, Failure}};
//! #     struct All;
//! #     impl ExchangeType for All {
//! #         const NAME: &'static str = "x-all";
//! #         type Table = SlotBag;
//! #         fn new(_: &str, _: &Declaration<'_>, _: &Broker) -> Result<Self, Failure> { Ok(All) }
//! #         fn bind(&self, t: &mut SlotBag, b: &Binding<'_>) { t.add(b.slot) }
//! #         fn unbind(&self, t: &mut SlotBag, b: &Binding<'_>) { t.remove(b.slot) }
//! #         fn route(&self, t: &SlotBag, _: &Message<'_>, s: &mut Slots<'_>) { t.each(|x| s.push(x)) }
//! #     }
//! #     leveret_plugin::plugin! { name: "acme", exchanges: [All] }
//! # }
//! let mut exchange = Exchange::declare(&acme::PLUGIN, "x-all", &[])?;
//! exchange.bind(7, "some.key", &[])?;
//! assert_eq!(exchange.route(&Publish::key("any"))?, [7]);
//! # Ok::<(), leveret_plugin::host::Failure>(())
//! ```

mod exchange;
mod host;
mod publish;

use std::sync::mpsc;
use std::time::Duration;

pub use exchange::{Arguments, Exchange};
pub use host::TestHost;
pub use publish::Publish;

use crate::abi::Descriptor;
use crate::host::{self as contract, Access, Auth, Credentials, Decision, Failure, Login};
use crate::shim::caller::{LoadedAuth, LoadedTransform, LoadedType};

/// How long the testkit waits for an answer that is pending.
const PATIENCE: Duration = Duration::from_secs(30);

/// An exchange type of a plugin as the broker sees it.
///
/// # Panics
/// If the plugin has no such type.
pub fn exchange_type(
    plugin: &'static Descriptor,
    name: &str,
    config: &str,
    host: &TestHost,
) -> Box<dyn contract::ExchangeType> {
    Box::new(LoadedType::find(plugin, name, host.lend(), config))
}

/// A transform of a plugin as the broker sees it.
///
/// # Panics
/// If the plugin has no such transform.
pub fn transform(
    plugin: &'static Descriptor,
    name: &str,
    config: &str,
    host: &TestHost,
) -> Result<Box<dyn contract::Transform>, Failure> {
    Ok(Box::new(LoadedTransform::create(plugin, name, host.lend(), config)?))
}

/// An auth plugin as the broker sees it.
///
/// # Panics
/// If the plugin has no such item.
pub fn auth(
    plugin: &'static Descriptor,
    name: &str,
    config: &str,
    host: &TestHost,
) -> Result<Box<dyn Auth>, Failure> {
    Ok(Box::new(LoadedAuth::create(plugin, name, host.lend(), config)?))
}

/// Asks for a login and waits for the answer.
///
/// # Panics
/// If no answer comes within 30 s.
pub fn authenticate(auth: &dyn Auth, credentials: &Credentials<'_>) -> Login {
    let (answer, answers) = mpsc::sync_channel(1);
    auth.authenticate(credentials, Box::new(move |login| drop(answer.send(login))));
    answers.recv_timeout(PATIENCE).expect("the plugin answers")
}

/// Asks about an access and waits for the answer.
///
/// # Panics
/// If no answer comes within 30 s.
pub fn authorise(auth: &dyn Auth, access: &Access<'_>) -> Decision {
    let (answer, answers) = mpsc::sync_channel(1);
    auth.authorise(access, Box::new(move |decision| drop(answer.send(decision))));
    answers.recv_timeout(PATIENCE).expect("the plugin answers")
}

#[cfg(test)]
mod tests;
