//! A loaded script: its text, what it is, its limits, and its VM on each thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use leveret_plugin::host::{Failure, FailureKind, Host, Level, Origin};

use super::check;
use super::describe::Description;
use super::suspension::Suspension;
use super::vm::Vm;
use crate::clock::Clock;
use crate::options::Kind;

thread_local! {
    /// The VMs of this thread, by script.
    static VMS: RefCell<Vec<Option<Rc<Vm>>>> = const { RefCell::new(Vec::new()) };
}

/// What a script is made from.
pub(crate) struct ScriptSpec {
    /// Name of its file, for error texts.
    pub(crate) label: String,
    pub(crate) text: String,
    pub(crate) origin: Origin,
    pub(crate) wanted: Option<Kind>,
    pub(crate) config: serde_json::Value,
    pub(crate) limit: Duration,
    pub(crate) memory_bytes: usize,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A script that was found to be in order.
pub(crate) struct Script {
    id: usize,
    spec: ScriptSpec,
    description: Description,
    suspension: Suspension,
}

impl Script {
    /// Compiles and runs the script in VMs of its own, and tries its functions.
    pub(crate) fn load(spec: ScriptSpec) -> Result<Arc<Self>, Failure> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (mut vm, description) = Vm::new(&spec, false)?;
        if description.pure {
            vm = Vm::new(&spec, true)?.0;
        }
        check::try_out(&vm, &spec, &description)?;
        let suspension = Suspension::new(spec.label.clone(), Arc::clone(&spec.clock));
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Self { id, spec, description, suspension }))
    }

    pub(crate) fn description(&self) -> &Description {
        &self.description
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.spec.origin
    }

    /// Writes a line about the script to the broker's log.
    pub(crate) fn log(&self, level: Level, text: &str) {
        self.spec.host.log(level, &self.spec.label, text);
    }

    /// Runs `body` with this thread's VM, which is made if there is none, and thrown away if it
    /// exceeded a limit.
    #[inline]
    pub(crate) fn run<R>(
        self: &Arc<Self>,
        body: impl FnOnce(&Vm) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.suspension.check()?;
        let vm = match VMS.with_borrow(|vms| vms.get(self.id).cloned().flatten()) {
            Some(vm) => vm,
            None => self.new_vm()?,
        };
        let result = body(&vm);
        if vm.is_spoiled() {
            self.discard(&vm);
        }
        result
    }

    #[cold]
    fn new_vm(self: &Arc<Self>) -> Result<Rc<Vm>, Failure> {
        let (vm, _) = Vm::new(&self.spec, self.description.pure).inspect_err(|failure| {
            if failure.kind == FailureKind::Timeout {
                self.suspension.timed_out(0);
            }
        })?;
        vm.belong_to(Arc::downgrade(self));
        let vm = Rc::new(vm);
        VMS.with_borrow_mut(|vms| {
            vms.iter_mut().for_each(|place| {
                place.take_if(|vm| vm.is_orphan());
            });
            if vms.len() <= self.id {
                vms.resize(self.id + 1, None);
            }
            vms[self.id] = Some(Rc::clone(&vm));
        });
        Ok(vm)
    }

    #[cold]
    fn discard(&self, vm: &Vm) {
        VMS.with_borrow_mut(|vms| {
            if let Some(place) = vms.get_mut(self.id) {
                *place = None;
            }
        });
        if let Some(line) = vm.overrun_line() {
            self.suspension.timed_out(line);
        }
    }
}

/// A script that may be gone.
pub(crate) type Owner = Weak<Script>;
