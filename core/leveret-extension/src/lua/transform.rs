//! Transforms in Lua.

use std::sync::Arc;

use leveret_plugin::host::{Failure, Match, OnError, Origin, Stage, Transform, Verdict};
use leveret_plugin::message::MessageMut;

use super::script::Script;
use super::verdict;
use super::vm::Vm;
use crate::draft::with_draft;

/// A transform that is a script.
pub(crate) struct LuaTransform {
    pub(crate) script: Arc<Script>,
    pub(crate) on_error: OnError,
}

impl Transform for LuaTransform {
    fn name(&self) -> &str {
        &self.script.description().name
    }

    fn origin(&self) -> &Origin {
        self.script.origin()
    }

    fn runs_at(&self, stage: Stage) -> bool {
        match stage {
            Stage::Publish => self.script.description().publish,
            Stage::Deliver => self.script.description().deliver,
        }
    }

    fn matches(&self) -> &Match {
        &self.script.description().matches
    }

    fn on_error(&self) -> OnError {
        self.on_error
    }

    fn apply(&self, stage: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure> {
        let script = &self.script;
        script.run(|vm| with_draft(message, |draft| transform(vm, stage, draft)))
    }
}

/// Calls `publish(msg, conn, config)` or `deliver(msg, consumer, config)`.
fn transform(vm: &Vm, stage: Stage, message: &mut MessageMut<'_>) -> Result<Verdict, Failure> {
    let function = match stage {
        Stage::Publish => vm.functions.publish,
        Stage::Deliver => vm.functions.deliver,
    };
    let Some(function) = function else { return Ok(Verdict::Pass) };
    let kept = vm.context().kept();
    let mut verdict = Verdict::Pass;
    vm.context().lend(message, || {
        vm.call(&mut |stack| {
            stack.push_kept(function);
            stack.push_kept(kept.message);
            stack.push_kept(kept.connection);
            stack.push_kept(vm.config);
            stack.call(3, 1);
            verdict = verdict::of_transform(stack, stack.top())?;
            Ok(())
        })
    })?;
    Ok(verdict)
}
