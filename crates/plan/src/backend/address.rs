//! Addresses of backends: reading them, completing them, and showing them without their secrets.

use super::provider;

/// An address with the scheme that clients of the provider expect, if it has none.
pub(crate) fn with_scheme(url: &str, provider: &str) -> String {
    match provider::scheme(provider) {
        Some(scheme) if !url.contains("://") => format!("{scheme}://{url}"),
        _ => url.to_owned(),
    }
}

/// What stands before `://`.
pub(super) fn scheme(url: &str) -> Option<&str> {
    url.split_once("://").map(|(scheme, _)| scheme)
}

/// `url` without user, password and parameters; none where it cannot be told for sure what of it is
/// secret, such as an unescaped `/` or `,` in a password.
pub(super) fn without_credentials(url: &str) -> Option<String> {
    let parts: Vec<&str> = url.split(',').collect();
    let has_user = |part: &&&str| part.contains('@');
    let is_list_of_users = parts.iter().all(|part| has_user(&part) && part.contains("://"));
    if parts.iter().skip(1).any(|part| has_user(&part)) && !is_list_of_users {
        return None;
    }
    let shown = parts.into_iter().map(host_of).collect::<Option<Vec<_>>>()?;
    Some(shown.join(","))
}

/// Scheme, host, port and path of one address.
fn host_of(part: &str) -> Option<String> {
    let (scheme, rest) = part.split_once("://").map_or((None, part), |(scheme, rest)| (Some(scheme), rest));
    let authority_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_ends);
    if path.contains('@') {
        return None;
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~%:/[]".contains(c);
    let shown = format!("{host}{path}");
    let shown = Some(shown).filter(|shown| !host.is_empty() && shown.chars().all(is_plain))?;
    Some(scheme.map_or_else(|| shown.clone(), |scheme| format!("{scheme}://{shown}")))
}

/// `url` with hosts that have no domain made into names of Services of `namespace`.
pub(super) fn qualified(url: &str, namespace: &str) -> String {
    url.split(',').map(|part| qualified_part(part, namespace)).collect::<Vec<_>>().join(",")
}

fn qualified_part(part: &str, namespace: &str) -> String {
    let after_scheme = part.find("://").map_or(0, |at| at + "://".len());
    let authority_ends =
        part[after_scheme..].find(['/', '?', '#']).map_or(part.len(), |length| after_scheme + length);
    let starts = part[..authority_ends].rfind('@').map_or(after_scheme, |at| at + 1);
    let ends = part[starts..authority_ends].find(':').map_or(authority_ends, |length| starts + length);
    let host = &part[starts..ends];
    let is_bare = !host.is_empty() && host != "localhost" && !host.contains(['.', '[', ']']);
    if !is_bare {
        return part.to_owned();
    }
    format!("{}{host}.{namespace}.svc{}", &part[..starts], &part[ends..])
}

/// `host:port`, or the host alone; an IPv6 address in brackets (RFC 3986, section 3.2.2).
pub(super) fn host_port(host: &str, port: Option<i32>) -> String {
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    let host = if is_bare_ipv6 { format!("[{host}]") } else { host.to_owned() };
    port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// Host, in the brackets of IPv6 if it has any, and port of `authority`.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// `text` as it may stand in any part of a URL (RFC 3986, section 2.1).
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::nothing_to_hide("redis://cache:6379/0", Some("redis://cache:6379/0"))]
    #[case::a_password("redis://:canary@cache:6379", Some("redis://cache:6379"))]
    #[case::a_user_and_a_password("postgres://me:canary@db/orders", Some("postgres://db/orders"))]
    #[case::without_a_scheme("me:canary@cache:6379", Some("cache:6379"))]
    #[case::an_at_sign_in_the_password("redis://me:can@ary@cache", Some("redis://cache"))]
    #[case::a_slash_in_the_password("redis://me:can/ary@cache", None)]
    #[case::both("redis://me@canary:a/b@cache", None)]
    #[case::a_comma_in_the_password("redis://me:can,ary@cache", None)]
    #[case::a_parameter("postgres://db/orders?password=canary", Some("postgres://db/orders"))]
    #[case::a_parameter_with_an_at_sign("postgres://db/orders?password=can@ary", None)]
    #[case::a_list(
        "nats://a:canary@one:4222,nats://a:canary@two:4222",
        Some("nats://one:4222,nats://two:4222")
    )]
    #[case::one_user_for_a_list("mongodb://a:canary@one,two/db", Some("mongodb://one,two/db"))]
    #[case::keywords("host=db password=canary", None)]
    #[case::an_account_key("AccountName=me;AccountKey=canary", None)]
    fn what_is_shown_of_an_address(#[case] url: &str, #[case] shown: Option<&str>) {
        assert_eq!(without_credentials(url).as_deref(), shown);
    }

    #[rstest]
    #[case::bare("cache", "cache.stores.svc")]
    #[case::with_a_port("cache:6379", "cache.stores.svc:6379")]
    #[case::a_url("redis://:pw@cache:6379/0", "redis://:pw@cache.stores.svc:6379/0")]
    #[case::a_list("a:9092,b.example.com:9092", "a.stores.svc:9092,b.example.com:9092")]
    #[case::a_domain("redis://cache.example.com", "redis://cache.example.com")]
    #[case::an_ip_address("10.0.0.1:6379", "10.0.0.1:6379")]
    #[case::an_ipv6_address("redis://[::1]:6379", "redis://[::1]:6379")]
    #[case::this_host("localhost:6379", "localhost:6379")]
    fn a_bare_host_is_a_service_beside_it(#[case] url: &str, #[case] expected: &str) {
        assert_eq!(qualified(url, "stores"), expected);
    }
}
