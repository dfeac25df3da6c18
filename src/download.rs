//! Bringing a model's files into a store: all decisions, and no effect. [`Download::step`] says what is to be done, by
//! whoever can reach a network and a store; what came of it is told, and the next step follows. So the page and the
//! command line download by the same rules, and every fault can be tested without a network.
//!
//! address → which files ([`wanted`]) → each file's way ([`transfer`]), judged answer by answer ([`response`]) and byte by
//! byte ([`content`])

pub mod content;
mod masks;
mod place;
pub mod presets;
mod response;
mod retry;
mod terms;
mod transfer;
mod wanted;

use crate::config::Config;
use crate::error::{Error, Result};
use transfer::{Outcome, Transfer};

use crate::weights::manifest;

pub use crate::weights::manifest::{MANIFEST, Manifest};
use place::Place;
pub use response::{Headers, Response};
pub use terms::{Checkpoint, FailureKind, FileInfo, Part, Progress, Spec, Step};
use wanted::{Plan, Role};

/// What every transfer of a download shares.
#[derive(Clone, Copy, Debug)]
struct Options {
    verify: bool,
    time_scale: f64,
    least_gap: u64,
}

/// One model on its way into a store.
pub struct Download {
    place: Place,
    options: Options,
    seed: u64,
    plan: Plan,
    current: Option<(Role, Transfer)>,
    done: Vec<FileInfo>,
    /// The last step, given again and again.
    last: Option<Step>,
    /// Of files that are done.
    received: u64,
    restarts: u32,
}

impl Download {
    /// # Errors
    /// Those of an address; `address.local` for files that are picked; `address.base` for a folder below no page;
    /// `address.consent` for a host that was not agreed to.
    pub fn new(spec: &Spec) -> Result<Self> {
        let place = Place::new(spec)?;
        let plan = Plan::new(place.preset(), place.step());
        let options = Options {
            verify: spec.verify,
            time_scale: spec.time_scale.clamp(0.0, 1e3),
            least_gap: spec.least_gap.max(1),
        };
        let seed = spec.seed;
        let mut download = Self {
            place,
            options,
            seed,
            plan,
            current: None,
            done: Vec::new(),
            last: None,
            received: 0,
            restarts: 0,
        };
        download.start_next();
        Ok(download)
    }

    /// What is to be done next.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(last) = &self.last {
                return last.clone();
            }
            let Some((role, transfer)) = &mut self.current else {
                self.last = Some(Step::Done {
                    revision: self.place.revision.clone(),
                    files: self.done.clone(),
                    checkpoints: self.checkpoints(),
                });
                continue;
            };
            match transfer.next() {
                // A listing is read into memory: there is nothing to store.
                Some(step)
                    if *role != Role::Listing
                        || matches!(step, Step::Get { .. } | Step::Body | Step::Wait { .. }) =>
                {
                    return step;
                }
                Some(_) => {}
                None => {
                    let role = *role;
                    if let Err(error) = self.settle(role) {
                        self.last = Some(Step::Fail { error });
                    }
                }
            }
        }
    }

    /// A file's transfer has ended: what follows from it.
    fn settle(&mut self, role: Role) -> Result<()> {
        let Some((_, mut transfer)) = self.current.take() else { return Ok(()) };
        self.received += transfer.received;
        self.restarts += transfer.restarts;
        let outcome = transfer.outcome();
        if role == Role::Listing {
            match outcome {
                Some(Outcome::Done) => {
                    self.place.read_listing(transfer.kept())?.into_iter().for_each(|c| self.plan.listed(c))
                }
                Some(Outcome::Failed(error)) => return Err(error),
                // No listing: the usual names are tried.
                _ => {}
            }
            self.plan.listing_done();
            self.start_next();
            return Ok(());
        }
        let found = match outcome {
            Some(Outcome::Done) => true,
            Some(Outcome::Absent) => false,
            Some(Outcome::WebPage(error)) => {
                if self.plan.is_required(role) {
                    return Err(error);
                }
                self.plan.web_page(error);
                false
            }
            Some(Outcome::Failed(error)) => return Err(error),
            None => return Err(Error::internal("a transfer ended without an outcome")),
        };
        if found {
            let info = transfer.info().clone();
            if role == Role::Config {
                Config::from_json(transfer.kept()).map_err(|e| e.at(self.place.source()))?;
            }
            self.done.push(info);
        }
        self.plan.after(role, found, transfer.kept()).map_err(|e| e.at(self.place.source()))?;
        self.start_next();
        Ok(())
    }

    /// The family's steps, and how many bytes each is beside the model.
    fn checkpoints(&self) -> Vec<Checkpoint> {
        let size = |name: &String| self.plan.entry(name).and_then(|entry| entry.size);
        let checkpoint = |step: &manifest::Step| Checkpoint {
            step: step.step,
            bytes: step.file.as_ref().map_or(Some(0), size),
        };
        self.plan.checkpoints().iter().map(checkpoint).collect()
    }

    /// Begins the next file that the plan wants; none is left when `current` stays empty.
    fn start_next(&mut self) {
        let Some((role, name)) = self.plan.next() else { return };
        self.seed = self.seed.wrapping_add(1);
        let entry = self.plan.entry(&name);
        let wanted = self.place.wanted(role, &name, entry, !self.plan.is_required(role));
        let transfer = if role == Role::Listing {
            Transfer::in_memory(wanted, self.options, self.seed)
        } else {
            Transfer::new(wanted, self.options, self.seed)
        };
        self.current = Some((role, transfer));
    }

    /// Whether the open request may be sent on to `url`.
    pub fn may_follow(&self, url: &str) -> bool {
        self.current.as_ref().is_some_and(|(_, transfer)| transfer.may_follow(url))
    }

    fn transfer(&mut self) -> Option<&mut Transfer> {
        self.current.as_mut().map(|(_, transfer)| transfer)
    }

    /// Answers [`Step::Open`].
    pub fn opened(&mut self, have: u64, note: Option<&str>, complete: bool) {
        self.transfer().into_iter().for_each(|transfer| transfer.opened(have, note, complete));
    }

    /// Answers [`Step::Get`].
    pub fn response(&mut self, response: &Response) {
        self.transfer().into_iter().for_each(|transfer| transfer.response(response));
    }

    /// Bytes of a body, or those that [`Step::Read`] asked for.
    pub fn bytes(&mut self, chunk: &[u8]) -> Part {
        let nothing = Part { at: 0, to: 0, more: false };
        let Some((role, transfer)) = &mut self.current else { return nothing };
        let part = transfer.bytes(chunk);
        if *role == Role::Listing { Part { to: 0, ..part } } else { part }
    }

    /// A body ended by itself.
    pub fn end(&mut self) {
        self.transfer().into_iter().for_each(Transfer::end);
    }

    /// A request, a body or a read from the store failed.
    pub fn failed(&mut self, kind: FailureKind, detail: &str) {
        self.transfer().into_iter().for_each(|transfer| transfer.failed(kind, detail));
    }

    pub fn progress(&self) -> Progress {
        let file = self.current.as_ref().filter(|(role, _)| *role != Role::Listing);
        let (done, bytes) = file.map_or((0, None), |(_, transfer)| transfer.progress());
        let settled: u64 = self.done.iter().filter_map(|info| info.size).sum();
        let (mut files, mut all_bytes) = (None, None);
        if self.last.is_some() || self.current.is_none() {
            (files, all_bytes) = (Some(self.done.len()), Some(settled));
        } else if let Some(rest) = file.and_then(|(role, _)| self.plan.outlook(*role)) {
            files = Some(self.done.len() + 1 + rest.len());
            let rest = rest.iter().try_fold(0_u64, |sum, size| Some(sum + (*size)?));
            all_bytes = bytes.zip(rest).map(|(bytes, rest)| settled + bytes + rest);
        }
        let transfers = self.current.as_ref().map(|(_, transfer)| transfer);
        Progress {
            file: file.map(|(_, transfer)| transfer.info().name.clone()),
            files_done: self.done.len(),
            files,
            done,
            bytes,
            all_done: settled + done,
            all_bytes,
            received: self.received + transfers.map_or(0, |t| t.received),
            restarts: self.restarts + transfers.map_or(0, |t| t.restarts),
            phase: match &self.current {
                Some((Role::Listing, _)) => "list",
                Some((_, transfer)) if transfer.is_checking() => "verify",
                _ => "download",
            },
        }
    }
}
