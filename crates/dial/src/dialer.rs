//! From a name to a connection.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use crate::{Connector, DialError, Policy, Refusal};

/// Names that are resolved at the same time: each takes a thread, for as long as the system's resolver likes.
const RESOLUTIONS: usize = 32;
/// Addresses of one name that are tried; more than these are a mistake, or meant to keep the operator busy.
const ADDRESSES: usize = 8;

/// Connects to addresses that users name, as far as its policy lets it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    policy: Arc<Policy>,
    patience: Duration,
    resolutions: Arc<Semaphore>,
}

impl Dialer {
    /// A dialer that gives up on a connection after `patience`, resolution included.
    #[must_use]
    pub fn new(policy: Policy, patience: Duration) -> Self {
        Self { policy: Arc::new(policy), patience, resolutions: Arc::new(Semaphore::new(RESOLUTIONS)) }
    }

    /// The same for clients of HTTP and gRPC. TLS is theirs.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector::new(self.clone())
    }

    /// How long a connection may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Connects to `port` of `host`: a name or an address, an IPv6 address with or without brackets. Of the addresses
    /// of a name, those that are refused are left out.
    ///
    /// # Errors
    /// [`DialError::Refused`] if every address is refused; nobody has been connected to then.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let deadline = Instant::now() + self.patience;
        let addresses =
            timeout_at(deadline, self.resolve(host, port)).await.map_err(|_| DialError::Late)??;
        let mut error = DialError::Unreachable;
        let mut may_be_tried = Vec::new();
        for address in addresses {
            match self.verdict(address) {
                Ok(()) => may_be_tried.push(address),
                Err(refusal) => error = DialError::Refused(refusal),
            }
        }
        let count = may_be_tried.len();
        for (index, address) in may_be_tried.into_iter().enumerate() {
            // An address that swallows everything leaves the next ones their share of the time.
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(count - index).unwrap_or(u32::MAX).max(1);
            error = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Questions and answers are small; without it the connection still works.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(_)) => DialError::Unreachable,
                Err(_) => DialError::Late,
            };
        }
        Err(error)
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let permit = self.resolutions.clone().acquire_owned().await.map_err(|_| DialError::Unreachable)?;
        let name = bare.to_owned();
        // Not of tokio, as the permit has to be held until the thread is free, also if nobody waits for it any more.
        let resolving = spawn_blocking(move || {
            let _permit = permit;
            let found = (name.as_str(), port).to_socket_addrs()?;
            Ok::<Vec<_>, io::Error>(found.take(ADDRESSES).collect())
        });
        resolving.await.ok().and_then(Result::ok).ok_or(DialError::Unreachable)
    }

    fn verdict(&self, address: SocketAddr) -> Result<(), Refusal> {
        self.policy.verdict(address.ip())?;
        if is_own(address) && !self.policy.allows(address.ip()) { Err(Refusal::Own) } else { Ok(()) }
    }
}

/// Whether `address` is one of this machine or pod: then the system would send from that same address. Sends nothing.
fn is_own(address: SocketAddr) -> bool {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let sender = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect(address)?;
        socket.local_addr()
    });
    // An address that has no way to it cannot be connected to either.
    sender.is_ok_and(|sender| sender.ip().to_canonical() == address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn dialer(allow: &[&str]) -> Dialer {
        let allow = allow.iter().map(|range| range.parse().unwrap()).collect();
        Dialer::new(Policy { allow, deny: Vec::new() }, PATIENCE)
    }

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Whether somebody has connected.
    async fn was_reached(listener: &TcpListener) -> bool {
        let waiting = tokio::time::timeout(Duration::from_millis(50), listener.accept());
        waiting.await.is_ok()
    }

    #[rstest]
    #[case("127.0.0.1")]
    #[case("localhost")]
    #[case("[::ffff:127.0.0.1]")]
    #[case("::ffff:127.0.0.1")]
    #[case("0.0.0.0")]
    #[case("127.1")]
    #[case("2130706433")]
    #[case("0x7f000001")]
    #[tokio::test]
    async fn no_spelling_of_loopback_reaches_a_server(#[case] host: &str) {
        let (listener, port) = listener().await;
        let refused = dialer(&[]).connect(host, port).await.unwrap_err();
        // A resolver may know some spellings for none.
        assert!(matches!(refused, DialError::Refused(_) | DialError::Unreachable), "{refused}");
        assert!(!was_reached(&listener).await);
    }

    #[tokio::test]
    async fn a_range_that_is_allowed_is_connected_to() {
        let (listener, port) = listener().await;
        dialer(&["127.0.0.0/8"]).connect("127.0.0.1", port).await.unwrap();
        assert!(was_reached(&listener).await);
        let by_name = dialer(&["127.0.0.0/8"]).connect("localhost", port).await.unwrap();
        assert!(by_name.peer_addr().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_cannot_be_reached() {
        let (listener, port) = listener().await;
        drop(listener);
        let error = dialer(&["127.0.0.0/8"]).connect("127.0.0.1", port).await.unwrap_err();
        assert_eq!(error, DialError::Unreachable);
    }

    #[tokio::test]
    async fn a_name_that_there_is_not_is_told_like_a_server_that_there_is_not() {
        let error = dialer(&[]).connect("no-such-name.invalid", 1).await.unwrap_err();
        assert!(matches!(error, DialError::Unreachable | DialError::Late), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_this_machine_is_refused_whatever_it_looks_like() {
        let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
        // A machine without any network has no such address.
        if probe.connect("192.0.2.1:9").is_ok() {
            let own = probe.local_addr().unwrap().ip();
            assert!(is_own(SocketAddr::new(own, 9)));
            let error = dialer(&[]).connect(&own.to_string(), 9).await.unwrap_err();
            assert!(matches!(error, DialError::Refused(_)), "{error}");
        }
        assert!(!is_own(SocketAddr::from(([192, 0, 2, 1], 9))));
    }
}
