//! What every direct, fanout, topic and headers exchange must do: random bindings, unbindings and
//! messages, compared with a matcher that tries everything. It knows the traits that the broker
//! calls and nothing of what is behind them, so it runs on what is built in and on what is loaded.

mod draw;
mod model;
mod steps;

use leveret_plugin::host::ExchangeType;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

pub use model::Kind;

/// Sequences that are tried with each type.
const CASES: u32 = 200;

/// Runs the whole suite on an exchange type that should behave like `kind`.
///
/// # Panics
/// If it does not; the message holds the shortest sequence of steps that shows it.
pub fn run(kind: Kind, exchange_type: &dyn ExchangeType) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let sequences = draw::steps(kind).prop_map(draw::Steps);
    let outcome = runner.run(&sequences, |steps| {
        steps::follow(kind, exchange_type, &steps.0).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{} ({}): {error}", exchange_type.name(), exchange_type.origin());
    }
    steps::many_bindings(kind, exchange_type);
    steps::routes_from_many_threads(kind, exchange_type);
}
