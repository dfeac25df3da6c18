//! A room of laptops around one machine: `serve --lan`. The page over HTTPS, since browsers give the GPU to secure pages
//! only, and over plain http for machines that cannot get past the warning; beside it a page that says how to join.

pub mod address;
pub mod certificate;
pub mod counts;
pub mod files;
pub mod join;
pub mod models;
mod place;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

use super::compressed::{self, Copies};
use super::server::{self, Extras};
use super::shell::Shell;
use crate::error::{Error, Result};
use address::Addresses;
use certificate::Certificate;
use counts::Counts;
use join::Invitation;
use models::Model;

/// Downloads that are under way when the server is told to stop get this long.
const LAST_DOWNLOADS: Duration = Duration::from_secs(10);

/// Everything that is decided before the first laptop comes.
pub struct Room {
    https: TcpListener,
    http: TcpListener,
    pub certificate: Certificate,
    pub invitation: Invitation,
    /// What the laptops have fetched.
    pub counts: Arc<Counts>,
    /// Compressed copies of the page's files.
    pub copies: Arc<Copies>,
    secure: Router,
    plain: Router,
    /// The files of the page, and what serves them.
    page: (PathBuf, Router),
}

impl Room {
    /// `folders`: models beside those of the page at `www`; the page opens with the first. `cache`: where the certificate is kept.
    ///
    /// # Errors
    /// `site.certificate`, `site.io`; those of [`models::named`].
    pub fn new(
        (https, http): (TcpListener, TcpListener),
        www: &Path,
        folders: &[PathBuf],
        cache: &Path,
    ) -> Result<Self> {
        let address = |listener: &TcpListener| listener.local_addr().map_err(|error| server::failed(&error));
        let (bound, plain) = (address(&https)?, address(&http)?);
        let (addresses, ports) = (Addresses::of(bound.ip()), (bound.port(), plain.port()));
        let certificate = Certificate::kept(cache, &addresses.certified())?;
        let models = models::named(folders, www)?;
        let default = Model { name: "pronoun".to_owned(), folder: www.join("models/pronoun") };
        let first = models.first();
        let (names, bytes) = first.unwrap_or(&default).weights();
        let path = |name: &String| format!("/models/{}/{name}", first.unwrap_or(&default).name);
        let counts = Counts::new(names.iter().map(path).collect(), bytes);
        let fingerprint = certificate.fingerprint()?;
        let invitation =
            Invitation::new(&addresses, ports, fingerprint, first.unwrap_or(&default), &models, bytes);
        let copies = Arc::new(Copies::default());
        let extras = |https_port| Extras {
            copies: copies.clone(),
            models: models.clone(),
            first: first.map(Model::address),
            offline: https_port == 0,
            // Without a network there is no address that others could use.
            room: invitation.https.first().filter(|_| !addresses.ips.is_empty()).cloned(),
            https_port: (https_port > 0).then_some(https_port),
        };
        let router = |files: &Router| -> Result<Router> {
            let all = files.clone().merge(join::router(&invitation, &counts)?);
            Ok(all.layer(from_fn_with_state(counts.clone(), counts::count)))
        };
        let page = server::router_with(www, &extras(0))?;
        let (secure, plain) = (router(&page)?, router(&server::router_with(www, &extras(ports.0))?)?);
        let page = (www.to_path_buf(), page);
        Ok(Self { https, http, certificate, invitation, counts, copies, secure, plain, page })
    }

    /// Serves until `handle` is told to shut down, or a listener fails.
    ///
    /// # Errors
    /// `site.server`, `site.certificate`.
    pub async fn run(self, handle: Handle<SocketAddr>) -> Result<()> {
        let tls = RustlsConfig::from_config(self.certificate.tls()?);
        let failed = |error: std::io::Error| server::failed(&error);
        let secure = axum_server::from_tcp_rustls(self.https, tls).map_err(failed)?;
        let plain = axum_server::from_tcp(self.http).map_err(failed)?;
        let secure = secure
            .handle(handle.clone())
            .serve(self.secure.into_make_service_with_connect_info::<SocketAddr>());
        let plain =
            plain.handle(handle).serve(self.plain.into_make_service_with_connect_info::<SocketAddr>());
        let (www, page) = self.page;
        tokio::spawn(async move {
            // Without a list there are no better copies, and no worker either, which says why.
            let names = tokio::task::spawn_blocking(move || {
                Shell::of(&www, false, |_, bytes| bytes).map(|shell| shell.names(&www))
            });
            if let Ok(Ok(names)) = names.await {
                compressed::warm(page, names).await;
            }
        });
        tokio::try_join!(secure, plain).map(|_| ()).map_err(failed)
    }

    /// Tells a running room to end when the downloads under way have.
    pub fn end(handle: &Handle<SocketAddr>) {
        handle.graceful_shutdown(Some(LAST_DOWNLOADS));
    }
}

/// Two listeners: one on `port`, the other on the next, so that whoever knows one address knows both; any two for 0.
///
/// # Errors
/// `site.port_taken`, `site.no_port`.
pub fn listen(host: &str, port: u16) -> Result<(TcpListener, TcpListener)> {
    let https = server::listen(host, port)?;
    let next = match port {
        0 => Some(0),
        port => port.checked_add(1),
    };
    let next = next.ok_or_else(|| {
        Error::input("site.no_port", format!("--lan takes two ports, and there is none after {port}"))
            .with_action("run `cargo run --release -- serve --lan --port 8080`")
    })?;
    Ok((https, server::listen(host, next)?))
}
