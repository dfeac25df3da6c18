//! `microtome serve`: make the browser module current, then serve the page: on this machine, or with `--lan` to a room.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use axum_server::Handle;

use super::room::certificate::cache_folder;
use super::room::models::{self, Model};
use super::room::{self, Room};
use super::server::{Extras, failed};
use super::source::Source;
use super::{module, server};
use crate::error::Result;

#[derive(clap::Args)]
pub struct Args {
    /// TCP port; 0 takes any free one. With --lan, plain http has the port after it.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address or name to listen on: this machine's own alone, or with --lan all of them; one that is named is the only one that
    /// is given out. Over plain http, browsers have WebGPU only for this machine's own address.
    #[arg(long)]
    host: Option<String>,
    /// For a room of laptops: over HTTPS, with a certificate made on the spot, and over plain http; /join says how to join.
    #[arg(long)]
    lan: bool,
    /// A model's folder, as `microtome fetch` writes it, that the page opens with; others, if there are more, are offered.
    #[arg(long, value_name = "DIR")]
    model: Vec<PathBuf>,
    /// Open the page in the default browser; with --lan, the page that says how to join.
    #[arg(long)]
    open: bool,
}

/// Serves until Ctrl-C.
///
/// # Errors
/// `site.port_taken`, `site.no_port` and those of [`models::named`] before anything is built; else those of [`module::make`],
/// and `site.certificate`.
pub fn main(args: Args) -> Result<()> {
    let source = Source::find()?;
    let www = source.www();
    let models = models::named(&args.model, &www)?;
    if args.lan {
        let listeners = room::listen(args.host.as_deref().unwrap_or("0.0.0.0"), args.port)?;
        module::make(&source)?;
        let room = Room::new(listeners, &www, &args.model, &cache_folder())?;
        // Addresses for other programs come first, and alone, on standard output.
        for address in room.invitation.https.iter().chain(&room.invitation.http) {
            println!("{address}");
        }
        eprintln!("{}Serving {} (Ctrl-C stops)", room.invitation.text()?, www.display());
        open(args.open, &format!("{}join", room.invitation.own));
        let counts = room.counts.clone();
        let served = block_on(async {
            let handle = Handle::new();
            until_interrupted(room.run(handle.clone()), || Room::end(&handle)).await
        });
        eprintln!("{}", counts.sum());
        return served;
    }
    let listener = server::listen(args.host.as_deref().unwrap_or("127.0.0.1"), args.port)?;
    module::make(&source)?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let url = format!("http://{address}/");
    println!("{url}");
    eprintln!("Serving {} at {url} (Ctrl-C stops)", www.display());
    open(args.open, &url);
    let first = models.first().map(Model::address);
    block_on(alone(listener, &server::router_with(&www, &Extras { models, first, ..Extras::default() })?))
}

fn open(wanted: bool, url: &str) {
    if wanted && let Err(error) = opener::open(url) {
        eprintln!("warning: no browser could be opened ({error}): open {url}");
    }
}

fn block_on(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Runtime::new().map_err(|error| failed(&error))?.block_on(work)
}

async fn alone(listener: TcpListener, router: &axum::Router) -> Result<()> {
    let handle: Handle<SocketAddr> = Handle::new();
    let server = axum_server::from_tcp(listener).map_err(|error| failed(&error))?;
    let serving = async {
        let served = server.handle(handle.clone()).serve(router.clone().into_make_service()).await;
        served.map_err(|error| failed(&error))
    };
    until_interrupted(serving, || handle.graceful_shutdown(None)).await
}

/// Ends when the serving ends: by itself, after a first Ctrl-C when the open downloads have, or at a second one.
async fn until_interrupted(serving: impl Future<Output = Result<()>>, stop: impl FnOnce()) -> Result<()> {
    let interrupted = async {
        tokio::signal::ctrl_c().await?;
        eprintln!("Stopping when the open downloads end (Ctrl-C again: now)");
        stop();
        tokio::signal::ctrl_c().await
    };
    tokio::select! {
        end = serving => end,
        interrupt = interrupted => interrupt.map_err(|error| failed(&error)),
    }
}
