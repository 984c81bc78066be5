//! Whether a transform is concerned with a message, told from its `match` without asking it.

use leveret_plugin::host::Match;
use leveret_plugin::message::Message;
use leveret_plugin::properties::Properties;

/// Whether every field that is given fits. At publish there is no queue, so that a filter that
/// names one fits nothing.
pub(crate) fn matches(filter: &Match, message: &Message<'_>) -> bool {
    name(filter.exchange.as_deref(), message.exchange)
        && name(filter.queue.as_deref(), message.queue)
        && name(filter.routing_key.as_deref(), message.routing_key)
        && name(filter.user.as_deref(), message.user)
        && properties(filter, message)
}

/// Whether a name fits a pattern: the same, or, up to a `*` at its end, the same beginning.
pub(crate) fn name(pattern: Option<&str>, name: &str) -> bool {
    pattern.is_none_or(|pattern| fits(pattern, name.as_bytes()))
}

fn fits(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix.as_bytes()),
        None => name == pattern.as_bytes(),
    }
}

/// What has to be looked up in the content header, which is done once and only if asked for.
fn properties(filter: &Match, message: &Message<'_>) -> bool {
    if filter.content_type.is_none() && filter.header.is_none() {
        return true;
    }
    let Ok(properties) = Properties::view(message.properties) else { return false };
    let content_type = filter.content_type.as_deref().is_none_or(|pattern| {
        properties.content_type().is_some_and(|value| fits(pattern, value.as_bytes()))
    });
    content_type
        && filter.header.as_deref().is_none_or(|pattern| {
            properties.headers().iter().any(|(header, _)| fits(pattern, header))
        })
}
