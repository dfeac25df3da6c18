//! The table of kernels: which files under `shaders/` make each, and how much of its output one workgroup covers.

use crate::weights::Storage;

macro_rules! wgsl {
    ($path:literal) => {
        include_str!(concat!("../../../shaders/", $path, ".wgsl"))
    };
}

/// One compute shader.
#[derive(Debug)]
pub struct Kernel {
    pub name: &'static str,
    /// Its file under `shaders/`, without the extension: the name, but for the variants of a template.
    pub file: &'static str,
    source: &'static str,
    /// Files of `shaders/shared/` that stand before it, in this order; the one of weights stands for all of
    /// [`Kernel::WEIGHTS`].
    pub shared: &'static [(&'static str, &'static str)],
    /// `[columns, rows]` of the output that a workgroup covers; `[64, 1]` is 64 elements anywhere, and one column is a
    /// whole row.
    pub tile: [u32; 2],
    registers: Registers,
}

/// What a template is filled with: the tile that one thread holds in registers, and the threads of a workgroup.
#[derive(Clone, Copy, Debug)]
struct Registers {
    rows: u32,
    /// Vectors of 4 columns.
    vectors: u32,
    lanes: u32,
    tall: u32,
}

/// Not a template.
const PLAIN: Registers = Registers { rows: 0, vectors: 0, lanes: 0, tall: 0 };

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    ReadWrite,
}

impl Kernel {
    /// How matrices of weights are read, by [`Storage`].
    pub const WEIGHTS: [(Storage, &'static str, &'static str); 2] =
        [(Storage::F32, WEIGHTS.0, WEIGHTS.1), (Storage::F16, "weights_f16", wgsl!("shared/weights_f16"))];

    /// The storage that the text is made for: always the same where the kernel reads no matrix of weights.
    pub fn reads(&self, storage: Storage) -> Storage {
        if self.shared.contains(&WEIGHTS) { storage } else { Storage::F32 }
    }

    /// The whole WGSL text: the shared files, then the kernel's own.
    ///
    /// In a template a line with `{r}` stands once for every row of a thread's registers, one with `{c}` once for every
    /// vector, and ROWS, VECTORS, LANES and TALL are constants: registers have no index at run time, and an array would
    /// be slow memory.
    pub fn text(&self, storage: Storage) -> String {
        let of_weights = Self::WEIGHTS.into_iter().find(|(of, ..)| *of == storage);
        let shared = self.shared.iter().map(|(name, text)| match of_weights {
            Some((_, _, weights)) if *name == WEIGHTS.0 => weights,
            _ => *text,
        });
        let mut text: String = shared.map(|text| format!("{text}\n")).collect();
        let Registers { rows, vectors, lanes, tall } = self.registers;
        if lanes > 0 {
            for (name, value) in [("ROWS", rows), ("VECTORS", vectors), ("LANES", lanes), ("TALL", tall)] {
                text += &format!("const {name} = {value}u;\n");
            }
        }
        for line in self.source.lines() {
            let code = !line.starts_with("//");
            let rows = if code && line.contains("{r}") { rows } else { 1 };
            let vectors = if code && line.contains("{c}") { vectors } else { 1 };
            for (r, c) in (0..rows).flat_map(|r| (0..vectors).map(move |c| (r, c))) {
                text += &line.replace("{r}", &r.to_string()).replace("{c}", &c.to_string());
                text += "\n";
            }
        }
        text
    }

    /// The storage buffers at bindings 1, 2, …, read off the declarations so that they are written once.
    /// Binding 0 is always the parameters.
    pub fn bindings(&self) -> Vec<Access> {
        let declarations = self.source.lines().filter(|line| line.starts_with("@group(0) @binding("));
        let access = |line: &str| if line.contains("read_write") { Access::ReadWrite } else { Access::Read };
        declarations.map(access).collect()
    }
}

type Shared = (&'static str, &'static str);
const PARAMS: Shared = ("params", wgsl!("shared/params"));
const PICK: Shared = ("pick", wgsl!("shared/pick"));
const ROWS: Shared = ("rows", wgsl!("shared/rows"));
const GRID: Shared = ("grid", wgsl!("shared/grid"));
const REDUCE: Shared = ("reduce", wgsl!("shared/reduce"));
const GELU: Shared = ("gelu", wgsl!("shared/gelu"));
const WEIGHTS: Shared = ("weights_f32", wgsl!("shared/weights_f32"));
const FINISH: Shared = ("finish", wgsl!("shared/finish"));

macro_rules! kernels {
    ($($id:ident = $name:literal, $file:literal, $shared:expr, $tile:expr, $registers:expr;)*) => {
        $(pub static $id: Kernel = Kernel {
            name: $name,
            file: $file,
            source: wgsl!($file),
            shared: &$shared,
            tile: $tile,
            registers: $registers,
        };)*

        /// Every kernel, in the order of the forward pass.
        pub static ALL: &[&Kernel] = &[$(&$id),*];
    };
}

/// `rows × vectors` in registers, `lanes × tall` threads.
const fn registers(rows: u32, vectors: u32, lanes: u32, tall: u32) -> Registers {
    Registers { rows, vectors, lanes, tall }
}

/// The tile of a workgroup of a template.
const fn tile(r: Registers) -> [u32; 2] {
    [4 * r.vectors * r.lanes, r.rows * r.tall]
}

const R1: Registers = registers(1, 2, 16, 1);
const R8: Registers = registers(8, 2, 16, 4);
const R12: Registers = registers(12, 4, 8, 1);
const R16: Registers = registers(16, 4, 8, 1);
/// For W_U, whose neighbouring tokens stand a whole row apart.
const U8: Registers = registers(8, 1, 16, 4);

kernels! {
    EMBED = "embed", "embed", [PARAMS, GRID, WEIGHTS], [64, 1], PLAIN;
    ADD = "add", "add", [PARAMS, PICK, GRID], [64, 1], PLAIN;
    LAYER_NORM = "layer_norm", "layer_norm", [PARAMS, PICK, GRID, REDUCE], [1, 4], PLAIN;
    LN_SCALE = "ln_scale", "ln_scale", [PARAMS, GRID, REDUCE], [1, 4], PLAIN;
    LN_NORMALIZE = "ln_normalize", "ln_normalize", [PARAMS, GRID, REDUCE], [1, 4], PLAIN;
    LINEAR_1X8 = "linear_1x8", "linear", [PARAMS, PICK, GELU, FINISH, WEIGHTS], tile(R1), R1;
    LINEAR_8X8 = "linear_8x8", "linear", [PARAMS, PICK, GELU, FINISH, WEIGHTS], tile(R8), R8;
    LINEAR_12X16 = "linear_12x16", "linear", [PARAMS, PICK, GELU, FINISH, WEIGHTS], tile(R12), R12;
    LINEAR_16X16 = "linear_16x16", "linear", [PARAMS, PICK, GELU, FINISH, WEIGHTS], tile(R16), R16;
    LINEAR_FEW = "linear_few", "linear_few", [PARAMS, PICK, GELU, FINISH, WEIGHTS], [64, 4], PLAIN;
    LINEAR_SHARED = "linear_shared", "linear_shared", [PARAMS, PICK, GELU, FINISH, WEIGHTS], [64, 64], registers(8, 1, 16, 8);
    LINEAR_ANY = "linear_any", "linear_any", [PARAMS, PICK, GELU, WEIGHTS], [64, 1], PLAIN;
    HEAD_LINEAR = "head_linear", "head_linear", [PARAMS, WEIGHTS], [64, 1], PLAIN;
    HEAD_TRANSPOSED = "head_transposed", "head_transposed", [PARAMS, WEIGHTS], [64, 1], PLAIN;
    HEAD_RESULT = "head_result", "head_result", [PARAMS, WEIGHTS], [64, 1], PLAIN;
    SUM_HEADS = "sum_heads", "sum_heads", [PARAMS, GRID], [64, 1], PLAIN;
    REPEAT_HEADS = "repeat_heads", "repeat_heads", [PARAMS, GRID], [64, 1], PLAIN;
    ATTENTION = "attention", "attention", [PARAMS, GRID, ROWS], [64, 1], PLAIN;
    ATTENTION_SHORT = "attention_short", "attention_short", [PARAMS, GRID, ROWS], [64, 1], PLAIN;
    ATTN_SCORES = "attn_scores", "attn_scores", [PARAMS, ROWS], [16, 4], PLAIN;
    PATTERN = "pattern", "pattern", [PARAMS, GRID, ROWS], [64, 1], PLAIN;
    Z = "z", "z", [PARAMS, ROWS], [64, 1], PLAIN;
    ACTIVATION = "activation", "activation", [PARAMS, GELU, GRID], [64, 1], PLAIN;
    EDIT = "edit", "edit", [PARAMS], [64, 1], PLAIN;
    GATHER_ROWS = "gather_rows", "gather_rows", [PARAMS, GRID], [64, 1], PLAIN;
    UNEMBED_1X8 = "unembed_1x8", "unembed", [PARAMS, WEIGHTS], tile(R1), R1;
    UNEMBED_8X4 = "unembed_8x4", "unembed", [PARAMS, WEIGHTS], tile(U8), U8;
    UNEMBED_16X16 = "unembed_16x16", "unembed", [PARAMS, WEIGHTS], tile(R16), R16;
    UNEMBED_ANY = "unembed_any", "unembed_any", [PARAMS, WEIGHTS], [64, 1], PLAIN;
    LOGIT_DIFF = "logit_diff", "logit_diff", [PARAMS, PICK, GRID, REDUCE, WEIGHTS], [1, 4], PLAIN;
    LOG_SUM_EXP = "log_sum_exp", "log_sum_exp", [PARAMS, GRID], [1, 1], PLAIN;
    CANARY = "canary", "canary", [PARAMS], [1, 1], PLAIN;
}
