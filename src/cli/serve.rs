//! `microtome serve`: make the browser module current, then serve the page on this machine.

use std::net::TcpListener;

use super::source::Source;
use super::{module, server};
use crate::error::{Error, Result};

#[derive(clap::Args)]
pub struct Args {
    /// TCP port; 0 takes any free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Address or name to listen on. Over plain http, browsers have WebGPU only for this machine's own address.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Open the page in the default browser.
    #[arg(long)]
    open: bool,
}

/// Serves until Ctrl-C.
///
/// # Errors
/// `site.port_taken`, `site.no_port` before anything is built; else those of [`module::make`].
pub fn main(args: Args) -> Result<()> {
    let source = Source::find()?;
    let listener = listen(&args.host, args.port)?;
    module::make(&source)?;
    let address = listener.local_addr().map_err(|error| server_failed(&error))?;
    let url = format!("http://{address}/");
    println!("{url}");
    eprintln!("Serving {} at {url} (Ctrl-C stops)", source.www().display());
    if args.open
        && let Err(error) = opener::open(&url)
    {
        eprintln!("warning: no browser could be opened ({error}): open {url}");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| server_failed(&error))?;
    runtime.block_on(run(listener, &source))
}

/// Takes the port first: building for minutes only to find it taken would be rude.
fn listen(host: &str, port: u16) -> Result<TcpListener> {
    TcpListener::bind((host, port)).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let other = port.checked_add(1).unwrap_or(8080);
            Error::run("site.port_taken", format!("port {port} of {host} is taken"))
                .with_action(format!("run `cargo run --release -- serve --port {other}`"))
        }
        _ => Error::run("site.no_port", format!("cannot listen on {host} port {port}: {error}"))
            .with_action("run `cargo run --release -- serve --host 127.0.0.1 --port 8080`"),
    })
}

async fn run(listener: TcpListener, source: &Source) -> Result<()> {
    listener.set_nonblocking(true).map_err(|error| server_failed(&error))?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| server_failed(&error))?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, server::router(&source.www())?).with_graceful_shutdown(async {
        // An error here means that the sender is gone, which is a reason to stop as well.
        let _ = stopped.await;
    });
    let interrupted = async {
        tokio::signal::ctrl_c().await?;
        eprintln!("Stopping when the open downloads end (Ctrl-C again: now)");
        let _ = stop.send(());
        tokio::signal::ctrl_c().await
    };
    tokio::select! {
        end = serving => end,
        interrupt = interrupted => interrupt,
    }
    .map_err(|error| server_failed(&error))
}

fn server_failed(error: &std::io::Error) -> Error {
    Error::run("site.server", format!("the server stopped: {error}"))
}
