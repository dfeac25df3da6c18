//! The certificate of a room: made on the spot for this machine's addresses, and kept, so that a laptop that has accepted
//! it once need not do so again at the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::Place;
use crate::error::{Error, Result};

const DAY: u64 = 24 * 60 * 60;
/// For as long as a new certificate holds.
const DAYS: u64 = 30;
/// One that ends sooner than this is replaced: no workshop should meet its end.
const LEAST_DAYS: u64 = 2;
/// A certificate is for so many names at most: those of this start and of the networks before it.
const MOST_NAMES: usize = 24;

/// A certificate with its key, as it lies in the cache folder. Only its owner may read that file.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// What it is for: host names and addresses, those that were wanted last first.
    pub names: Vec<String>,
    /// Seconds since 1970.
    pub ends: u64,
    /// PEM.
    pub certificate: String,
    /// PEM.
    key: String,
}

impl Certificate {
    /// The kept one if it is for all of `names` and holds for days yet; else a new one, which is kept in `folder`. It is for the
    /// kept one's names too: a laptop that goes back and forth between two networks is not met by a stranger each time.
    /// A folder that cannot be written to, or where somebody else may write or read, costs no more than a warning on standard
    /// error.
    ///
    /// # Errors
    /// `site.certificate` when none can be made.
    pub fn kept(folder: &Path, names: &[String]) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let warn = |error: &Error| {
            eprintln!(
                "warning: the certificate cannot be kept, the next start makes another one: {}",
                error.message
            );
        };
        let place = Place::open(folder).inspect_err(warn).ok();
        let kept = place.as_ref().and_then(Place::read).filter(|kept| kept.tls().is_ok());
        let good = |kept: &&Self| {
            names.iter().all(|name| kept.names.contains(name))
                && kept.ends >= now.saturating_add(LEAST_DAYS * DAY)
        };
        if let Some(kept) = kept.as_ref().filter(good) {
            return Ok(kept.clone());
        }
        let earlier = kept.iter().flat_map(|kept| &kept.names).filter(|name| !names.contains(name));
        let all: Vec<String> =
            names.iter().chain(earlier).take(MOST_NAMES.max(names.len())).cloned().collect();
        let made = Self::make(&all, now)?;
        if let Some(place) = place {
            place.write(&made).unwrap_or_else(|error| warn(&error));
        }
        Ok(made)
    }

    fn make(names: &[String], now: u64) -> Result<Self> {
        let failed = |error: rcgen::Error| failed(&error);
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, "Microtome, made on this machine");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // From yesterday on: a laptop's clock may be late.
        let ends = now.saturating_add(DAYS * DAY);
        params.not_before = (UNIX_EPOCH + Duration::from_secs(now.saturating_sub(DAY))).into();
        params.not_after = (UNIX_EPOCH + Duration::from_secs(ends)).into();
        let certificate = params.self_signed(&key).map_err(failed)?.pem();
        Ok(Self { names: names.to_vec(), ends, certificate, key: key.serialize_pem() })
    }

    /// SHA-256 over the certificate, as browsers show it: pairs of hexadecimal digits with colons between them.
    ///
    /// # Errors
    /// `site.certificate` for one that cannot be read.
    pub fn fingerprint(&self) -> Result<String> {
        let hash = Sha256::digest(self.der()?);
        Ok(hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":"))
    }

    fn der(&self) -> Result<CertificateDer<'static>> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).map_err(|error| failed(&error))
    }

    /// What the server needs for HTTPS, HTTP/2 included.
    ///
    /// # Errors
    /// `site.certificate` for a certificate and a key that do not belong together, or cannot be read.
    pub fn tls(&self) -> Result<Arc<rustls::ServerConfig>> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|error| failed(&error))?;
        let certificate = self.der()?;
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate], key))
            .map_err(|error| failed(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// This user's folder for what can be made again.
pub fn cache_folder() -> PathBuf {
    let cache = etcetera::choose_base_strategy()
        .map_or_else(|_| std::env::temp_dir(), |strategy| strategy.cache_dir());
    cache.join("microtome")
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::run("site.certificate", format!("no certificate for HTTPS: {error}"))
}
