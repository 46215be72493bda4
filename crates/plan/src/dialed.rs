//! Addresses that a spec names and the operator itself connects to.
//!
//! Which hosts it connects to is decided when it connects. Here it is seen to that an address is one: what the
//! operator adds to it must not become part of something else.

/// Whether `text` is the URL of a Prometheus: scheme, host, perhaps port and path.
///
/// # Errors
/// What is wrong with it, and how to write it: the rest of a sentence that begins with the field.
pub fn prometheus(text: &str) -> Result<(), &'static str> {
    const EXAMPLE: &str = "is no address: write a URL such as http://prometheus:9090";
    plain(text)?;
    let (scheme, rest) = text.split_once("://").ok_or(EXAMPLE)?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    if is_http(scheme) { host_port(authority).ok_or(EXAMPLE) } else { Err(EXAMPLE) }
}

/// Whether `text` is the address of an admin: host and port, perhaps with `http://` or `https://`.
///
/// # Errors
/// As of [`prometheus`].
pub fn admin(text: &str) -> Result<(), &'static str> {
    const EXAMPLE: &str = "is no address: write host and port, such as prism-admin:8981";
    plain(text)?;
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if is_http(scheme) { host_port(authority).ok_or(EXAMPLE) } else { Err(EXAMPLE) }
}

/// Refuses what would make the path that is added something else, and what does not belong into a spec.
fn plain(text: &str) -> Result<(), &'static str> {
    if text.contains(['?', '#']) {
        return Err("has a query or a fragment: write scheme, host, port and path alone");
    }
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    if authority.contains('@') {
        return Err("has a user or a password: remove what stands before the @");
    }
    if text.chars().all(|c| c.is_ascii_graphic() && c != '\\') {
        Ok(())
    } else {
        Err("has a character that no address has: remove blanks, and what is not ASCII")
    }
}

fn is_http(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn host_port(authority: &str) -> Option<()> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if let Some(port) = port {
        port.parse::<u16>().ok().filter(|port| *port != 0)?;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_one = match bare {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
    };
    is_one.then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://prometheus:9090")]
    #[case("https://prometheus.monitoring.svc.cluster.local:9090/")]
    #[case("http://10.0.0.1/tenants/a@b")]
    #[case("HTTP://[fd00::1]:9090/select/0/prometheus")]
    fn an_address_of_prometheus_has_scheme_host_port_and_path(#[case] text: &str) {
        assert_eq!(prometheus(text), Ok(()));
    }

    #[rstest]
    #[case::a_query_swallows_the_path("http://169.254.169.254/latest/meta-data/?x=", "query or a fragment")]
    #[case::so_does_a_fragment("http://10.0.0.1/any#", "query or a fragment")]
    #[case::a_user("http://user:secret@prometheus:9090", "user or a password")]
    #[case::a_host_that_looks_like_a_user("http://prometheus:9090@169.254.169.254", "user or a password")]
    #[case::blanks("http://prometheus:9090 /x", "a character")]
    #[case::a_line_end("http://prometheus:9090\r\nHost: other", "a character")]
    #[case::a_backslash("http://prometheus\\.example", "a character")]
    #[case::no_scheme("prometheus:9090", "is no address")]
    #[case::another_scheme("file:///etc/passwd", "is no address")]
    #[case::no_host("http:///path", "is no address")]
    #[case::no_port("http://prometheus:/", "is no address")]
    #[case::port_zero("http://prometheus:0/", "is no address")]
    #[case::port_too_large("http://prometheus:65536/", "is no address")]
    #[case::no_brackets("http://fd00::1/", "is no address")]
    fn what_is_no_address_of_prometheus_is_refused(#[case] text: &str, #[case] words: &str) {
        assert!(prometheus(text).unwrap_err().contains(words), "{:?}", prometheus(text));
    }

    #[rstest]
    #[case("prism-admin:8981")]
    #[case("127.0.0.1:8981")]
    #[case("[fd00::1]:8981")]
    #[case("https://prism-admin.shop.svc:8981/")]
    fn an_address_of_an_admin_has_host_and_port(#[case] text: &str) {
        assert_eq!(admin(text), Ok(()));
    }

    #[rstest]
    #[case::a_socket("unix:///run/containerd/containerd.sock", "is no address")]
    #[case::a_socket_in_short("unix:/run/x.sock", "is no address")]
    #[case::a_path("http://prism-admin:8981/other", "is no address")]
    #[case::a_user("user:secret@prism-admin:8981", "user or a password")]
    #[case::a_query("prism-admin:8981?x", "query or a fragment")]
    fn what_is_no_address_of_an_admin_is_refused(#[case] text: &str, #[case] words: &str) {
        assert!(admin(text).unwrap_err().contains(words), "{:?}", admin(text));
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "(?s).{0,40}|(http://)?[a-z0-9.:@/?#\\[\\]]{0,20}") {
            let is_bad = text.contains(['?', '#']);
            prop_assert!(!(is_bad && (prometheus(&text).is_ok() || admin(&text).is_ok())));
        }
    }
}
