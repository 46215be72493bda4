//! Which addresses may be connected to.

use std::net::IpAddr;

use crate::ranges::{Range, embedded, refusal};

/// Which addresses may be connected to: all but those of [`Refusal`], unless a range says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Allowed, although refused by default.
    pub allow: Vec<Range>,
    /// Refused in any case.
    pub deny: Vec<Range>,
}

/// Why an address is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A flag refuses it.
    #[error("an address that --dial-deny refuses")]
    Denied,
    /// It is this process's own network namespace.
    #[error("a loopback address")]
    Loopback,
    /// It is an address of this very machine or pod.
    #[error("an address of the operator itself")]
    Own,
    /// It is good on one link only, where clouds serve metadata and credentials.
    #[error("a link-local address")]
    LinkLocal,
    /// A cloud serves metadata and credentials there.
    #[error("an address of a cloud's metadata")]
    Metadata,
    /// It stands for many.
    #[error("a multicast address")]
    Multicast,
    /// It stands for none.
    #[error("an unspecified address")]
    Unspecified,
    /// It belongs to nobody.
    #[error("a reserved address")]
    Reserved,
}

impl Policy {
    /// Whether `address` may be connected to. An IPv6 address that embeds one of IPv4 is judged as both.
    ///
    /// # Errors
    /// Why not.
    pub fn verdict(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let embedded: Vec<_> = match address {
            IpAddr::V6(address) => embedded(address).map(IpAddr::V4).collect(),
            IpAddr::V4(_) => Vec::new(),
        };
        let is_denied = |address: &IpAddr| self.deny.iter().any(|range| range.contains(*address));
        if is_denied(&address) || embedded.iter().any(is_denied) {
            return Err(Refusal::Denied);
        }
        let refused = refusal(address).or_else(|| embedded.into_iter().find_map(refusal));
        match refused {
            Some(refusal) if !self.allows(address) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Whether a range allows `address` by name, whatever it is.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allow.iter().any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[rstest]
    #[case::unspecified(&["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"], Refusal::Unspecified)]
    #[case::loopback(&["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"], Refusal::Loopback)]
    #[case::embedded_loopback(
        &["::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2001:0:808:808::80ff:fffe",
          "2001:0:7f00:1::", "fd12::5efe:7f00:1", "fd12::200:5efe:7f00:1"],
        Refusal::Loopback,
    )]
    #[case::link_local(
        &["169.254.0.1", "169.254.169.254", "169.254.170.2", "fe80::1", "febf::1", "fec0::1",
          "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"],
        Refusal::LinkLocal,
    )]
    #[case::metadata(
        &["fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "168.63.129.16", "192.0.0.192",
          "100.100.100.200", "64:ff9b::168.63.129.16"],
        Refusal::Metadata,
    )]
    #[case::multicast(&["224.0.0.1", "239.255.255.250", "ff02::1", "64:ff9b::224.0.0.1"], Refusal::Multicast)]
    #[case::reserved(&["240.0.0.1", "255.255.255.255", "64:ff9b:1::10.0.0.1"], Refusal::Reserved)]
    fn what_leads_nowhere_or_inside_is_refused(#[case] addresses: &[&str], #[case] expected: Refusal) {
        for text in addresses {
            assert_eq!(Policy::default().verdict(address(text)), Err(expected), "{text}");
        }
    }

    #[test]
    fn addresses_of_clusters_and_of_the_world_are_connected_to() {
        let addresses = [
            "10.96.0.10",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "1.1.1.1",
            "126.255.255.255",
            "128.0.0.1",
            "223.255.255.255",
            "169.253.255.255",
            "169.255.0.0",
            "fd12:3456::1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "2002:808:808::1",
            "fd00:ec3::254",
        ];
        for text in addresses {
            assert_eq!(Policy::default().verdict(address(text)), Ok(()), "{text}");
        }
    }

    #[rstest]
    #[case::allowed(&["127.0.0.0/8"], &[], "127.0.0.1", Ok(()))]
    #[case::allowed_in_its_other_form(&["127.0.0.0/8"], &[], "::ffff:127.0.0.1", Ok(()))]
    #[case::allowed_as_mapped(&["::ffff:127.0.0.0/104"], &[], "127.0.0.1", Ok(()))]
    #[case::one_address(&["::1"], &[], "::1", Ok(()))]
    #[case::another_address(&["::1"], &[], "127.0.0.1", Err(Refusal::Loopback))]
    #[case::not_by_way_of_a_gateway(&["127.0.0.0/8"], &[], "64:ff9b::127.0.0.1", Err(Refusal::Loopback))]
    #[case::denied(&[], &["10.0.0.0/8"], "10.1.2.3", Err(Refusal::Denied))]
    #[case::denied_and_allowed(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.2.3", Err(Refusal::Denied))]
    #[case::denied_in_its_other_form(&[], &["10.0.0.0/8"], "::ffff:10.1.2.3", Err(Refusal::Denied))]
    #[case::denied_behind_a_gateway(&["::/0"], &["10.0.0.0/8"], "64:ff9b::10.1.2.3", Err(Refusal::Denied))]
    #[case::denied_as_mapped(&[], &["::ffff:10.0.0.0/104"], "10.1.2.3", Err(Refusal::Denied))]
    #[case::beside_what_is_denied(&[], &["10.0.0.0/8"], "11.1.2.3", Ok(()))]
    fn a_flag_allows_or_refuses_a_range_and_refusing_wins(
        #[case] allow: &[&str],
        #[case] deny: &[&str],
        #[case] dialed: &str,
        #[case] expected: Result<(), Refusal>,
    ) {
        let policy = Policy { allow: ranges(allow), deny: ranges(deny) };
        assert_eq!(policy.verdict(address(dialed)), expected);
    }

    #[rstest]
    #[case("")]
    #[case("10.0.0.0/33")]
    #[case("10.0.0/8")]
    #[case("localhost")]
    fn what_is_no_range_is_refused_with_an_example(#[case] text: &str) {
        assert!(text.parse::<Range>().unwrap_err().to_string().contains("10.0.0.0/8"));
    }

    proptest! {
        #[test]
        fn no_wrapping_of_a_refused_address_gets_through(bits: u32, wrap in 0_usize..6) {
            let inner = std::net::Ipv4Addr::from_bits(bits);
            let [a, b] = [bits >> 16, bits & 0xffff].map(|half| u16::try_from(half).unwrap());
            let wrapped = [
                [0, 0, 0, 0, 0, 0xffff, a, b], [0, 0, 0, 0, 0, 0, a, b], [0, 0, 0, 0, 0xffff, 0, a, b],
                [0x64, 0xff9b, 0, 0, 0, 0, a, b], [0x2002, a, b, 0, 0, 0, 0, 1], [0x2001, 0, 0x808, 0x808, 0, 0, !a, !b],
            ][wrap];
            let policy = Policy::default();
            if policy.verdict(inner.into()).is_err() {
                prop_assert!(policy.verdict(IpAddr::from(wrapped)).is_err());
            }
        }

        #[test]
        fn what_is_denied_is_refused_whatever_is_allowed(bits: u128, length in 0_u8..=128, is_v4: bool) {
            let bytes = bits.to_be_bytes();
            let last = <[u8; 4]>::try_from(&bytes[12..]).unwrap();
            let dialed = if is_v4 { IpAddr::from(last) } else { IpAddr::from(bytes) };
            let length = if is_v4 { length.min(32) } else { length };
            let deny = vec![format!("{dialed}/{length}").parse().unwrap()];
            let policy = Policy { allow: ranges(&["0.0.0.0/0", "::/0"]), deny };
            prop_assert_eq!(policy.verdict(dialed), Err(Refusal::Denied));
        }
    }
}
