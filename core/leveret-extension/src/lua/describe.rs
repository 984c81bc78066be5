//! Reads what a script says of itself in the table it returns.

use leveret_plugin::host::{Match, OnError};
use mlua::{Table, Value};

use crate::options::Kind;

/// What a script is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Exchange types: the answer depends on bindings and routing key alone.
    pub(crate) pure: bool,
    /// Transforms: the messages it is concerned with.
    pub(crate) matches: Match,
    pub(crate) on_error: OnError,
    /// Transforms: the stages it has functions for.
    pub(crate) publish: bool,
    pub(crate) deliver: bool,
    /// Auth: SASL mechanisms it understands; empty: all.
    pub(crate) mechanisms: Vec<String>,
}

/// Reads the table that a script returned.
pub(crate) fn describe(returned: &Value, wanted: Option<Kind>) -> Result<Description, String> {
    let Value::Table(table) = returned else {
        return Err(format!("must return a table, not {}", returned.type_name()));
    };
    let name = text(table, "name")?.ok_or("the table it returns has no name")?;
    let kind = kind(table, wanted)?;
    require_functions(table, kind)?;
    Ok(Description {
        name,
        kind,
        pure: truth(table, "pure")?,
        matches: matches(table)?,
        on_error: on_error(table)?,
        publish: has(table, "publish"),
        deliver: has(table, "deliver"),
        mechanisms: mechanisms(table)?,
    })
}

fn has(table: &Table, name: &str) -> bool {
    matches!(table.raw_get(name), Ok(Value::Function(_)))
}

/// The kind it says it is, else the kind its functions tell.
fn kind(table: &Table, wanted: Option<Kind>) -> Result<Kind, String> {
    let said = match text(table, "kind")? {
        Some(word) => Some(Kind::from_name(&word).ok_or(format!(
            "kind must be \"exchange\", \"transform\" or \"auth\", not \"{word}\""
        ))?),
        None => None,
    };
    let told = [
        (has(table, "route"), Kind::Exchange),
        (has(table, "publish") || has(table, "deliver"), Kind::Transform),
        (has(table, "authenticate") || has(table, "authorise"), Kind::Auth),
    ];
    let mut told = told.into_iter().filter_map(|(there, kind)| there.then_some(kind));
    let kind = match (said, told.next(), told.next()) {
        (Some(said), ..) => said,
        (None, Some(told), None) => told,
        (None, None, _) => {
            return Err("has none of route, publish, deliver, authenticate and authorise, so it \
                        is no extension"
                .into());
        }
        (None, Some(_), Some(_)) => {
            return Err("has functions of more than one kind; say kind = \"exchange\", \
                        \"transform\" or \"auth\""
                .into());
        }
    };
    match wanted {
        Some(wanted) if wanted != kind => {
            Err(format!("is of kind {} but is configured as {}", kind.name(), wanted.name()))
        }
        _ => Ok(kind),
    }
}

fn require_functions(table: &Table, kind: Kind) -> Result<(), String> {
    let missing = match kind {
        Kind::Exchange => ["route", "bind"].into_iter().find(|name| !has(table, name)),
        Kind::Transform if has(table, "publish") || has(table, "deliver") => None,
        Kind::Transform => Some("publish or deliver"),
        Kind::Auth if has(table, "authenticate") || has(table, "authorise") => None,
        Kind::Auth => Some("authenticate or authorise"),
    };
    match missing {
        Some(missing) => Err(format!("has no function {missing}, which its kind needs")),
        None => Ok(()),
    }
}

fn text(table: &Table, name: &str) -> Result<Option<String>, String> {
    match table.raw_get(name) {
        Ok(Value::Nil) => Ok(None),
        Ok(Value::String(text)) => match text.to_str() {
            Ok(text) if !text.is_empty() => Ok(Some(text.to_owned())),
            _ => Err(format!("{name} must be text that is not empty")),
        },
        other => Err(format!("{name} must be a string, not {}", type_of(&other))),
    }
}

fn truth(table: &Table, name: &str) -> Result<bool, String> {
    match table.raw_get(name) {
        Ok(Value::Nil) => Ok(false),
        Ok(Value::Boolean(truth)) => Ok(truth),
        other => Err(format!("{name} must be true or false, not {}", type_of(&other))),
    }
}

fn type_of(value: &mlua::Result<Value>) -> &'static str {
    value.as_ref().map_or("nothing", Value::type_name)
}

fn on_error(table: &Table) -> Result<OnError, String> {
    match text(table, "on_error")?.as_deref() {
        None | Some("reject") => Ok(OnError::Reject),
        Some("pass") => Ok(OnError::Pass),
        Some("drop") => Ok(OnError::Drop),
        Some(word) => {
            Err(format!("on_error must be \"reject\", \"pass\" or \"drop\", not \"{word}\""))
        }
    }
}

fn matches(table: &Table) -> Result<Match, String> {
    let mut found = Match::default();
    let Some(wanted) = sub_table(table, "match")? else { return Ok(found) };
    for pair in wanted.pairs::<String, String>() {
        let (name, value) = pair.map_err(|_| "match must hold strings by name".to_string())?;
        let field = match name.as_str() {
            "exchange" => &mut found.exchange,
            "queue" => &mut found.queue,
            "routing_key" => &mut found.routing_key,
            "content_type" => &mut found.content_type,
            "user" => &mut found.user,
            "header" => &mut found.header,
            _ => {
                return Err(format!(
                    "match.{name} is unknown; there are exchange, queue, routing_key, \
                     content_type, user and header"
                ));
            }
        };
        *field = Some(value);
    }
    Ok(found)
}

fn mechanisms(table: &Table) -> Result<Vec<String>, String> {
    let Some(list) = sub_table(table, "mechanisms")? else { return Ok(Vec::new()) };
    let names: mlua::Result<_> = list.sequence_values::<String>().collect();
    names.map_err(|_| "mechanisms must be a list of strings".into())
}

fn sub_table(table: &Table, name: &str) -> Result<Option<Table>, String> {
    match table.raw_get(name) {
        Ok(Value::Nil) => Ok(None),
        Ok(Value::Table(found)) => Ok(Some(found)),
        other => Err(format!("{name} must be a table, not {}", type_of(&other))),
    }
}
