//! What a benchmark says: JSON, and the table for people.

use super::{Case, MatmulRate};
use crate::outcome::EngineInfo;
use serde::Serialize;
use std::fmt;

/// Everything measured in one go.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The program's version and the machine it was built for.
    pub build: &'static str,
    pub shape: &'static str,
    pub seed: u64,
    pub engines: Vec<EngineReport>,
}

/// What one engine did.
#[derive(Clone, Debug, Serialize)]
pub struct EngineReport {
    /// `cpu` or `gpu`
    pub backend: &'static str,
    pub adapter: Option<String>,
    pub build: &'static str,
    /// Of the CPU engine.
    pub threads: Option<usize>,
    /// Milliseconds to put the weights on the engine, not counted anywhere else.
    pub prepare_ms: f64,
    pub matmul: MatmulRate,
    pub rows: Vec<Row>,
}

/// A case, timed.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub case: &'static str,
    pub title: &'static str,
    pub tokens: usize,
    pub repeats: usize,
    pub median_ms: f64,
    pub min_ms: f64,
    pub flops: u64,
    pub dispatches: u64,
    pub readbacks: u64,
    pub weight_bytes_read: u64,
    /// Counted operations over the median.
    pub gflops: f64,
    /// `gflops` over the best matrix product's.
    pub share: f64,
}

impl Row {
    pub(super) fn new(case: &Case, mut times: Vec<f64>, counted: &EngineInfo, best: &MatmulRate) -> Self {
        times.sort_by(f64::total_cmp);
        let (half, odd) = (times.len() / 2, times.len() % 2 == 1);
        let median_ms = if odd { times[half] } else { (times[half - 1] + times[half]) / 2.0 };
        let gflops = counted.flops as f64 / median_ms / 1e6;
        Self {
            case: case.case,
            title: case.title,
            tokens: case.tokens,
            repeats: times.len(),
            median_ms,
            min_ms: times[0],
            flops: counted.flops,
            dispatches: counted.dispatches,
            readbacks: counted.readbacks,
            weight_bytes_read: counted.weight_bytes_read,
            gflops,
            share: gflops / best.gflops,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; random weights of shape {}, seed {}", self.build, self.shape, self.seed)?;
        self.engines.iter().try_for_each(|engine| write!(f, "\n{engine}"))
    }
}

impl fmt::Display for EngineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads = match self.threads {
            Some(1) => ", 1 thread".into(),
            Some(n) => format!(", {n} threads"),
            None => String::new(),
        };
        let adapter = self.adapter.as_ref().map_or(String::new(), |name| format!(", {name}"));
        writeln!(
            f,
            "{}{adapter}{threads}: weights ready in {:.0} ms, best matrix product {:.1} GFLOP/s",
            self.backend, self.prepare_ms, self.matmul.gflops
        )?;
        writeln!(
            f,
            "  {:<39} {:>3} {:>10} {:>10} {:>9} {:>6} {:>5} {:>8} {:>8} {:>6}",
            "case", "T", "median ms", "min ms", "GFLOP", "disp.", "read", "weights", "GFLOP/s", "share"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "  {:<39} {:>3} {:>10.1} {:>10.1} {:>9.3} {:>6} {:>5} {:>6.2}GB {:>8.1} {:>5.0}%",
                row.title,
                row.tokens,
                row.median_ms,
                row.min_ms,
                row.flops as f64 / 1e9,
                row.dispatches,
                row.readbacks,
                row.weight_bytes_read as f64 / 1e9,
                row.gflops,
                100.0 * row.share
            )?;
        }
        Ok(())
    }
}
