//! One test binary: linking the engine once is a minute cheaper than a dozen times.

mod server;
