//! `microtome fetch hf:owner/name --out DIR`: downloads a model by the same rules as the page.

mod folder;
mod http;

use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::address::Address;
use crate::download::{Download, FileInfo, Spec, Step};
use crate::error::{Error, Result};
use folder::Folder;
use http::{Answer, Http};

#[derive(clap::Args)]
pub struct Args {
    /// The model: hf:owner/name[@revision], or https://host/folder/.
    address: String,
    /// Directory for its files; an interrupted download in it is continued.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A mirror of the Hub in place of https://huggingface.co.
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT")]
    endpoint: Option<String>,
    /// Read files that are already there again, and check them.
    #[arg(long)]
    verify: bool,
    /// Multiplies waits and limits of time; for tests.
    #[arg(long, hide = true, default_value_t = 1.0)]
    time_scale: f64,
}

pub fn main(args: Args) -> Result<()> {
    let (files, unverified) = download(args)?;
    for file in &files {
        let hash = file.sha256.as_deref().unwrap_or("-");
        let note = if unverified.contains(&file.name) { "  (nobody states its hash)" } else { "" };
        println!("{}  {}  SHA-256 {hash}{note}", file.name, bytes(file.size.unwrap_or(0)));
    }
    Ok(())
}

/// Downloads a model into a folder, from `HF_ENDPOINT` if that is set.
///
/// # Errors
/// As the command's.
pub fn bring(address: &str, out: &Path) -> Result<()> {
    let endpoint = std::env::var("HF_ENDPOINT").ok();
    let (address, out) = (address.to_owned(), out.to_owned());
    download(Args { address, out, endpoint, verify: false, time_scale: 1.0 }).map(|_| ())
}

fn download(args: Args) -> Result<(Vec<FileInfo>, Vec<String>)> {
    let address: Address = args.address.parse()?;
    let consent = match &address {
        Address::Hub(_) => None,
        // Whoever types a host agrees to it.
        Address::Web(web) => Some(web.host.clone()),
        Address::Folder(_) | Address::Local => {
            return Err(Error::input("address.local", format!("'{address}' is not something to download"))
                .with_action("Expected hf:owner/name, or https://host/folder/."));
        }
    };
    let endpoint = args.endpoint.filter(|endpoint| !endpoint.is_empty());
    let (verify, time_scale) = (args.verify, args.time_scale);
    let seed = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos().into());
    let spec = Spec { consent, endpoint, verify, time_scale, seed, ..Spec::new(args.address) };
    let mut download = Download::new(&spec)?;
    let mut folder = Folder::open(&args.out)?;
    let bar = progress_bar();
    let fetched = fetch(&mut download, &mut folder, &Http::new(), &bar);
    bar.finish_and_clear();
    fetched
}

/// Does what the download says until it ends; the files, and the names of those whose hash nobody stated.
fn fetch(
    download: &mut Download,
    folder: &mut Folder,
    http: &Http,
    bar: &ProgressBar,
) -> Result<(Vec<FileInfo>, Vec<String>)> {
    let mut unverified = Vec::new();
    let mut body = None;
    loop {
        match download.step() {
            Step::Open { file } => {
                let (have, note, complete) = folder.open_file(&file)?;
                download.opened(have, note.as_deref(), complete);
            }
            Step::Get { url, range, stall_ms } => {
                let stall = Duration::from_millis(stall_ms);
                match http.get(&url, range.as_deref(), stall, &|url| download.may_follow(url)) {
                    Ok(Answer { response, body: answered }) => {
                        download.response(&response);
                        body = Some(answered);
                    }
                    Err((kind, detail)) => download.failed(kind, &detail),
                }
            }
            Step::Body => {
                let answered = body.take().ok_or_else(|| Error::internal("a body was wanted twice"))?;
                read_body(download, folder, answered, bar)?;
            }
            Step::Read { from, to } => match folder.read(from, to) {
                Ok(bytes) => drop(download.bytes(&bytes)),
                Err(error) => download.failed(crate::download::FailureKind::Network, &error.message),
            },
            Step::Write { at, bytes } => folder.write(at, &bytes)?,
            Step::Note { note } => folder.note(note)?,
            Step::Truncate { to, message } => {
                folder.truncate(to)?;
                bar.suspend(|| eprintln!("{message}: starting again"));
            }
            Step::Wait { ms, message, .. } => {
                bar.suspend(|| eprintln!("{message} in {:.0} s", ms as f64 / 1000.0));
                std::thread::sleep(Duration::from_millis(ms));
            }
            Step::Close { file, verified, .. } => {
                folder.close()?;
                if !verified {
                    unverified.push(file.name);
                }
            }
            Step::Keep { file } => bar.suspend(|| eprintln!("{} is there already", file.name)),
            Step::Drop => folder.drop_file()?,
            Step::Done { files, .. } => return Ok((files, unverified)),
            Step::Fail { error } => return Err(error),
        }
        show(download, bar);
    }
}

/// Reads a body for as long as more of it is wanted.
fn read_body(
    download: &mut Download,
    folder: &mut Folder,
    mut body: http::Reader,
    bar: &ProgressBar,
) -> Result<()> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        match body.read(&mut buffer) {
            Ok(0) => {
                download.end();
                return Ok(());
            }
            Ok(count) => {
                let chunk = &buffer[..count];
                let part = download.bytes(chunk);
                folder.write(part.at, &chunk[..part.to])?;
                show(download, bar);
                if !part.more {
                    return Ok(());
                }
            }
            Err((kind, detail)) => {
                download.failed(kind, &detail);
                return Ok(());
            }
        }
    }
}

fn show(download: &Download, bar: &ProgressBar) {
    let progress = download.progress();
    bar.set_length(progress.all_bytes.or(progress.bytes).unwrap_or(0));
    bar.set_position(if progress.all_bytes.is_some() { progress.all_done } else { progress.done });
    let phase = if progress.phase == "verify" { "checking " } else { "" };
    bar.set_message(format!("{phase}{}", progress.file.as_deref().unwrap_or_default()));
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// `548.1 MB`
fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
