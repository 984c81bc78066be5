//! Starts the broker with a configuration, and stops it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use leveret_broker::{Broker, Clock, Compatibility, Limits, Parts, Users};
use leveret_extension::Registry;
use leveret_plugin::table::TableBuilder;
use leveret_plugin::value::Value;
use leveret_protocol::{ReplyCode, ServerOptions};
use leveret_store::{FileOptions, FileStore, Lease, OpenError};
use tokio::signal::unix::{SignalKind, signal};

use crate::banner::{self, Banner};
use crate::config::Config;
use crate::connection::Shared;
use crate::connections::Connections;
use crate::exit::{ExitCode, StartError};
use crate::host::ServerHost;
use crate::{extensions, listener, users};

/// How long clients get to answer connection.close when the broker stops.
const GOODBYE: Duration = Duration::from_millis(2_500);

/// There is one log, of which this process has the only copy.
const SHARD: &str = "messages";

/// Runs the broker until it is told to stop.
///
/// # Errors
/// Why it could not start, or could not go on.
pub fn run(config: Config) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("leveret-worker")
        .build()
        .map_err(|error| StartError::new(ExitCode::OsError, format!("no threads: {error}")))?;
    let served = runtime.block_on(serve(config));
    runtime.shutdown_background();
    served
}

async fn serve(config: Config) -> Result<(), StartError> {
    let store = open_store(&config)?;
    let mut lease = lease(&store).await?;
    let users = Arc::new(Users::new());
    users.put_all(users::records(&config)?);
    let host = Arc::new(ServerHost { users: users.clone() });
    let registry = extensions::load(&config, host)?;
    let broker = Broker::open(Parts {
        log: store.log(),
        epoch: lease.epoch(),
        meta: store.meta(),
        definitions_damaged: store.definitions_report().is_damaged(),
        exchange_types: registry.exchange_types(),
        transforms: extensions::transform_chain(&config, &registry)?,
        auth: extensions::auth_chain(&config, &registry)?,
        auth_timeout: Duration::from_millis(config.auth.timeout_ms),
        users,
        vhosts: config.vhosts.clone(),
        clock: Clock::system(),
        limits: limits(&config),
        compatibility: compatibility(&config),
    })
    .map_err(|error| unopened(&error))?;
    let background = tokio::spawn(broker.clone().run());
    let listener =
        listener::bind((config.amqp.bind, config.amqp.port).into(), config.amqp.backlog)?;
    let amqp = listener.local_addr().map_err(|error| os_error(&error))?;
    let mut signals = Signals::new().map_err(|error| os_error(&error))?;
    say_ready(&config, amqp, &registry)?;
    let shared = Arc::new(Shared {
        options: Arc::new(options(&config)),
        outbound_buffer_bytes: config.limits.outbound_buffer_bytes as usize,
        connections: Arc::new(Connections::new(config.limits.connections as usize)),
        broker: broker.clone(),
    });
    let accepting = tokio::spawn(listener::accept(listener, shared.clone()));
    let mut failure = broker.failure();
    let failed = tokio::select! {
        () = signals.stop() => None,
        _ = failure.changed() => failure.borrow().as_ref().map(ToString::to_string),
        () = lease.lost() => Some("somebody else may write it now".to_owned()),
        () = expire_pending(&registry) => None,
    };
    accepting.abort();
    stop(&broker, &shared.connections).await;
    let _ = tokio::time::timeout(GOODBYE, background).await;
    failed.map_or(Ok(()), |why| {
        let text = format!("the log has failed, so that nothing can be confirmed: {why}");
        Err(StartError::new(ExitCode::Io, text))
    })
}

/// Refuses questions that auth plugins do not answer; never resolves.
async fn expire_pending(registry: &Registry) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        registry.expire_pending();
    }
}

async fn stop(broker: &Broker, connections: &Connections) {
    tracing::info!("stopping");
    connections.close_all("broker forced connection closure with reason 'shutdown'");
    if tokio::time::timeout(GOODBYE, connections.all_gone()).await.is_err() {
        tracing::warn!("some clients did not answer connection.close");
    }
    broker.stop();
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn open_store(config: &Config) -> Result<FileStore, StartError> {
    let dir = &config.data_dir;
    std::fs::create_dir_all(dir).map_err(|error| {
        let what = format!(
            "cannot make the data directory {}: name another one with --data-dir",
            dir.display()
        );
        StartError::uncreatable(what, &error)
    })?;
    let options = FileOptions {
        segment_bytes: config.store.segment_bytes,
        reserve_bytes: config.store.reserve_bytes,
    };
    FileStore::open(dir, options).map_err(|error| unopened(&error))
}

/// The right to write the log, held until the broker has stopped.
async fn lease(store: &FileStore) -> Result<Lease, StartError> {
    let acquired = store.ownership().acquire(SHARD, &host_name()).await;
    acquired.map_err(|error| StartError::new(ExitCode::TemporaryFailure, error.to_string()))
}

fn unopened(error: &OpenError) -> StartError {
    let code = match error {
        OpenError::Locked { .. } => ExitCode::TemporaryFailure,
        OpenError::NotADirectory { .. } => ExitCode::CannotCreate,
        OpenError::Permission { .. } => ExitCode::NoPermission,
        OpenError::NewerFormat { .. } => ExitCode::Data,
        _ => ExitCode::Io,
    };
    StartError::new(code, error.to_string())
}

fn os_error(error: &std::io::Error) -> StartError {
    StartError::new(ExitCode::OsError, error.to_string())
}

fn limits(config: &Config) -> Limits {
    Limits {
        consumers_per_channel: config.limits.consumers_per_channel,
        routing_cache_keys: config.limits.routing_cache_keys as usize,
        queue_moving_bytes: config.limits.queue_moving_bytes,
        flush_interval: Duration::from_millis(config.store.flush_interval_ms),
        flush_bytes: config.store.flush_bytes as usize,
    }
}

fn compatibility(config: &Config) -> Compatibility {
    let unknown_exchange_type = match config.compatibility.unknown_exchange_type {
        503 => ReplyCode::CommandInvalid,
        _ => ReplyCode::PreconditionFailed,
    };
    Compatibility { unknown_exchange_type }
}

fn options(config: &Config) -> ServerOptions {
    ServerOptions {
        server_properties: server_properties(config),
        mechanisms: "PLAIN AMQPLAIN".to_owned(),
        channel_max: config.amqp.channel_max,
        frame_max: config.amqp.frame_max,
        heartbeat_secs: config.amqp.heartbeat_secs,
        max_message_bytes: config.limits.max_message_bytes,
        handshake_timeout_ms: config.amqp.handshake_timeout_ms,
        silent_close_ms: config.amqp.login_failure_delay_ms,
        ..ServerOptions::default()
    }
}

/// Clients choose their behaviour by these; see `[compatibility]`.
fn server_properties(config: &Config) -> Vec<u8> {
    const CAPABILITIES: [&str; 9] = [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "consumer_priorities",
        "authentication_failure_close",
        "per_consumer_qos",
        "direct_reply_to",
    ];
    let mut capabilities = TableBuilder::new();
    CAPABILITIES.iter().for_each(|name| put(&mut capabilities, name, Value::Bool(true)));
    let compatibility = &config.compatibility;
    let cluster_name = match compatibility.cluster_name.is_empty() {
        true => format!("leveret@{}", host_name()),
        false => compatibility.cluster_name.clone(),
    };
    let mut table = TableBuilder::new();
    put(&mut table, "capabilities", Value::Table(capabilities.table()));
    for (name, text) in [
        ("cluster_name", cluster_name.as_str()),
        ("copyright", "Copyright (c) the Leveret contributors"),
        ("information", "Licensed under the Apache License, Version 2.0"),
        ("platform", concat!("Leveret ", env!("CARGO_PKG_VERSION"))),
        ("product", &compatibility.product),
        ("version", &compatibility.version),
        ("leveret_version", env!("CARGO_PKG_VERSION")),
    ] {
        put(&mut table, name, Value::Text(text.as_bytes()));
    }
    table.into_bytes()
}

fn put(table: &mut TableBuilder, name: &str, value: Value<'_>) {
    if let Err(error) = table.set(name, value) {
        tracing::error!(name, %error, "server property left out");
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Prints where everything is, and last that the broker is ready.
fn say_ready(config: &Config, amqp: SocketAddr, registry: &Registry) -> Result<(), StartError> {
    let mut warnings = config.warnings();
    warnings.extend(extensions::warnings(config, registry));
    let loaded = extensions::loaded(registry);
    let lines = extensions::lines(&loaded);
    let banner = Banner {
        amqp,
        management: None,
        data_dir: &config.data_dir,
        loaded: &lines,
        warnings: &warnings,
    };
    let ready = banner::ready_line(amqp, None);
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{banner}{ready}").and_then(|()| stdout.flush()).or_else(|error| {
        // Nobody reads it: no reason not to serve.
        tracing::debug!(%error, "start-up lines not written");
        Ok(())
    })
}
