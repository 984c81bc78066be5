//! Draws sequences of steps, from few words and values so that much of it matches.

use std::fmt;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::model::{Bound, Fields, Kind, Scalar, Sent};

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Add a binding, unless it is there.
    Bind(Bound),
    /// Remove one of the bindings.
    Unbind(Index),
    /// Build the table anew from all bindings, as at a restart.
    Rebuild,
    /// Route a message.
    Route(Sent),
}

/// Steps that show themselves one a line.
pub(crate) struct Steps(pub(crate) Vec<Step>);

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "\n  {step:?}"))
    }
}

pub(crate) fn steps(kind: Kind) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => bound(kind).prop_map(Step::Bind),
        3 => any::<Index>().prop_map(Step::Unbind),
        1 => Just(Step::Rebuild),
        6 => sent(kind).prop_map(Step::Route),
    ];
    vec(step, 1..60)
}

fn bound(kind: Kind) -> impl Strategy<Value = Bound> {
    (0..8u32, key(kind, &["*", "#", "#"]), arguments(kind))
        .prop_map(|(slot, key, arguments)| Bound { slot, key, arguments })
}

fn sent(kind: Kind) -> impl Strategy<Value = Sent> {
    (key(kind, &[]), fields()).prop_map(|(key, headers)| Sent { key, headers })
}

fn key(kind: Kind, wild: &[&'static str]) -> BoxedStrategy<String> {
    let mut alphabet = vec!["a", "b", "c", ""];
    alphabet.extend(wild);
    let length = if kind == Kind::Topic { 0..6 } else { 0..2 };
    vec(select(alphabet), length).prop_map(|words| words.join(".")).boxed()
}

fn arguments(kind: Kind) -> BoxedStrategy<Fields> {
    let mode = option::weighted(0.8, select(vec!["all", "any", "all-with-x", "any-with-x"]));
    match kind {
        Kind::Headers => (mode, fields())
            .prop_map(|(mode, mut fields)| {
                fields.extend(mode.map(|mode| ("x-match".to_owned(), Scalar::Text(mode.into()))));
                fields
            })
            .boxed(),
        _ => fields().prop_map(|fields| fields.into_iter().take(1).collect()).boxed(),
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let names = select(vec!["a", "b", "x-c"]).prop_map(str::to_owned);
    vec((names, scalar()), 0..4).prop_map(|mut fields: Fields| {
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        fields.dedup_by(|a, b| a.0 == b.0);
        fields
    })
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        (0..3i8).prop_map(Scalar::Byte),
        (0..3i32).prop_map(Scalar::Int),
        (0..3i64).prop_map(Scalar::Long),
        select(vec![0.0, 1.0, 1.5]).prop_map(Scalar::Double),
        select(vec!["", "1", "x"]).prop_map(|text| Scalar::Text(text.to_owned())),
        any::<bool>().prop_map(Scalar::Bool),
        Just(Scalar::Void),
    ]
}
