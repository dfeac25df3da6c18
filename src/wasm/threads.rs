//! Threads of the browser module: rayon's pool on Web Workers that share this module's memory.
//!
//! `www/threads.js` starts the workers. Each makes an instance of the module on the shared memory and calls
//! [`run_thread`], which never returns; when all are about to, the engine's worker calls [`start_threads`] and is itself
//! the first thread of the pool.

use js_sys::Array;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use std::sync::{Condvar, Mutex, PoisonError};
use wasm_bindgen::prelude::*;

/// Threads that rayon wants and no worker has taken yet. A queue in shared memory, because a worker that waits for rayon's
/// start cannot receive messages.
static WANTED: Mutex<Vec<ThreadBuilder>> = Mutex::new(Vec::new());
static ADDED: Condvar = Condvar::new();

/// `[module, memory]`, with which another worker makes its instance.
#[wasm_bindgen(js_name = sharedModule)]
pub fn shared_module() -> Array {
    Array::of2(&wasm_bindgen::module(), &wasm_bindgen::memory())
}

/// Starts the pool of `threads` threads, this one among them; `threads − 1` workers must be ready for [`run_thread`].
///
/// # Errors
/// When there is a pool already.
#[wasm_bindgen(js_name = startThreads)]
pub fn start_threads(threads: usize) -> Result<(), JsError> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).use_current_thread().spawn_handler(|thread| {
        WANTED.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        ADDED.notify_one();
        Ok(())
    });
    Ok(pool.build_global()?)
}

/// Is one thread of the pool until the worker ends.
#[wasm_bindgen(js_name = runThread)]
pub fn run_thread() {
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = loop {
        match wanted.pop() {
            Some(thread) => break thread,
            None => wanted = ADDED.wait(wanted).unwrap_or_else(PoisonError::into_inner),
        }
    };
    drop(wanted);
    thread.run();
}
