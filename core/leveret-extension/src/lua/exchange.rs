//! Exchange types in Lua.
//!
//! The state of a declared exchange lives in every VM that has routed for it; it is a function of
//! `new` and the bindings, which each VM replays from the exchange's log when it next needs them.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use leveret_plugin::host::{
    Declaration, Exchange, ExchangeType, Failure, FailureKind, Origin, Slot, Table,
};
use leveret_plugin::message::{Binding, Message};
use leveret_plugin::table::Table as FieldTable;

use super::oplog::{Op, Position};
use super::script::Script;
use super::stack::{Kind, Stack};
use super::value;
use super::vm::Vm;

/// An exchange type that is a script.
pub(crate) struct LuaExchangeType(pub(crate) Arc<Script>);

impl ExchangeType for LuaExchangeType {
    fn name(&self) -> &str {
        &self.0.description().name
    }

    fn origin(&self) -> &Origin {
        self.0.origin()
    }

    fn create(&self, declaration: &Declaration<'_>) -> Result<Arc<dyn Exchange>, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let declared = Arc::new(Declared {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            script: Arc::clone(&self.0),
            arguments: declaration.arguments.into(),
        });
        self.0.run(|vm| vm.follow(&declared, &Position::of(&[])).map(drop))?;
        Ok(Arc::new(LuaExchange(declared)))
    }
}

/// One declared exchange.
pub(crate) struct Declared {
    /// Unique in the process.
    id: u64,
    script: Arc<Script>,
    arguments: Box<[u8]>,
}

struct LuaExchange(Arc<Declared>);

impl Exchange for LuaExchange {
    fn is_pure(&self) -> bool {
        self.0.script.description().pure
    }

    fn validate(&self, binding: &Binding<'_>) -> Result<(), Failure> {
        self.0.script.run(|vm| {
            if vm.functions.validate.is_none() {
                return Ok(());
            }
            vm.validate(vm.state_for_questions(&self.0)?, binding)
        })
    }

    fn build(&self, bindings: &[Binding<'_>]) -> Result<Box<dyn Table>, Failure> {
        let position = Position::of(bindings);
        self.0.script.run(|vm| vm.follow(&self.0, &position).map(drop))?;
        Ok(Box::new(LuaTable { declared: Arc::clone(&self.0), position }))
    }
}

struct LuaTable {
    declared: Arc<Declared>,
    position: Position,
}

impl LuaTable {
    /// Moves on to `next` if this thread's VM can.
    fn advance(&mut self, next: Position) -> Result<(), Failure> {
        self.position.check()?;
        self.declared.script.run(|vm| vm.follow(&self.declared, &next).map(drop))?;
        self.position = next;
        Ok(())
    }
}

impl Table for LuaTable {
    fn fork(&self) -> Result<Box<dyn Table>, Failure> {
        let declared = Arc::clone(&self.declared);
        Ok(Box::new(Self { declared, position: self.position.clone() }))
    }

    fn bind(&mut self, binding: &Binding<'_>) -> Result<(), Failure> {
        self.advance(self.position.bound(binding))
    }

    fn unbind(&mut self, binding: &Binding<'_>) -> Result<(), Failure> {
        self.advance(self.position.unbound(binding))
    }

    fn route(&self, message: &Message<'_>, slots: &mut Vec<Slot>) -> Result<(), Failure> {
        self.position.check()?;
        self.declared.script.run(|vm| {
            let state = vm.catch_up(&self.declared, &self.position)?;
            let start = slots.len();
            let routed = vm.route(state, message, slots);
            if routed.is_err() {
                slots.truncate(start);
            }
            routed
        })
    }
}

/// The state of an exchange in one VM.
pub(crate) struct ExchangeState {
    /// What `new` returned, as kept by the VM.
    value: c_int,
    log_id: u64,
    applied: usize,
    exchange: Weak<Declared>,
}

impl Vm {
    /// The state of the exchange as of `position`; a VM that cannot follow faults the exchange.
    #[inline]
    fn catch_up(&self, declared: &Arc<Declared>, position: &Position) -> Result<c_int, Failure> {
        if let Some(state) = self.exchanges.borrow().get(&declared.id)
            && state.log_id == position.log_id()
            && state.applied == position.length()
        {
            return Ok(state.value);
        }
        self.catch_up_slowly(declared, position)
    }

    #[cold]
    fn catch_up_slowly(
        &self,
        declared: &Arc<Declared>,
        position: &Position,
    ) -> Result<c_int, Failure> {
        self.follow(declared, position).map_err(|mut failure| {
            if failure.kind == FailureKind::Timeout {
                return failure; // the next may be quicker, and too many suspend the script
            }
            failure.text =
                format!("exchange is faulted, its bindings cannot be replayed: {failure}");
            position.fail(failure.clone());
            failure
        })
    }

    /// Brings the state of the exchange to `position`, from scratch if it has gone another way.
    fn follow(&self, declared: &Arc<Declared>, position: &Position) -> Result<c_int, Failure> {
        let old = self.exchanges.borrow_mut().remove(&declared.id);
        let reusable = old.filter(|state| {
            let same = state.log_id == position.log_id() && state.applied <= position.length();
            if !same {
                self.forget(state.value);
            }
            same
        });
        let (value, applied) = match reusable {
            Some(state) => (state.value, state.applied),
            None => (self.create(&declared.arguments)?, 0),
        };
        let ops = position.since(applied);
        if self.functions.unbind.is_none() && ops.iter().any(|op| matches!(op, Op::Unbind(_))) {
            return self.rebuild(declared, position, value);
        }
        for op in ops {
            self.apply(value, &op).inspect_err(|_| self.forget(value))?;
        }
        self.remember(declared, position, value);
        Ok(value)
    }

    /// For scripts without `unbind`: starts again with what is bound now.
    fn rebuild(
        &self,
        declared: &Arc<Declared>,
        position: &Position,
        old: c_int,
    ) -> Result<c_int, Failure> {
        self.forget(old);
        let value = self.create(&declared.arguments)?;
        for op in position.live() {
            self.apply(value, &op).inspect_err(|_| self.forget(value))?;
        }
        self.remember(declared, position, value);
        Ok(value)
    }

    fn remember(&self, declared: &Arc<Declared>, position: &Position, value: c_int) {
        let state = ExchangeState {
            value,
            log_id: position.log_id(),
            applied: position.length(),
            exchange: Arc::downgrade(declared),
        };
        let mut exchanges = self.exchanges.borrow_mut();
        if exchanges.len() == exchanges.capacity() {
            exchanges.retain(|_, state| {
                let live = state.exchange.strong_count() > 0;
                if !live {
                    self.forget(state.value);
                }
                live
            });
        }
        exchanges.insert(declared.id, state);
    }

    /// A state to ask `validate` with: the one at hand, or a new one.
    fn state_for_questions(&self, declared: &Arc<Declared>) -> Result<c_int, Failure> {
        if let Some(state) = self.exchanges.borrow().get(&declared.id) {
            return Ok(state.value);
        }
        self.follow(declared, &Position::of(&[]))
    }

    fn forget(&self, value: c_int) {
        let _ = self.call(&mut |stack| {
            stack.release(value);
            Ok(())
        });
    }

    /// Calls `new`.
    pub(crate) fn create(&self, arguments: &[u8]) -> Result<c_int, Failure> {
        let mut value = 0;
        let mut refused = None;
        self.call(&mut |stack| {
            let Some(new) = self.functions.new else {
                stack.new_table(0, 0);
                value = stack.keep();
                return Ok(());
            };
            stack.push_kept(new);
            value::push_table(stack, FieldTable::new(arguments));
            stack.push_kept(self.config);
            stack.call(2, 2);
            if stack.kind(-2) == Kind::Nil {
                refused = Some(stack.text(-1).ok_or("new returned nothing")?);
                return Ok(());
            }
            stack.pop(1);
            value = stack.keep();
            Ok(())
        })?;
        refused.map_or(Ok(value), |text| Err(Failure::refused(text)))
    }

    fn validate(&self, state: c_int, binding: &Binding<'_>) -> Result<(), Failure> {
        let Some(validate) = self.functions.validate else { return Ok(()) };
        let mut refused = None;
        self.call(&mut |stack| {
            stack.push_kept(validate);
            stack.push_kept(state);
            push_binding(stack, binding);
            stack.call(2, 2);
            if !stack.boolean(-2) {
                let text = stack.text(-1);
                refused = Some(text.unwrap_or_else(|| "the exchange refuses this binding".into()));
            }
            Ok(())
        })?;
        refused.map_or(Ok(()), |text| Err(Failure::refused(text)))
    }

    pub(crate) fn apply(&self, state: c_int, op: &Op) -> Result<(), Failure> {
        let (function, binding) = match op {
            Op::Bind(binding) => (self.functions.bind, binding),
            Op::Unbind(binding) => (self.functions.unbind, binding),
        };
        let Some(function) = function else { return Ok(()) };
        self.call(&mut |stack| {
            stack.push_kept(function);
            stack.push_kept(state);
            push_binding(stack, &binding.borrow());
            stack.call(2, 0);
            Ok(())
        })
    }

    /// Calls `route` and pushes the slots it returns.
    #[inline]
    pub(crate) fn route(
        &self,
        state: c_int,
        message: &Message<'_>,
        slots: &mut Vec<Slot>,
    ) -> Result<(), Failure> {
        let route = self.functions.route.unwrap_or_default();
        let seen = self.context().kept().message;
        self.context().show(message, || {
            self.call(&mut |stack| {
                let base = stack.top();
                stack.push_kept(route);
                stack.push_kept(state);
                stack.push_bytes(message.routing_key.as_bytes());
                stack.push_kept(seen);
                stack.call(3, -1);
                collect(stack, base, slots)
            })
        })
    }
}

/// Reads slots from what is above `base`: numbers, or lists of numbers; nil is no slot.
#[inline]
fn collect(stack: &Stack, base: c_int, slots: &mut Vec<Slot>) -> Result<(), String> {
    for index in base + 1..=stack.top() {
        match stack.kind(index) {
            Kind::Number => slots.push(slot(stack.number(index))?),
            Kind::Nil => {}
            Kind::Table => collect_list(stack, index, slots)?,
            _ => {
                return Err(format!(
                    "route returned a {}; return the dest of bindings, or nothing",
                    stack.type_name(index)
                ));
            }
        }
    }
    Ok(())
}

fn collect_list(stack: &Stack, index: c_int, slots: &mut Vec<Slot>) -> Result<(), String> {
    stack.reserve(2);
    for place in 1..=stack.length(index) {
        if stack.get_at(index, place) != Kind::Number {
            let found = stack.type_name(-1);
            return Err(format!("route returned a list with a {found} in it, not dests only"));
        }
        slots.push(slot(stack.number(-1))?);
        stack.pop(1);
    }
    Ok(())
}

#[inline]
fn slot(number: f64) -> Result<Slot, String> {
    let slot = number as Slot;
    if f64::from(slot) == number {
        return Ok(slot);
    }
    Err(format!("route returned {number}, which is no dest of a binding"))
}

/// Pushes a binding as a table.
fn push_binding(stack: &Stack, binding: &Binding<'_>) {
    stack.new_table(0, 5);
    let table = stack.top();
    stack.push_bytes(binding.key.as_bytes());
    stack.set(table, c"key");
    stack.push_number(f64::from(binding.slot));
    stack.set(table, c"dest");
    stack.push_bytes(binding.destination.as_bytes());
    stack.set(table, c"name");
    stack.push_bool(binding.to_exchange);
    stack.set(table, c"to_exchange");
    value::push_table(stack, FieldTable::new(binding.arguments));
    stack.set(table, c"args");
}
