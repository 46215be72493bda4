//! Connections as axum takes them.

use std::{future::pending, io};

use axum::{extract::connect_info::Connected, serve::IncomingStream};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;

use super::tls::Connection;

/// Connections whose handshake is done.
pub(super) struct Listener(pub(super) mpsc::Receiver<Connection>);

/// Who is at the other end.
#[derive(Clone)]
pub(super) struct Peer {
    /// The certificate that it has shown, and that one of the authorities of clients has signed.
    pub(super) certificate: Option<CertificateDer<'static>>,
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        match self.0.recv().await {
            Some(connection) => (connection, ()),
            // Nobody comes any more, and the shutdown is about to end the server.
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        let (_, session) = stream.io().get_ref();
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        Self { certificate: shown.map(|certificate| certificate.clone().into_owned()) }
    }
}
