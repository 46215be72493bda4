//! Messages that hold credentials show their names in a log, and never their values.

use std::{collections::HashMap, fmt};

use crate::prism::{AuthConfig, BackendConfig};

impl fmt::Debug for BackendConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendConfig")
            .field("backend_type", &self.backend_type)
            .field("credentials", &Names(&self.credentials))
            .field("options", &Names(&self.options))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig")
            .field("enabled", &self.enabled)
            .field("provider", &self.provider)
            .field("options", &Names(&self.options))
            .finish()
    }
}

/// The keys of a map, in order.
struct Names<'a>(&'a HashMap<String, String>);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.0.keys().collect();
        names.sort_unstable();
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prism::{CreateNamespaceRequest, NamespaceConfig};

    #[test]
    fn a_request_that_is_logged_shows_no_credentials() {
        let secret = || HashMap::from([("password".to_owned(), "hunter2".to_owned())]);
        let backend = BackendConfig {
            backend_type: "redis".to_owned(),
            connection_string: "redis://:hunter2@redis:6379".to_owned(),
            credentials: secret(),
            options: secret(),
        };
        let auth = AuthConfig { enabled: true, provider: "oidc".to_owned(), options: secret() };
        let config = NamespaceConfig {
            backends: HashMap::from([("cache".to_owned(), backend)]),
            auth: Some(auth),
            ..NamespaceConfig::default()
        };
        let request = CreateNamespaceRequest { config: Some(config), ..CreateNamespaceRequest::default() };
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2"), "a secret is shown: {shown}");
        assert!(shown.contains("redis") && shown.contains("oidc") && shown.contains("password"), "{shown}");
    }
}
