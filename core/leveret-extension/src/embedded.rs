//! The scripts that are part of the binary.

use crate::options::ScriptSource;

const SCRIPTS: [(&str, &str); 3] = [
    ("x-lua-shard.lua", include_str!("../../../scripts/x-lua-shard.lua")),
    ("x-lua-random.lua", include_str!("../../../scripts/x-lua-random.lua")),
    ("x-lua-content.lua", include_str!("../../../scripts/x-lua-content.lua")),
];

/// The scripts that are part of the binary, to be given to `Registry::load_script`.
pub fn embedded_scripts() -> Vec<ScriptSource> {
    SCRIPTS
        .into_iter()
        .map(|(name, text)| ScriptSource::Embedded { name: name.into(), text: text.into() })
        .collect()
}
