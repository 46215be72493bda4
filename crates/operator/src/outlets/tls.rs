//! Connections to the outlets.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier, sign::SingleCertAndKey};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    identity::{Identity, certificates},
    trouble::Trouble,
};

/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at the same time. One more takes the place of the oldest: whoever connects and says nothing keeps
/// nobody out.
const AT_ONCE: usize = 64;
/// Pause after a connection could not be accepted: what lacks, file descriptors mostly, comes back in time only.
const RESPITE: Duration = Duration::from_millis(100);

/// What connections are made by; `None`: the outlet is closed, and lets nobody in.
pub(super) type Terms = Option<Arc<ServerConfig>>;

/// A connection whose handshake is done.
pub(super) type Connection = TlsStream<TcpStream>;

/// The terms of `identity`. A client that shows a certificate has to have it from `clients`, in PEM.
pub(super) fn terms(
    identity: &Identity,
    clients: Option<&str>,
    protocol: &[u8],
) -> Result<Arc<ServerConfig>, Trouble> {
    let unusable = |error: &dyn std::fmt::Display| {
        Trouble::Refused(format!("the authority of clients cannot be used: {error}"))
    };
    let builder = match clients {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(bundle) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(bundle) {
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build();
            ServerConfig::builder().with_client_cert_verifier(verifier.map_err(|error| unusable(&error))?)
        }
    };
    let certificate = identity.certified_key().ok_or_else(|| {
        Trouble::Refused("the certificate of the operator cannot be used: delete its Secret".to_owned())
    })?;
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// Lets clients in until `shutdown`, each on the terms of its time: a new certificate needs no restart.
pub(super) fn accept(
    listener: TcpListener,
    terms: watch::Receiver<Terms>,
    shutdown: CancellationToken,
) -> mpsc::Receiver<Connection> {
    let (accepted, connections) = mpsc::channel(AT_ONCE);
    tokio::spawn(async move {
        let mut handshakes = JoinSet::new();
        let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = accepted.closed() => return,
                Some(_) = handshakes.join_next() => {}
                incoming = listener.accept() => match incoming {
                    Ok((stream, client)) => {
                        if let Some(terms) = terms.borrow().clone() {
                            oldest_first.retain(|handshake| !handshake.is_finished());
                            if oldest_first.len() >= AT_ONCE
                                && let Some(oldest) = oldest_first.pop_front()
                            {
                                oldest.abort();
                            }
                            let greeting = greet(stream, client, terms, accepted.clone());
                            oldest_first.push_back(handshakes.spawn(greeting));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "A connection was not accepted");
                        tokio::time::sleep(RESPITE).await;
                    }
                },
            }
        }
    });
    connections
}

async fn greet(
    stream: TcpStream,
    client: SocketAddr,
    terms: Arc<ServerConfig>,
    accepted: mpsc::Sender<Connection>,
) {
    let handshake = async {
        stream.set_nodelay(true)?;
        TlsAcceptor::from(terms).accept(stream).await
    };
    let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut));
    match timeout(HANDSHAKE, handshake).await.unwrap_or_else(late) {
        // Fails only when the server has ended, and nobody is served any more.
        Ok(connection) => drop(accepted.send(connection).await),
        Err(error) => tracing::debug!(%client, %error, "A handshake failed"),
    }
}
