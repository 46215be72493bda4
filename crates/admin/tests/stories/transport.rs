//! Who may talk to the admin.

use std::net::SocketAddr;

use prism_admin::{Admin, Error, Tls};
use prism_proto::prism::metrics::v1::{ListRequest, metrics_client::MetricsClient};
use tonic::{
    Code,
    transport::{ClientTlsConfig, Endpoint},
};

use crate::support::{Authority, World, endpoint, pattern, soon};

/// The code of an answer that needs nothing but a connection: `NOT_FOUND`.
async fn knock(address: SocketAddr, tls: ClientTlsConfig) -> Code {
    let channel = endpoint(address).tls_config(tls).unwrap().connect_lazy();
    let request = ListRequest { pattern: Some(pattern("orders")) };
    soon("an answer", MetricsClient::new(channel).list(request)).await.unwrap_err().code()
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let world = World::new().await;
    assert_eq!(knock(world.admin.address(), world.authority.trust()).await, Code::NotFound);
    let other = Authority::new("another authority");
    let distrusting = endpoint(world.admin.address()).tls_config(other.trust()).unwrap();
    let refused = soon("a refusal", distrusting.connect()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("UnknownIssuer"), "{refused:?}");
}

#[tokio::test]
async fn plaintext_does_not_get_in() {
    let world = World::new().await;
    let plaintext = Endpoint::from_shared(format!("http://{}", world.admin.address())).unwrap();
    let mut client = MetricsClient::new(plaintext.connect_lazy());
    let request = || ListRequest { pattern: Some(pattern("orders")) };
    let status = soon("a refusal", client.list(request())).await.unwrap_err();
    assert_ne!(status.code(), Code::NotFound, "the admin answered: {status}");

    let open = Admin::builder().insecure().start().await.unwrap();
    let plaintext = Endpoint::from_shared(format!("http://{}", open.address())).unwrap();
    let status =
        soon("an answer", MetricsClient::new(plaintext.connect_lazy()).list(request())).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "unless it was told to: {status}");
}

#[tokio::test]
async fn only_clients_of_the_authority_get_in_where_there_is_one() {
    let clients = Authority::new("clients");
    let servers = Authority::new("servers");
    let tls = servers.server().client_authority(clients.certificate());
    let admin = Admin::builder().tls(tls).start().await.unwrap();
    let with = |identity| servers.trust().identity(identity);
    assert_eq!(knock(admin.address(), with(clients.client())).await, Code::NotFound);
    assert_ne!(knock(admin.address(), with(servers.client())).await, Code::NotFound);
    assert_ne!(knock(admin.address(), servers.trust()).await, Code::NotFound);
}

#[tokio::test]
async fn an_admin_that_cannot_be_safe_does_not_start() {
    let authority = Authority::new("authority");
    let error = Admin::builder().start().await.err().unwrap();
    assert!(matches!(error, Error::NoTransport), "{error}");

    let ((certificate, _), (_, other_key)) = (authority.issue(), authority.issue());
    for (certificate, key) in [(certificate.as_str(), other_key.as_str()), ("rubbish", &other_key)] {
        let error = Admin::builder().tls(Tls::from_pem(certificate, key)).start().await.err().unwrap();
        assert!(matches!(error, Error::Tls(_)), "{error}");
        let secret = other_key.lines().nth(1).unwrap();
        assert!(!format!("{error} {error:?}").contains(secret), "the key is shown: {error}");
    }
    let no_authority = authority.server().client_authority("rubbish");
    let error = Admin::builder().tls(no_authority).start().await.err().unwrap();
    assert!(matches!(error, Error::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let world = World::new().await;
    let address = world.admin.address();
    let error = Admin::builder().insecure().listen(address).start().await.err().unwrap();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
