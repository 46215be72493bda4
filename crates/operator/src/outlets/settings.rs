//! How the outlets are set up.

use std::{net::SocketAddr, str::FromStr};

/// Which outlets are open, and under which names. By default none is, and no Secret is read or written.
#[derive(Clone, Debug, Default)]
pub struct OutletConfig {
    /// The operator's own namespace: that of the Secret with its certificates.
    pub namespace: String,
    /// Names by which clients know the operator; empty: `prism-operator.<namespace>.svc` and `localhost`. The
    /// certificate has the names of [`ExternalScalerConfig::address`] and [`ExternalMetricsConfig::service`]
    /// in any case.
    pub serving_names: Vec<String>,
    /// Whether KEDA is answered.
    pub external_scaler: Option<ExternalScalerConfig>,
    /// Whether autoscalers are answered.
    pub external_metrics: Option<ExternalMetricsConfig>,
}

/// Where KEDA finds the operator.
#[derive(Clone, Debug)]
pub struct ExternalScalerConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What KEDA is told: host and port, or a host alone with the port of `listen`. `None`:
    /// `prism-operator.<namespace>.svc`.
    pub address: Option<String>,
}

/// Where the API server finds the operator.
#[derive(Clone, Debug)]
pub struct ExternalMetricsConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The Service that leads there. `None`: `prism-operator` in the operator's own namespace.
    pub service: Option<ServiceAddress>,
}

/// A port of a Service, written `NAMESPACE/NAME` or `NAMESPACE/NAME:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its port; `None`: the one that is listened on.
    pub port: Option<u16>,
}

impl FromStr for ServiceAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ADVICE: &str = "write NAMESPACE/NAME or NAMESPACE/NAME:PORT, such as prism/prism-operator:443";
        let (namespace, rest) = text.split_once('/').ok_or(ADVICE)?;
        let (name, port) = match rest.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().map_err(|_| ADVICE)?)),
            None => (rest, None),
        };
        if namespace.is_empty() || name.is_empty() || name.contains('/') {
            return Err(ADVICE);
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), port })
    }
}

impl ServiceAddress {
    /// The name that the API server looks for in the certificate.
    pub(super) fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }
}

impl OutletConfig {
    /// The operator's name in the cluster, unless something else is set.
    fn default_service(&self) -> ServiceAddress {
        ServiceAddress {
            namespace: self.namespace.clone(),
            name: prism_api::names::FIELD_MANAGER.to_owned(),
            port: None,
        }
    }

    /// Host and port that KEDA is told, where `bound` is listened on.
    pub(super) fn scaler_address(&self, config: &ExternalScalerConfig, bound: SocketAddr) -> String {
        let address = config.address.clone().unwrap_or_else(|| self.default_service().host());
        match address.parse::<std::net::Ipv6Addr>() {
            Ok(address) => SocketAddr::from((address, bound.port())).to_string(),
            Err(_) if has_port(&address) => address,
            Err(_) => format!("{address}:{}", bound.port()),
        }
    }

    /// The Service that the API server is told, where `bound` is listened on.
    pub(super) fn metrics_service(
        &self,
        config: &ExternalMetricsConfig,
        bound: SocketAddr,
    ) -> ServiceAddress {
        let service = config.service.clone().unwrap_or_else(|| self.default_service());
        ServiceAddress { port: service.port.or(Some(bound.port())), ..service }
    }

    /// Every name that the certificate needs, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.serving_names.clone();
        if names.is_empty() {
            names.extend([self.default_service().host(), "localhost".to_owned()]);
        }
        let told = self.external_scaler.iter().filter_map(|scaler| scaler.address.as_deref());
        names.extend(told.map(|address| host_of(address).to_owned()));
        let services = self.external_metrics.iter().filter_map(|metrics| metrics.service.as_ref());
        names.extend(services.map(ServiceAddress::host));
        names.sort();
        names.dedup();
        names
    }
}

/// Whether a port follows: a bare IPv6 address has colons of its own.
fn has_port(address: &str) -> bool {
    let is_bare_ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    !is_bare_ipv6 && address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// The host of an address, without the brackets of IPv6.
fn host_of(address: &str) -> &str {
    let host = match address.rsplit_once(':') {
        Some((host, _)) if has_port(address) => host,
        _ => address,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("prism/operator", Some(("prism", "operator", None)))]
    #[case("prism/operator:443", Some(("prism", "operator", Some(443))))]
    #[case("operator", None)]
    #[case("prism/", None)]
    #[case("prism/operator:https", None)]
    fn a_service_is_a_namespace_a_name_and_a_port(
        #[case] text: &str,
        #[case] expected: Option<(&str, &str, Option<u16>)>,
    ) {
        let parsed: Option<ServiceAddress> = text.parse().ok();
        let parts =
            parsed.as_ref().map(|service| (service.namespace.as_str(), service.name.as_str(), service.port));
        assert_eq!(parts, expected);
    }

    #[rstest]
    #[case::nothing_is_said(None, "prism-operator.prism.svc:4321", "prism-operator.prism.svc")]
    #[case::a_host("scaler.example", "scaler.example:4321", "scaler.example")]
    #[case::host_and_port("scaler.example:9", "scaler.example:9", "scaler.example")]
    #[case::an_address("[::1]:9", "[::1]:9", "::1")]
    #[case::an_address_without_a_port("fd00::1", "[fd00::1]:4321", "fd00::1")]
    fn keda_is_told_an_address_that_the_certificate_names(
        #[case] address: impl Into<Option<&'static str>>,
        #[case] told: &str,
        #[case] name: &str,
    ) {
        let bound = SocketAddr::from(([127, 0, 0, 1], 4321));
        let scaler = ExternalScalerConfig { listen: bound, address: address.into().map(str::to_owned) };
        let config = OutletConfig {
            namespace: "prism".to_owned(),
            external_scaler: Some(scaler.clone()),
            ..OutletConfig::default()
        };
        assert_eq!(config.scaler_address(&scaler, bound), told);
        assert!(config.names().contains(&name.to_owned()), "{:?}", config.names());
    }
}
