//! The operator's certificates: making them, and telling when they have to be made anew. No I/O.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

/// Common name of the authority: name and key make an issuer, so it must never change.
const AUTHORITY: &str = "prism-operator-ca";
/// Common name of the server. Clients look at the other names.
const SERVER: &str = "prism-operator";
/// How long the authority holds: long, as whoever trusts it has to learn of the next.
const AUTHORITY_LIFE: Duration = Duration::from_hours(24 * 3650);
/// How long the serving certificate holds.
const SERVING_LIFE: Duration = Duration::from_hours(24 * 365);
/// The last line of a certificate in PEM.
const END: &str = "-----END CERTIFICATE-----";
/// A certificate counts from a little before now: clocks differ.
const SKEW: Duration = Duration::from_hours(1);

/// An authority and a serving certificate of it, with their keys; all PEM. Has no `Debug`, for the keys'
/// sake.
#[derive(Clone, PartialEq)]
pub(super) struct Identity {
    /// The authority that signs, and before it is forgotten, the one before; the newest first.
    pub(super) authorities: String,
    /// Key of the newest authority.
    pub(super) authority_key: String,
    /// The serving certificate.
    pub(super) certificate: String,
    /// Its key.
    pub(super) key: String,
}

/// What has to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The serving certificate, by the same authority: its clients notice nothing.
    Serving,
    /// Both.
    Authority,
}

impl Identity {
    /// Makes an authority and a certificate for `names`.
    pub(super) fn draw(names: &[String], now: Timestamp) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let authority = authority(now);
        let certificate = authority.self_signed(&key)?.pem();
        let issuer = Issuer::new(authority, key);
        Self::issue(names, now, &issuer, certificate)
    }

    /// Makes what is due. The authority before stays trusted, as clients may not have heard of the new one.
    pub(super) fn renew(&self, due: Due, names: &[String], now: Timestamp) -> Result<Self, rcgen::Error> {
        match due {
            Due::Serving => {
                let issuer = Issuer::new(authority(now), KeyPair::from_pem(&self.authority_key)?);
                Self::issue(names, now, &issuer, self.authorities.clone())
            }
            Due::Authority => {
                let mut next = Self::draw(names, now)?;
                if !certificates(&self.authorities).is_empty() {
                    next.authorities.extend(self.authorities.split_inclusive(END).take(1));
                    next.authorities.push('\n');
                }
                Ok(next)
            }
        }
    }

    fn issue(
        names: &[String],
        now: Timestamp,
        issuer: &Issuer<'_, KeyPair>,
        authorities: String,
    ) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = common_name(SERVER);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        hold_from(&mut params, now, SERVING_LIFE);
        Ok(Self {
            authorities,
            authority_key: issuer.key().serialize_pem(),
            certificate: params.signed_by(&key, issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// What has to be made anew at `now`, so that `names` are served: a third of its life before it ends.
    /// What cannot be read has to, too.
    pub(super) fn due(&self, names: &[String], now: Timestamp) -> Option<Due> {
        let (authorities, serving) = (certificates(&self.authorities), certificates(&self.certificate));
        let is_old = |der: Option<&CertificateDer<'_>>| {
            der.and_then(|der| parsed(der)).is_none_or(|certificate| is_aged(&certificate, now))
        };
        if is_old(authorities.first()) || KeyPair::from_pem(&self.authority_key).is_err() {
            return Some(Due::Authority);
        }
        let is_named = || {
            let known = serving.first().map(names_of).unwrap_or_default();
            names.iter().all(|name| known.contains(name))
        };
        (is_old(serving.first()) || !is_named() || self.certified_key().is_none()).then_some(Due::Serving)
    }

    /// Certificate and key as a server needs them; `None` if they are none, or not of each other.
    pub(super) fn certified_key(&self) -> Option<CertifiedKey> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).ok()?;
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(certificates(&self.certificate), key, &provider).ok()
    }
}

/// The certificates of a bundle; none if one of them is unreadable.
pub(super) fn certificates(bundle: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bundle.as_bytes()).collect::<Result<_, _>>().unwrap_or_default()
}

/// The common name of whoever a certificate is about.
pub(super) fn common_name_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = parsed(certificate)?;
    let name = certificate.subject().iter_common_name().next()?.as_str().ok()?;
    Some(name.to_owned())
}

fn parsed<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    Some(X509Certificate::from_der(der).ok()?.1)
}

/// Whether less than a third of its life is left, or it does not count yet.
fn is_aged(certificate: &X509Certificate<'_>, now: Timestamp) -> bool {
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let now = now.as_second();
    now < from || until.saturating_sub(now) < until.saturating_sub(from) / 3
}

/// The names that a certificate is for, addresses among them.
fn names_of(der: &CertificateDer<'_>) -> BTreeSet<String> {
    let Some(certificate) = parsed(der) else { return BTreeSet::new() };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => Some(std::net::IpAddr::from(<[u8; 4]>::try_from(*bytes).ok()?).to_string()),
                _ => Some(std::net::IpAddr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string()),
            },
            _ => None,
        })
        .collect()
}

fn authority(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(AUTHORITY);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    hold_from(&mut params, now, AUTHORITY_LIFE);
    params
}

fn hold_from(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let epoch = date_time_ymd(1970, 1, 1);
    let now = epoch + Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    params.not_before = now - SKEW;
    params.not_after = now + life;
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names() -> Vec<String> {
        ["prism-operator.prism.svc", "localhost", "127.0.0.1"].map(str::to_owned).into()
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    #[rstest]
    #[case::new(0, None)]
    #[case::more_than_a_third_is_left(240, None)]
    #[case::less_than_a_third_is_left(250, Some(Due::Serving))]
    #[case::ended(400, Some(Due::Serving))]
    #[case::the_authority_gets_old(2500, Some(Due::Authority))]
    #[case::from_the_future(-1, Some(Due::Authority))]
    fn certificates_are_renewed_when_a_third_of_their_life_is_left(
        #[case] age: i64,
        #[case] expected: Option<Due>,
    ) {
        let identity = Identity::draw(&names(), day(0)).unwrap();
        assert_eq!(identity.due(&names(), day(age)), expected);
    }

    #[test]
    fn a_new_name_asks_for_a_new_certificate_of_the_same_authority() {
        let identity = Identity::draw(&names(), day(0)).unwrap();
        let more = [names(), vec!["scaler.example".to_owned()]].concat();
        assert_eq!(identity.due(&more, day(0)), Some(Due::Serving));
        let renewed = identity.renew(Due::Serving, &more, day(0)).unwrap();
        assert_eq!(renewed.due(&more, day(0)), None);
        assert_eq!(renewed.authorities, identity.authorities);
        assert!(renewed.key != identity.key, "the key is new, too");
    }

    #[test]
    fn the_authority_before_stays_trusted_and_the_one_before_that_does_not() {
        let first = Identity::draw(&names(), day(0)).unwrap();
        let second = first.renew(Due::Authority, &names(), day(2500)).unwrap();
        let third = second.renew(Due::Authority, &names(), day(5000)).unwrap();
        let [first, second, third] =
            [first, second, third].map(|identity| certificates(&identity.authorities));
        assert_eq!(second, [second[0].clone(), first[0].clone()]);
        assert_eq!(third, [third[0].clone(), second[0].clone()]);
    }

    #[test]
    fn a_key_of_another_certificate_is_noticed() {
        let [one, other] = [(); 2].map(|()| Identity::draw(&names(), day(0)).unwrap());
        let mixed = Identity { key: other.key, ..one };
        assert_eq!(mixed.due(&names(), day(0)), Some(Due::Serving));
    }
}
