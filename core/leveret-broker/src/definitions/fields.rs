//! Fields of a stored value by name.

use leveret_plugin::table::{Array, Table, TableBuilder};
use leveret_plugin::value::Value;

use super::DefinitionError;

/// Adds a field.
pub(super) fn write(fields: &mut TableBuilder, name: &'static str, value: Value<'_>) {
    fields.set(name, value).expect("the names of our fields are short");
}

/// The fields that a value has.
pub(super) struct Fields<'a>(Table<'a>);

impl<'a> Fields<'a> {
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, DefinitionError> {
        Table::parse(value).map(Self).map_err(DefinitionError::Value)
    }

    /// Fields that were checked with the value they are nested in.
    pub(super) fn new(table: Table<'a>) -> Self {
        Self(table)
    }

    pub(super) fn text(&self, name: &'static str) -> Result<&'a str, DefinitionError> {
        self.get(name, |value| value.as_str())
    }

    pub(super) fn flag(&self, name: &'static str) -> Result<bool, DefinitionError> {
        self.get(name, |value| value.as_bool())
    }

    /// A number that does not fit into a signed one is kept as a timestamp, the only field type
    /// without a sign that is wide enough.
    pub(super) fn unsigned(&self, name: &'static str) -> Result<u64, DefinitionError> {
        self.get(name, |value| match value {
            Value::Timestamp(number) => Some(number),
            other => other.as_i64().and_then(|number| number.try_into().ok()),
        })
    }

    pub(super) fn table(&self, name: &'static str) -> Result<Table<'a>, DefinitionError> {
        self.get(name, |value| match value {
            Value::Table(table) => Some(table),
            _ => None,
        })
    }

    pub(super) fn array(&self, name: &'static str) -> Result<Array<'a>, DefinitionError> {
        self.get(name, |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    fn get<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<T, DefinitionError> {
        self.0.get(name).and_then(read).ok_or(DefinitionError::Field(name))
    }
}
