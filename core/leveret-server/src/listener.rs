//! The AMQP listener: accepts connections and gives each a task.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::connection::{Connection, Ends, Shared};
use crate::exit::{ExitCode, StartError};

/// How long to wait when a connection could not be accepted, for example for want of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Listens on `address`.
///
/// # Errors
/// When the port is taken, or may not be.
pub(crate) fn bind(address: SocketAddr, backlog: u32) -> Result<TcpListener, StartError> {
    try_bind(address, backlog).map_err(|error| {
        let (code, what) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                ExitCode::Unavailable,
                "another program listens there: stop it, or choose another port with --amqp-port",
            ),
            io::ErrorKind::PermissionDenied => {
                (ExitCode::NoPermission, "ports below 1024 need a privilege: choose another one")
            }
            io::ErrorKind::AddrNotAvailable => {
                (ExitCode::Unavailable, "this machine has no such address: see --bind")
            }
            _ => (ExitCode::OsError, "the system refused"),
        };
        StartError::new(code, format!("cannot listen on {address}: {what} ({error})"))
    })
}

fn try_bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// Accepts connections until it is dropped.
pub(crate) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => start(stream, peer, &shared),
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn start(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) {
    // Small frames leave at once: they have been collected already.
    let nodelay = stream.set_nodelay(true);
    match nodelay.and_then(|()| stream.local_addr()) {
        Ok(local) => {
            let connection = Connection::new(shared.clone(), stream, Ends { peer, local });
            tokio::spawn(connection.run());
        }
        Err(error) => tracing::debug!(%peer, %error, "gone before it was served"),
    }
}
