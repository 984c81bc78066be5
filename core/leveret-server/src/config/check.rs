//! Values that have the right type but make no sense, alone or together.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use super::{Config, Permissions, User};
use crate::logging;

/// One thing that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The key, with list indices as numbers: `users.0.name`.
    pub(super) key: String,
    /// The rest of a sentence that begins with the key.
    pub(super) what: String,
}

impl Finding {
    fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into() }
    }
}

/// The first thing that is wrong, if any.
pub(super) fn check(config: &Config) -> Result<(), Finding> {
    numbers(config)?;
    compatibility(config)?;
    chains(config)?;
    vhosts(config)?;
    users(config)?;
    extensions(config)?;
    logging::parse_filter(&config.log.filter)
        .map(|_| ())
        .map_err(|why| Finding::new("log.filter", format!("cannot be understood: {why}")))
}

/// Every number that has limits, with them.
fn numbers(config: &Config) -> Result<(), Finding> {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    const HOUR_MS: u64 = 3_600_000;
    let Config { amqp, limits, store, auth, lua, .. } = config;
    let ranges: [(&str, u64, RangeInclusive<u64>); 18] = [
        ("amqp.backlog", amqp.backlog.into(), 1..=65_535),
        ("amqp.frame_max", amqp.frame_max.into(), 4 * KIB..=16 * MIB),
        ("amqp.channel_max", amqp.channel_max.into(), 1..=65_535),
        ("amqp.handshake_timeout_ms", amqp.handshake_timeout_ms, 100..=HOUR_MS),
        ("amqp.login_failure_delay_ms", amqp.login_failure_delay_ms, 0..=HOUR_MS),
        ("limits.connections", limits.connections.into(), 1..=u64::from(u32::MAX)),
        ("limits.consumers_per_channel", limits.consumers_per_channel.into(), 1..=1 << 31),
        ("limits.max_message_bytes", limits.max_message_bytes, 1..=512 * MIB),
        ("limits.outbound_buffer_bytes", limits.outbound_buffer_bytes, 16 * KIB..=64 * MIB),
        ("limits.queue_moving_bytes", limits.queue_moving_bytes, 64 * KIB..=4 * GIB),
        ("limits.routing_cache_keys", limits.routing_cache_keys.into(), 0..=1 << 20),
        ("store.segment_bytes", store.segment_bytes, MIB..=512 * MIB),
        ("store.reserve_bytes", store.reserve_bytes, 0..=GIB),
        ("store.flush_interval_ms", store.flush_interval_ms, 1..=60_000),
        ("store.flush_bytes", store.flush_bytes, 4 * KIB..=GIB),
        ("auth.timeout_ms", auth.timeout_ms, 100..=HOUR_MS),
        ("lua.timeout_ms", lua.timeout_ms, 1..=60_000),
        ("lua.memory_bytes", lua.memory_bytes, MIB..=16 * GIB),
    ];
    for (key, value, range) in ranges {
        within(key, value, &range)?;
    }
    Ok(())
}

fn within(key: &str, value: u64, range: &RangeInclusive<u64>) -> Result<(), Finding> {
    if range.contains(&value) {
        return Ok(());
    }
    let (from, to) = (range.start(), range.end());
    Err(Finding::new(key, format!("is {value}, but must be from {from} to {to}")))
}

/// Clients parse the version and fail where it is not what they expect.
fn compatibility(config: &Config) -> Result<(), Finding> {
    let code = config.compatibility.unknown_exchange_type;
    if code != 406 && code != 503 {
        let what = format!("is {code}, but must be 406 or 503");
        return Err(Finding::new("compatibility.unknown_exchange_type", what));
    }
    let version = &config.compatibility.version;
    let numbers: Vec<&str> = version.split('.').collect();
    if numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()) {
        return Ok(());
    }
    Err(Finding::new(
        "compatibility.version",
        format!("is \"{version}\", but must be three numbers such as \"3.13.7\""),
    ))
}

fn chains(config: &Config) -> Result<(), Finding> {
    if config.auth.chain.is_empty() {
        return Err(Finding::new(
            "auth.chain",
            "is empty: nobody could log in; the default is [\"internal\"]",
        ));
    }
    for (key, chain) in
        [("auth.chain", &config.auth.chain), ("transforms.chain", &config.transforms.chain)]
    {
        distinct(key, chain.iter().map(String::as_str))?;
    }
    Ok(())
}

fn vhosts(config: &Config) -> Result<(), Finding> {
    if config.vhosts.is_empty() {
        return Err(Finding::new("vhosts", "is empty: no client could connect; default [\"/\"]"));
    }
    if config.vhosts.iter().any(String::is_empty) {
        return Err(Finding::new("vhosts", "has a virtual host without a name"));
    }
    distinct("vhosts", config.vhosts.iter().map(String::as_str))
}

fn distinct<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Finding> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Finding::new(key, format!("has `{name}` twice; keep one of them")));
        }
    }
    Ok(())
}

fn users(config: &Config) -> Result<(), Finding> {
    distinct("users", config.users.iter().map(|user| user.name.as_str()))?;
    for (index, user) in config.users.iter().enumerate() {
        let key = format!("users.{index}");
        if user.name.is_empty() {
            return Err(Finding::new(format!("{key}.name"), "is empty"));
        }
        password(&key, user)?;
        permissions(&key, user, &config.vhosts)?;
    }
    Ok(())
}

fn password(key: &str, user: &User) -> Result<(), Finding> {
    match (&user.password_hash, &user.password_file) {
        (Some(_), Some(_)) => {
            Err(Finding::new(key, "has both password_hash and password_file; keep one of them"))
        }
        (None, None) => Err(Finding::new(
            key,
            format!(
                "(`{}`) has neither password_hash (made by `leveret hash-password`) nor \
                 password_file",
                user.name
            ),
        )),
        (Some(hash), None) if !hash.starts_with("$argon2id$") => Err(Finding::new(
            format!("{key}.password_hash"),
            "is no argon2id hash; `leveret hash-password` makes one",
        )),
        _ => Ok(()),
    }
}

fn permissions(key: &str, user: &User, vhosts: &[String]) -> Result<(), Finding> {
    let named = user.permissions.iter().map(|permissions| permissions.vhost.as_str());
    distinct(&format!("{key}.permissions"), named)?;
    for (index, permissions) in user.permissions.iter().enumerate() {
        if !vhosts.contains(&permissions.vhost) {
            return Err(Finding::new(
                format!("{key}.permissions.{index}.vhost"),
                format!(
                    "is \"{}\", which is no virtual host; add it to `vhosts`",
                    permissions.vhost
                ),
            ));
        }
        patterns(&format!("{key}.permissions.{index}"), permissions)?;
    }
    Ok(())
}

fn patterns(key: &str, permissions: &Permissions) -> Result<(), Finding> {
    let Permissions { configure, write, read, .. } = permissions;
    for (field, pattern) in [("configure", configure), ("write", write), ("read", read)] {
        leveret_internal::check_pattern(pattern).map_err(|why| {
            Finding::new(format!("{key}.{field}"), format!("is no regular expression: {why}"))
        })?;
    }
    Ok(())
}

fn extensions(config: &Config) -> Result<(), Finding> {
    for (index, plugin) in config.plugins.iter().enumerate() {
        let is_digest =
            |text: &str| text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit());
        if plugin.sha256.as_deref().is_some_and(|digest| !is_digest(digest)) {
            return Err(Finding::new(
                format!("plugins.{index}.sha256"),
                "must be 64 hexadecimal digits, as `sha256sum FILE` prints them",
            ));
        }
    }
    for (index, script) in config.scripts.iter().enumerate() {
        if let Some(timeout_ms) = script.timeout_ms {
            within(&format!("scripts.{index}.timeout_ms"), timeout_ms, &(1..=60_000))?;
        }
        if let Some(bytes) = script.memory_bytes {
            within(&format!("scripts.{index}.memory_bytes"), bytes, &(1 << 20..=16 << 30))?;
        }
    }
    Ok(())
}
