//! What the laptops of a room have fetched so far. They are told apart by their addresses; nothing else is remembered of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use serde::Serialize;

/// The share of the weights' bytes after which a laptop has them: GPT-2's files hold masks, a tenth of them, that are made and
/// not fetched.
const ENOUGH: f64 = 0.9;

pub struct Counts {
    /// Paths of the weights of the model that the page opens with.
    weights: BTreeSet<String>,
    /// Bytes of all of them.
    weights_bytes: u64,
    laptops: Mutex<BTreeMap<IpAddr, Laptop>>,
}

/// Bytes of bodies that were sent.
#[derive(Default, Clone, Copy)]
struct Laptop {
    /// Whether it asked for a page: one that only looked at the join page has not come in.
    came: bool,
    all: u64,
    weights: u64,
}

/// What the join page shows.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Machines that have opened the page.
    pub laptops: usize,
    /// Of them, those that have fetched the weights.
    pub loaded: usize,
    /// Bytes of all answers to all of them, as they went over the network.
    pub bytes: u64,
    /// Of these, bytes of the weights.
    pub weights: u64,
}

impl fmt::Display for Sum {
    /// For the terminal, at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { laptops, loaded, bytes, .. } = self;
        write!(f, "Sent {:.1} MB; {loaded} of {laptops} laptops have fetched the model", *bytes as f64 / 1e6)
    }
}

impl Counts {
    pub fn new(weights: BTreeSet<String>, weights_bytes: u64) -> Arc<Self> {
        Arc::new(Self { weights, weights_bytes, laptops: Mutex::default() })
    }

    pub fn sum(&self) -> Sum {
        let laptops = self.laptops.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = self.weights_bytes as f64 * ENOUGH;
        Sum {
            laptops: laptops.values().filter(|laptop| laptop.came).count(),
            // Of a model without weights nobody has anything.
            loaded: laptops.values().filter(|laptop| enough > 0.0 && laptop.weights as f64 >= enough).count(),
            bytes: laptops.values().map(|laptop| laptop.all).sum(),
            weights: laptops.values().map(|laptop| laptop.weights).sum(),
        }
    }

    fn came(&self, from: IpAddr) {
        self.laptops.lock().unwrap_or_else(PoisonError::into_inner).entry(from).or_default().came = true;
    }

    fn add(&self, from: IpAddr, is_weights: bool, bytes: u64) {
        let mut laptops = self.laptops.lock().unwrap_or_else(PoisonError::into_inner);
        let laptop = laptops.entry(from).or_default();
        laptop.all += bytes;
        laptop.weights += if is_weights { bytes } else { 0 };
    }
}

/// A layer around everything: counts each answer's bytes when they are sent. What the join page asks for does not count.
pub async fn count(
    State(counts): State<Arc<Counts>>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path.starts_with("/join") {
        return next.run(request).await;
    }
    let is_weights = counts.weights.contains(path);
    let from = from.ip().to_canonical();
    if path.ends_with('/') || path.ends_with(".html") {
        counts.came(from);
    }
    next.run(request).await.map(|body| Body::new(Counted { body, counts, from, is_weights }))
}

/// A body that says what went out of it.
struct Counted {
    body: Body,
    counts: Arc<Counts>,
    from: IpAddr,
    is_weights: bool,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.counts.add(self.from, self.is_weights, bytes.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_fetched_a_model_that_has_no_bytes() {
        for (bytes, loaded) in [(0, 0), (10, 1)] {
            let counts = Counts::new(BTreeSet::new(), bytes);
            let from = IpAddr::from([127, 0, 0, 1]);
            counts.came(from);
            counts.add(from, true, 9);
            let sum = counts.sum();
            assert_eq!((sum.laptops, sum.loaded, sum.bytes), (1, loaded, 9));
        }
    }
}
