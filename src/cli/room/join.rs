//! The page that tells a room how to join, and the same in a terminal.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use qrcode::QrCode;
use qrcode::render::{svg, unicode::Dense1x2};

use super::address::Addresses;
use super::counts::Counts;
use super::models::Model;
use crate::error::{Error, Result};

/// No script but the page's own file, no style but the sheets, nothing of anybody else.
const POLICY: (HeaderName, HeaderValue) = (
    header::CONTENT_SECURITY_POLICY,
    HeaderValue::from_static(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
);

/// What people in the room have to know.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// `https://HOST:PORT/`, the best one first.
    pub https: Vec<String>,
    /// The same places without the certificate.
    pub http: Vec<String>,
    /// Of the certificate, see [`super::certificate::Certificate::fingerprint`].
    pub fingerprint: String,
    /// The model that the page opens with: its name and the bytes of its weights.
    pub model: (String, u64),
    /// Addresses, as typed on the page, of the other models that were brought.
    pub others: Vec<String>,
    /// For the machine that serves.
    pub own: String,
    /// Of HTTPS and of plain http.
    pub ports: (u16, u16),
}

impl Invitation {
    /// Without a network this machine's own name stands for it.
    pub fn new(
        addresses: &Addresses,
        ports: (u16, u16),
        fingerprint: String,
        first: &Model,
        models: &[Model],
        weights_bytes: u64,
    ) -> Self {
        let mut hosts = addresses.hosts();
        if hosts.is_empty() {
            hosts.push("localhost".to_owned());
        }
        let with =
            |scheme: &str, port: u16| hosts.iter().map(|host| format!("{scheme}://{host}:{port}/")).collect();
        Self {
            https: with("https", ports.0),
            http: with("http", ports.1),
            fingerprint,
            model: (first.name.clone(), weights_bytes),
            others: models.iter().skip(1).map(Model::address).collect(),
            own: format!("http://{}:{}/", addresses.own(), ports.1),
            ports,
        }
    }

    fn first(&self) -> (&str, &str) {
        (self.https.first().map_or("", String::as_str), self.http.first().map_or("", String::as_str))
    }

    fn code(&self) -> Result<QrCode> {
        QrCode::new(self.first().0).map_err(|error| Error::internal(format!("the QR code: {error}")))
    }

    /// For a terminal: the code in half blocks, light on dark as most terminals are, then the addresses.
    ///
    /// # Errors
    /// `internal` when the address does not fit into a code.
    pub fn text(&self) -> Result<String> {
        // The colours are swapped: a terminal draws the blocks in its light colour.
        let code =
            self.code()?.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        let (https, http) = self.first();
        Ok(format!(
            "{code}\n\
             For the room:      {https}\n\
             Without the GPU:   {http}   (no certificate to accept, the CPU computes)\n\
             To be projected:   {own}join\n\
             If nothing opens:  let TCP ports {https_port} and {http_port} through the firewall; some Wi-Fi keeps laptops apart (“client isolation”)\n\
             Fingerprint (SHA-256) of the certificate, which browsers will warn about:\n  {fingerprint}\n",
            own = self.own,
            https_port = self.ports.0,
            http_port = self.ports.1,
            fingerprint = self.fingerprint,
        ))
    }

    fn page(&self) -> String {
        let (https, http) = self.first();
        let items = |list: &[String]| -> String {
            list.iter().map(|address| format!("<li><code>{}</code></li>", escaped(address))).collect()
        };
        let rest = |list: &[String]| items(list.get(1..).unwrap_or_default());
        let others = if self.others.is_empty() {
            String::new()
        } else {
            format!(
                "<p>Other models are here too; type one of these under “Another model”:</p><ul>{}</ul>",
                items(&self.others)
            )
        };
        let pairs: Vec<&str> = self.fingerprint.split(':').collect();
        let fingerprint: Vec<String> = pairs.chunks(8).map(|row| row.join(":")).collect();
        [
            ("https", escaped(https)),
            ("more-https", rest(&self.https)),
            ("http", escaped(http)),
            ("fingerprint", fingerprint.join(":<wbr>")),
            ("model", escaped(&self.model.0)),
            ("megabytes", format!("{:.1}", self.model.1 as f64 / 1e6)),
            ("others", others),
            ("ports", format!("{} and {}", self.ports.0, self.ports.1)),
        ]
        .iter()
        .fold(include_str!("join.html").to_owned(), |page, (name, text)| {
            page.replace(&format!("{{{{{name}}}}}"), text)
        })
    }
}

/// `/join` with what it needs, and `/join.json`, the counts so far.
///
/// # Errors
/// As [`Invitation::text`].
pub fn router(invitation: &Invitation, counts: &Arc<Counts>) -> Result<Router> {
    let (black, white) = (svg::Color("#000"), svg::Color("#fff"));
    let code = invitation
        .code()?
        .render::<svg::Color>()
        .dark_color(black)
        .light_color(white)
        .min_dimensions(240, 240)
        .build();
    let page = invitation.page();
    let counts = counts.clone();
    Ok(Router::new()
        .route("/join", file("text/html; charset=utf-8", page))
        .route("/join.svg", file("image/svg+xml", code))
        .route("/join.js", file("text/javascript; charset=utf-8", include_str!("join.js").to_owned()))
        .route("/join.css", file("text/css; charset=utf-8", include_str!("join.css").to_owned()))
        .route(
            "/join.json",
            get(move || async move { ([(header::CACHE_CONTROL, "no-store")], Json(counts.sum())) }),
        ))
}

fn file(kind: &'static str, text: String) -> axum::routing::MethodRouter {
    get(move || {
        let text = text.clone();
        async move {
            let headers = [
                POLICY,
                (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, text).into_response()
        }
    })
}

/// Text that stays text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn invitation(ips: Vec<Ipv4Addr>, name: &str) -> Invitation {
        let model = |name: &str| Model { name: name.to_owned(), folder: "x".into() };
        let models = [model("a"), model("b")];
        let ips = ips.into_iter().map(Into::into).collect();
        let addresses = Addresses { ips, name: None, alone: false };
        Invitation::new(&addresses, (8080, 8081), "AA:BB".to_owned(), &model(name), &models, 2_000_000)
    }

    #[test]
    fn the_page_says_everything_once_it_is_filled_in() {
        let page = invitation(vec![Ipv4Addr::new(192, 168, 1, 5), Ipv4Addr::new(10, 0, 0, 9)], "a").page();
        for text in [
            "https://192.168.1.5:8080/",
            "http://192.168.1.5:8081/",
            "https://10.0.0.9:8080/",
            "AA:BB",
            "2.0",
            "./models/b/",
            "TCP ports 8080 and 8081",
            "href=\"workshop.html\"",
            "href=\"handout.html\"",
        ] {
            assert!(page.contains(text), "{text} is missing");
        }
        assert!(!page.contains("{{"), "{page}");
        assert!(!page.contains("./models/a/"), "the first model is no other model");
    }

    #[test]
    fn text_stays_text() {
        let page = invitation(Vec::new(), "<img src=x onerror=alert(1)>").page();
        assert!(page.contains("https://localhost:8080/"));
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;") && !page.contains("<img src=x"));
    }
}
