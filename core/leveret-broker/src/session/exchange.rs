//! exchange.declare, delete, bind and unbind.

use std::sync::Arc;

use leveret_plugin::host::{Declaration, ExchangeType, Permission, ResourceKind};
use leveret_protocol::methods::{AMQPClass, exchange as methods};

use super::channel::unexpected;
use super::{Session, without_line_breaks};
use crate::arguments::{ExchangeArguments, ExchangeProperties};
use crate::binding::{BindingKey, Target};
use crate::error::{Error, Result};
use crate::exchange::{Declared, Destination, Exchange};
use crate::saved::Changes;

impl Session {
    pub(super) async fn exchange_method(
        &mut self,
        number: u16,
        method: methods::AMQPMethod,
        arguments: &[u8],
    ) -> Result<()> {
        use methods::AMQPMethod as Method;
        let (nowait, ok) = match method {
            Method::Declare(declare) => {
                self.declare_exchange(&declare, arguments).await?;
                (declare.nowait, Method::DeclareOk(methods::DeclareOk {}))
            }
            Method::Delete(delete) => {
                self.delete_exchange(&delete).await?;
                (delete.nowait, Method::DeleteOk(methods::DeleteOk {}))
            }
            Method::Bind(bind) => {
                let (to, from) = (bind.destination.as_str(), bind.source.as_str());
                self.bind_exchange(to, from, bind.routing_key.as_str(), arguments, true).await?;
                (bind.nowait, Method::BindOk(methods::BindOk {}))
            }
            Method::Unbind(unbind) => {
                let (to, from) = (unbind.destination.as_str(), unbind.source.as_str());
                self.bind_exchange(to, from, unbind.routing_key.as_str(), arguments, false).await?;
                (unbind.nowait, Method::UnbindOk(methods::UnbindOk {}))
            }
            _ => return Err(unexpected()),
        };
        if !nowait {
            self.reply(number, AMQPClass::Exchange(ok));
        }
        Ok(())
    }

    async fn declare_exchange(&mut self, declare: &methods::Declare, raw: &[u8]) -> Result<()> {
        let name = without_line_breaks(declare.exchange.as_str()).into_owned();
        if name.is_empty() {
            return Err(Error::default_exchange());
        }
        if declare.passive {
            return self.vhost.find_exchange(&name).map(drop);
        }
        let kind = declare.kind.as_str();
        let is_its = |exchange: Arc<Exchange>| *exchange.declared.kind == *kind;
        if !self.vhost.exchange(&name).is_some_and(is_its) {
            self.exchange_type(kind)?;
        }
        self.demand(ResourceKind::Exchange, &name, Permission::Configure).await?;
        if let Some(exchange) = self.vhost.exchange(&name) {
            return self.assert_same_exchange(&exchange, declare, raw);
        }
        if name.starts_with("amq.") {
            return Err(Error::reserved_name("exchange", &name));
        }
        let arguments = ExchangeArguments::parse(self.vhost.name(), &name, raw)?;
        if let Some(alternate) = &arguments.alternate_exchange {
            self.demand(ResourceKind::Exchange, &name, Permission::Read).await?;
            self.demand(ResourceKind::Exchange, alternate, Permission::Write).await?;
        }
        let changes = self.create_exchange(&name, declare, arguments)?;
        self.save(changes).await
    }

    fn exchange_type(&self, kind: &str) -> Result<&Arc<dyn ExchangeType>> {
        let code = self.broker.compatibility.unknown_exchange_type;
        self.broker.exchange_type(kind).ok_or_else(|| Error::unknown_exchange_type(code, kind))
    }

    fn assert_same_exchange(
        &self,
        exchange: &Exchange,
        declare: &methods::Declare,
        raw: &[u8],
    ) -> Result<()> {
        let current = &exchange.declared;
        let received = ExchangeProperties {
            kind: declare.kind.as_str(),
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
        };
        let existing = ExchangeProperties {
            kind: &current.kind,
            durable: current.durable,
            auto_delete: current.auto_delete,
            internal: current.internal,
        };
        existing.assert_equivalent(&current.vhost, &current.name, &received)?;
        current.arguments.assert_equivalent(&current.vhost, &current.name, raw)
    }

    fn create_exchange(
        &self,
        name: &str,
        declare: &methods::Declare,
        arguments: ExchangeArguments,
    ) -> Result<Changes> {
        let vhost = self.vhost.name();
        let structure = self.vhost.change();
        let mut changes = Changes::default();
        if let Some(exchange) = self.vhost.exchange(name) {
            self.assert_same_exchange(&exchange, declare, arguments.raw())?;
            return Ok(changes);
        }
        let kind = declare.kind.as_str();
        let behaviour = self
            .exchange_type(kind)?
            .create(&Declaration { vhost, exchange: name, arguments: arguments.raw() })
            .map_err(|failure| Error::precondition(failure.text))?;
        let declared = Declared {
            name: name.into(),
            vhost: vhost.clone(),
            kind: kind.into(),
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            arguments,
        };
        let exchange = Exchange::new(declared, Some(behaviour))
            .map_err(|failure| Error::precondition(failure.text))?;
        structure.add_exchange(exchange, &mut changes);
        Ok(changes)
    }

    async fn delete_exchange(&mut self, delete: &methods::Delete) -> Result<()> {
        let name = without_line_breaks(delete.exchange.as_str()).into_owned();
        if name.is_empty() {
            return Err(Error::default_exchange());
        }
        if name.starts_with("amq.") && self.vhost.exchange(&name).is_some() {
            return Err(Error::system_exchange(self.vhost.name(), &name));
        }
        self.demand(ResourceKind::Exchange, &name, Permission::Configure).await?;
        let mut changes = Changes::default();
        {
            let structure = self.vhost.change();
            let Some(exchange) = self.vhost.exchange(&name) else { return Ok(()) };
            if delete.if_unused && exchange.binding_count() > 0 {
                return Err(Error::exchange_in_use(self.vhost.name(), &name));
            }
            structure.delete_exchange(&exchange, &mut changes);
        }
        self.save(changes).await
    }

    async fn bind_exchange(
        &mut self,
        destination: &str,
        source: &str,
        key: &str,
        arguments: &[u8],
        bind: bool,
    ) -> Result<()> {
        let destination: Arc<str> = without_line_breaks(destination).into();
        let source: Arc<str> = without_line_breaks(source).into();
        self.demand(ResourceKind::Exchange, &destination, Permission::Write).await?;
        if destination.is_empty() || source.is_empty() {
            return Err(Error::default_exchange());
        }
        self.demand(ResourceKind::Exchange, &source, Permission::Read).await?;
        let target = Target { to_exchange: true, name: destination };
        self.change_binding(&source, &BindingKey::new(target, key, arguments), bind).await
    }

    /// Binds or unbinds, for queues and exchanges alike.
    pub(super) async fn change_binding(
        &mut self,
        source: &str,
        key: &BindingKey,
        bind: bool,
    ) -> Result<()> {
        let mut changes = Changes::default();
        {
            let structure = self.vhost.change();
            if bind {
                let source = self.vhost.find_exchange(source)?;
                let destination = self.destination(&key.target)?;
                structure.bind(&source, destination, key.clone(), &mut changes)?;
            } else if let Some(source) = self.vhost.exchange(source) {
                structure.unbind(&source, key, &mut changes)?;
            }
        }
        self.save(changes).await
    }

    fn destination(&self, target: &Target) -> Result<Destination> {
        if target.to_exchange {
            return self.vhost.find_exchange(&target.name).map(Destination::Exchange);
        }
        self.usable_queue(&target.name).map(Destination::Queue)
    }
}
