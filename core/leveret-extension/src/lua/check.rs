//! Tries a pure exchange type at load, so that most impurities show before the first message.

use leveret_plugin::host::Failure;
use leveret_plugin::message::{Binding, Message};

use super::describe::Description;
use super::oplog::{Op, OwnedBinding};
use super::script::ScriptSpec;
use super::vm::Vm;

/// Word that stands for every text in the trial.
const WORD: &str = "leveret.check";

/// Fails if the script shows that it is not pure although it says so. A script that cannot cope
/// with the trial's made-up bindings is left to the checks at run time.
pub(crate) fn try_out(
    vm: &Vm,
    spec: &ScriptSpec,
    description: &Description,
) -> Result<(), Failure> {
    if !description.pure {
        return Ok(());
    }
    match trial(vm) {
        Err(failure) if vm.context().impure.get() => Err(failure),
        Ok((first, second)) if first != second => Err(Failure::error(format!(
            "{}: declares pure = true but routes the same key to {first:?} and then to {second:?}",
            spec.label
        ))),
        _ => Ok(()),
    }
}

/// Binds two destinations and routes one key twice.
fn trial(vm: &Vm) -> Result<(Vec<u32>, Vec<u32>), Failure> {
    let state = vm.create(&[])?;
    for slot in [0, 1] {
        let destination = format!("{WORD}.{slot}");
        let binding = Binding {
            slot,
            key: WORD,
            arguments: &[],
            destination: &destination,
            to_exchange: false,
        };
        vm.apply(state, &Op::Bind(OwnedBinding::from(&binding).into()))?;
    }
    let message = Message {
        vhost: WORD,
        exchange: WORD,
        routing_key: WORD,
        properties: &[0, 0],
        body: &[],
        mandatory: false,
        redelivered: false,
        user: WORD,
        peer: None,
        queue: "",
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    vm.route(state, &message, &mut first)?;
    vm.route(state, &message, &mut second)?;
    Ok((first, second))
}
