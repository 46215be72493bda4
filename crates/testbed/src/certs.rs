//! The cluster's certificates and keys, all made on the spot and kept in its folder.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::error::{Error, Result, io};

/// First address of the Service range: the API server's own Service.
const API_SERVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A certificate with its private key, both PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The certificate authorities of one cluster, read from or written to its folder.
pub(crate) struct Pki {
    folder: PathBuf,
}

impl Pki {
    pub(crate) fn of(cluster: &Path) -> Self {
        Self { folder: cluster.join("pki") }
    }

    /// Makes both authorities, the serving certificate that all components share, the identity under
    /// which the API server talks to aggregated APIs, and the key that signs service account tokens.
    pub(crate) fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(io("create", &self.folder))?;
        for authority in ["ca", "front-proxy-ca"] {
            let key = new_key(authority)?;
            let certificate =
                authority_params(authority).self_signed(&key).map_err(certificate(authority))?.pem();
            self.write(authority, &Identity { certificate, key: key.serialize_pem() })?;
        }
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        self.write("serving", &self.server("kube-apiserver", &names)?)?;
        let front_proxy = self.issue_from("front-proxy-ca", &client_params("front-proxy-client", &[])?)?;
        self.write("front-proxy-client", &front_proxy)?;

        let key = new_key("service accounts")?;
        self.write_file("service-accounts.key", &key.serialize_pem())?;
        self.write_file("service-accounts.pub", &key.public_key_pem())
    }

    /// Path of a file of this cluster's PKI.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Certificate of the authority that signed servers and clients, PEM.
    pub(crate) fn authority(&self) -> Result<String> {
        let path = self.path("ca.crt");
        fs::read_to_string(&path).map_err(io("read", path))
    }

    /// An identity that the API server knows as `user`, member of `groups`.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Result<Identity> {
        self.issue_from("ca", &client_params(user, groups)?)
    }

    /// An identity of a server on loopback that is called by any of `names`, and that may be a client, too.
    pub(crate) fn server(&self, name: &str, names: &[&str]) -> Result<Identity> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).map_err(certificate("the servers"))?;
        params
            .subject_alt_names
            .extend([IpAddr::V4(Ipv4Addr::LOCALHOST), API_SERVICE].map(SanType::IpAddress));
        params.distinguished_name = common_name(name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue_from("ca", &params)
    }

    fn issue_from(&self, authority: &'static str, params: &CertificateParams) -> Result<Identity> {
        let path = self.path(&format!("{authority}.key"));
        let authority_key = fs::read_to_string(&path).map_err(io("read", path))?;
        let authority_key = KeyPair::from_pem(&authority_key).map_err(certificate(authority))?;
        // Name and key make the issuer: its certificate need not be parsed.
        let issuer = Issuer::new(authority_params(authority), authority_key);
        let key = new_key("a client")?;
        let certificate = params.signed_by(&key, &issuer).map_err(certificate("a client"))?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }

    fn write(&self, name: &str, identity: &Identity) -> Result<()> {
        self.write_file(&format!("{name}.crt"), &identity.certificate)?;
        self.write_file(&format!("{name}.key"), &identity.key)
    }

    fn write_file(&self, name: &str, text: &str) -> Result<()> {
        write_private(&self.path(name), text)
    }
}

/// Writes a file that only this user may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(io("write", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(io("protect", path))
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("prism-testbed {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params
}

fn client_params(user: &str, groups: &[&str]) -> Result<CertificateParams> {
    // Kubernetes reads one group from each organization of the subject. rcgen keeps one value for
    // each type of attribute, and takes the organization spelled as a number for another type.
    let organization = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    if groups.len() > organization.len() {
        return Err(Error::TooManyGroups { user: user.to_owned(), count: groups.len() });
    }
    let mut name = common_name(user);
    for (kind, group) in organization.into_iter().zip(groups) {
        name.push(kind, *group);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn new_key(name: &str) -> Result<KeyPair> {
    KeyPair::generate().map_err(certificate(name))
}

fn certificate(name: &str) -> impl FnOnce(rcgen::Error) -> Error {
    move |source| Error::Certificate { name: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_has_up_to_two_groups() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::of(folder.path());
        pki.create().unwrap();
        assert!(pki.client("operator", &["a", "b"]).is_ok());
        let error = pki.client("operator", &["a", "b", "c"]).err().unwrap();
        assert!(error.to_string().contains("at most two groups"), "{error}");
    }
}
