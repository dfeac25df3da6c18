//! The table of kernels: which files under `shaders/` make each, and how much of its output one workgroup covers.

/// One compute shader.
#[derive(Debug)]
pub struct Kernel {
    /// Its file under `shaders/`, without the extension.
    pub name: &'static str,
    source: &'static str,
    /// Files of `shaders/shared/` that stand before it, in this order.
    pub shared: &'static [(&'static str, &'static str)],
    /// `[columns, rows]` of the output that a workgroup covers; `[64, 1]` is 64 elements anywhere, and one column is a
    /// whole row.
    pub tile: [u32; 2],
}

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read,
    ReadWrite,
}

impl Kernel {
    /// The whole WGSL text: the shared files, then the kernel's own.
    pub fn text(&self) -> String {
        self.shared.iter().map(|(_, text)| *text).chain([self.source]).collect::<Vec<_>>().join("\n")
    }

    /// The storage buffers at bindings 1, 2, …, read off the declarations so that they are written once.
    /// Binding 0 is always the parameters.
    pub fn bindings(&self) -> Vec<Access> {
        let declarations = self.source.lines().filter(|line| line.starts_with("@group(0) @binding("));
        let access = |line: &str| if line.contains("read_write") { Access::ReadWrite } else { Access::Read };
        declarations.map(access).collect()
    }
}

macro_rules! wgsl {
    ($path:literal) => {
        include_str!(concat!("../../../shaders/", $path, ".wgsl"))
    };
}

type Shared = (&'static str, &'static str);
const PARAMS: Shared = ("params", wgsl!("shared/params"));
const ROWS: Shared = ("rows", wgsl!("shared/rows"));
const GRID: Shared = ("grid", wgsl!("shared/grid"));
const REDUCE: Shared = ("reduce", wgsl!("shared/reduce"));

macro_rules! kernels {
    ($($id:ident = $name:literal, $shared:expr, $tile:expr;)*) => {
        $(pub static $id: Kernel = Kernel { name: $name, source: wgsl!($name), shared: &$shared, tile: $tile };)*

        /// Every kernel, in the order of the forward pass.
        pub static ALL: &[&Kernel] = &[$(&$id),*];
    };
}

kernels! {
    EMBED = "embed", [PARAMS, GRID], [64, 1];
    POS_EMBED = "pos_embed", [PARAMS, GRID, ROWS], [64, 1];
    ADD = "add", [PARAMS, GRID], [64, 1];
    LN_SCALE = "ln_scale", [PARAMS, GRID, REDUCE], [1, 4];
    LN_NORMALIZE = "ln_normalize", [PARAMS, GRID, REDUCE], [1, 4];
    LINEAR = "linear", [PARAMS], [128, 32];
    LINEAR_FEW = "linear_few", [PARAMS], [64, 4];
    LINEAR_ANY = "linear_any", [PARAMS], [64, 1];
    HEAD_LINEAR = "head_linear", [PARAMS], [64, 1];
    HEAD_RESULT = "head_result", [PARAMS], [64, 1];
    SUM_HEADS = "sum_heads", [PARAMS, GRID], [64, 1];
    REPEAT_HEADS = "repeat_heads", [PARAMS, GRID], [64, 1];
    ATTN_SCORES = "attn_scores", [PARAMS, ROWS], [16, 16];
    ATTN_SCORES_ANY = "attn_scores_any", [PARAMS, ROWS], [16, 4];
    PATTERN = "pattern", [PARAMS, GRID, ROWS], [64, 1];
    Z = "z", [PARAMS, ROWS], [64, 4];
    Z_ANY = "z_any", [PARAMS, ROWS], [64, 1];
    ACTIVATION = "activation", [PARAMS, GRID], [64, 1];
    EDIT = "edit", [PARAMS], [64, 1];
    GATHER_ROWS = "gather_rows", [PARAMS, GRID], [64, 1];
    UNEMBED = "unembed", [PARAMS], [64, 32];
    UNEMBED_ANY = "unembed_any", [PARAMS], [64, 1];
    LOGIT_DIFF = "logit_diff", [PARAMS, GRID, REDUCE], [1, 4];
    LOG_SUM_EXP = "log_sum_exp", [PARAMS, GRID], [1, 1];
    CANARY = "canary", [PARAMS], [1, 1];
}
