//! The names of keys, and which of them somebody may have meant.

use figment::value::Value;

use super::layers::defaults;

/// All keys that have a default, in the form `section.key`.
pub(super) fn all() -> Vec<String> {
    let mut keys = Vec::new();
    collect("", &defaults(), &mut keys);
    keys
}

fn collect(prefix: &str, value: &Value, keys: &mut Vec<String>) {
    let Some(section) = value.as_dict() else {
        keys.push(prefix.to_owned());
        return;
    };
    for (name, value) in section {
        collect(&join(prefix, name), value, keys);
    }
}

/// A key inside a section, which is empty at the top.
pub(super) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The key that was probably meant by `unknown`, found in `section` whose keys are `siblings`.
pub(super) fn suggest(section: &str, unknown: &str, siblings: &[&str]) -> Option<String> {
    let near = |name: &str| strsim::damerau_levenshtein(unknown, name);
    let allowed = 1 + unknown.len() / 4;
    let sibling = siblings.iter().map(|name| (near(name), *name)).min();
    if let Some((distance, name)) = sibling
        && distance <= allowed
    {
        return Some(join(section, name));
    }
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned).unwrap_or_default();
    let elsewhere = all().into_iter().map(|key| (near(&last(&key)), key)).min();
    elsewhere.filter(|(distance, _)| *distance <= 1).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_found_among_its_neighbours() {
        assert_eq!(suggest("amqp", "prot", &["bind", "port"]).as_deref(), Some("amqp.port"));
        assert_eq!(suggest("", "ampq", &["amqp", "log"]).as_deref(), Some("amqp"));
        assert_eq!(
            suggest("amqp", "heartbeat_sec", &["port", "heartbeat_secs"]).as_deref(),
            Some("amqp.heartbeat_secs")
        );
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found_in_its_own() {
        assert_eq!(suggest("", "frame_max", &["amqp", "log"]).as_deref(), Some("amqp.frame_max"));
    }

    #[test]
    fn a_key_like_no_other_suggests_nothing() {
        assert_eq!(suggest("amqp", "colour_of_hare", &["bind", "port"]), None);
    }
}
