//! Contracts that others wrote are the same on the wire, byte by byte.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use prism_proto::{
    externalscaler::{self, GetMetricsResponse, MetricSpec, MetricValue, ScaledObjectRef},
    prism::{self, CreateNamespaceResponse, NamespaceRevocation},
};
use prost::Message;
use tonic::server::NamedService;

/// A field of length `text`: strings, and messages inside messages.
fn text(number: u8, text: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(text.len()).unwrap()], text].concat()
}

/// An integer or a truth value below 128.
fn small(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

#[test]
fn keda_understands_what_an_external_scaler_says() {
    let entry = [text(1, b"metric"), text(2, b"lag")].concat();
    let object =
        ScaledObjectRef::decode(&*[text(1, b"orders"), text(2, b"shop"), text(3, &entry)].concat()).unwrap();
    assert_eq!((&*object.name, &*object.namespace), ("orders", "shop"));
    assert_eq!(object.scaler_metadata["metric"], "lag");

    let spec = MetricSpec { metric_name: "lag".to_owned(), target_size: 5, target_size_float: 5.5 };
    assert_eq!(spec.encode_to_vec(), [text(1, b"lag"), small(2, 5), double(3, 5.5)].concat());

    let value = MetricValue { metric_name: "lag".to_owned(), metric_value: 2, metric_value_float: 2.5 };
    let response = GetMetricsResponse { metric_values: vec![value] };
    let bytes = text(1, &[text(1, b"lag"), small(2, 2), double(3, 2.5)].concat());
    assert_eq!(response.encode_to_vec(), bytes);
}

#[test]
fn an_existing_control_plane_is_understood() {
    let bytes = [small(1, 1), text(2, b"made"), small(3, 42), text(4, b"proxy-1")].concat();
    let expected = CreateNamespaceResponse {
        success: true,
        message: "made".to_owned(),
        assigned_partition: 42,
        assigned_proxy: "proxy-1".to_owned(),
    };
    assert_eq!(CreateNamespaceResponse::decode(&*bytes).unwrap(), expected);

    let revocation = NamespaceRevocation {
        proxy_id: "proxy-1".to_owned(),
        namespace: "shop".to_owned(),
        graceful_timeout_seconds: 30,
    };
    assert_eq!(revocation.encode_to_vec(), [text(1, b"proxy-1"), text(2, b"shop"), small(3, 30)].concat());
}

#[test]
fn services_are_found_under_their_names() {
    type Scaler<T> = externalscaler::external_scaler_server::ExternalScalerServer<T>;
    type ControlPlane<T> = prism::control_plane_server::ControlPlaneServer<T>;
    assert_eq!(Scaler::<()>::NAME, "externalscaler.ExternalScaler");
    assert_eq!(ControlPlane::<()>::NAME, "prism.ControlPlane");
}
