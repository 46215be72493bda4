//! Ranges of addresses, as flags name them, and those that are refused without a flag.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Refusal;

/// Bits before the IPv4 address in an IPv6 address that stands for one, `::ffff:a.b.c.d`.
const MAPPED_PREFIX: u8 = 96;

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or a single address. One of IPv4-mapped addresses is one of IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range(IpNet);

/// A text that is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no range of addresses: write a CIDR such as 10.0.0.0/8 or fd00::/8, or an address")]
pub struct BadRange;

impl Range {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for Range {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        Ok(Self(match range.map_err(|_| BadRange)? {
            IpNet::V6(range) => unmapped(range).map_or(IpNet::V6(range), IpNet::V4),
            range @ IpNet::V4(_) => range,
        }))
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn unmapped(range: Ipv6Net) -> Option<Ipv4Net> {
    let length = range.prefix_len().checked_sub(MAPPED_PREFIX)?;
    Ipv4Net::new(range.addr().to_ipv4_mapped()?, length).ok()
}

/// Why nobody connects to `address` by default, if so. Says nothing about addresses that it may embed.
///
/// Ranges: the IANA registries of special-purpose addresses (RFC 6890), and where clouds serve their metadata.
pub(crate) fn refusal(address: IpAddr) -> Option<Refusal> {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

fn of_v4(address: Ipv4Addr) -> Option<Refusal> {
    match address.octets() {
        // Azure, Oracle, Alibaba. Those of the others are link-local.
        [168, 63, 129, 16] | [192, 0, 0, 192] | [100, 100, 100, 200] => Some(Refusal::Metadata),
        // Linux takes 0.0.0.0 for itself.
        [0, ..] => Some(Refusal::Unspecified),
        [127, ..] => Some(Refusal::Loopback),
        [169, 254, ..] => Some(Refusal::LinkLocal),
        [224..=239, ..] => Some(Refusal::Multicast),
        [240..=255, ..] => Some(Refusal::Reserved),
        _ => None,
    }
}

fn of_v6(address: Ipv6Addr) -> Option<Refusal> {
    match address.segments() {
        // AWS, which serves names and time there as well; Google; Scaleway.
        [0xfd00, 0x0ec2, ..]
        | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
        | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042] => Some(Refusal::Metadata),
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Refusal::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Refusal::Loopback),
        // Link-local, and site-local, which was given up (RFC 3879).
        [0xfe80..=0xfeff, ..] => Some(Refusal::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Refusal::Multicast),
        // Translation of a network's own (RFC 8215): where the IPv4 address stands in it is that network's matter.
        [0x0064, 0xff9b, 1, ..] => Some(Refusal::Reserved),
        _ => None,
    }
}

/// IPv4 addresses that a gateway on the way may take `address` for.
pub(crate) fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let octets = address.octets();
    let at = move |first: usize| {
        octets.get(first..first + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(Ipv4Addr::from)
    };
    let found = match address.segments() {
        // Mapped, compatible (RFC 4291) and translated (RFC 2765); NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x0064, 0xff9b, 0, 0, 0, 0, ..] => {
            [at(12), None]
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => [at(2), None],
        // Teredo (RFC 4380): the server, and the client with its bits turned over.
        [0x2001, 0, ..] => [at(4), at(12).map(|address| Ipv4Addr::from_bits(!address.to_bits()))],
        // ISATAP (RFC 5214).
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => [at(12), None],
        _ => [None, None],
    };
    found.into_iter().flatten()
}
