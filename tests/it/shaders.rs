//! Every shader is composed and validated without a GPU: pipelines are compiled only on a machine that has one, so a
//! broken shader would otherwise pass unseen. Also checks what the host repeats of them: layouts, bindings, the table.

use microtome::backend::gpu::kernels::{self, Access, Kernel};
use microtome::backend::gpu::params::Params;
use microtome::program::{AttnRow, Segment};
use microtome::weights::Storage;
use naga::{AddressSpace, StorageAccess};
use std::collections::BTreeSet;
use std::mem::offset_of;
use std::path::Path;

const STORAGES: [Storage; 2] = [Storage::F32, Storage::F16];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")
}

fn wgsl_files(folder: &Path) -> BTreeSet<String> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wgsl = paths.filter(|path| path.extension().is_some_and(|e| e == "wgsl"));
    wgsl.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

fn parse(kernel: &Kernel, storage: Storage) -> Result<naga::Module, String> {
    let text = kernel.text(storage);
    let module = naga::front::wgsl::parse_str(&text).map_err(|e| e.emit_to_string(&text))?;
    // What browsers grant without being asked: nothing beyond naga's default but unpack2x16float, which naga sets apart
    // for the sake of old OpenGL.
    let granted = naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    naga::valid::Validator::new(naga::valid::ValidationFlags::all(), granted)
        .validate(&module)
        .map_err(|e| e.emit_to_string(&text))?;
    Ok(module)
}

/// Storage buffers in the order of their bindings: number, name, access.
fn storage(module: &naga::Module) -> Vec<(u32, String, Access)> {
    let mut found = Vec::new();
    for (_, variable) in module.global_variables.iter() {
        if let AddressSpace::Storage { access } = variable.space {
            let access = if access.contains(StorageAccess::STORE) { Access::ReadWrite } else { Access::Read };
            let binding = variable.binding.as_ref().unwrap();
            assert_eq!(binding.group, 0);
            found.push((binding.binding, variable.name.clone().unwrap(), access));
        }
    }
    found.sort_by_key(|(binding, ..)| *binding);
    found
}

#[test]
fn every_shader_is_valid() {
    let both = kernels::ALL.iter().flat_map(|kernel| STORAGES.map(|storage| (kernel, storage)));
    let failed = |(kernel, storage): (&&Kernel, Storage)| {
        parse(kernel, storage).err().map(|e| format!("{}.wgsl, {storage}:\n{e}", kernel.name))
    };
    let failures: Vec<String> = both.filter_map(failed).collect();
    assert!(failures.is_empty(), "{} shaders are broken\n\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_file_is_in_the_table_of_kernels() {
    let files = wgsl_files(&folder());
    assert!(files.len() >= 20, "only {} shaders were found in {}", files.len(), folder().display());
    assert_eq!(files, kernels::ALL.iter().map(|kernel| kernel.file.to_owned()).collect());

    let shared = wgsl_files(&folder().join("shared"));
    let used =
        kernels::ALL.iter().flat_map(|kernel| kernel.shared.iter().map(|(name, _)| (*name).to_owned()));
    let of_weights = Kernel::WEIGHTS.map(|(_, name, _)| name.to_owned());
    assert_eq!(shared, used.chain(of_weights).collect());
}

#[test]
fn shaders_are_short() {
    for (folder, names) in
        [(folder(), wgsl_files(&folder())), (folder().join("shared"), wgsl_files(&folder().join("shared")))]
    {
        for name in names {
            let lines = std::fs::read_to_string(folder.join(format!("{name}.wgsl"))).unwrap().lines().count();
            assert!(lines <= 110, "{name}.wgsl has {lines} lines");
        }
    }
}

#[test]
fn bindings_are_those_that_the_host_reads_off_the_text() {
    for (kernel, of) in kernels::ALL.iter().flat_map(|kernel| STORAGES.map(|of| (kernel, of))) {
        let found = storage(&parse(kernel, of).unwrap());
        let numbers: Vec<u32> = found.iter().map(|(binding, ..)| *binding).collect();
        assert_eq!(numbers, (1..=found.len() as u32).collect::<Vec<_>>(), "{}", kernel.name);
        let accesses: Vec<Access> = found.iter().map(|(.., access)| *access).collect();
        assert_eq!(accesses, kernel.bindings(), "{}", kernel.name);
        // WebGPU's default limit.
        assert!(found.len() <= 8, "{} binds {} storage buffers", kernel.name, found.len());
        let written = accesses.iter().filter(|access| **access == Access::ReadWrite).count();
        assert!(
            written == 1 && accesses.last() == Some(&Access::ReadWrite),
            "{}: the output is last",
            kernel.name
        );
    }
}

/// A kernel that reads a matrix of weights and was not told so would take halves for numbers.
#[test]
fn weights_are_read_by_the_kernels_that_say_so() {
    const MATRICES: [&str; 2] = ["w", "table"];
    for kernel in kernels::ALL {
        let bound = storage(&parse(kernel, Storage::F32).unwrap());
        // LayerNorm's own `w` is a vector.
        let vector = ["layer_norm", "ln_normalize"].contains(&kernel.name);
        let reads = !vector && bound.iter().any(|(_, name, _)| MATRICES.contains(&name.as_str()));
        assert_eq!(kernel.reads(Storage::F16) == Storage::F16, reads, "{}", kernel.name);
        assert_eq!(kernel.text(Storage::F16) != kernel.text(Storage::F32), reads, "{}", kernel.name);
    }
}

/// Names and offsets of a struct's members, as naga lays them out.
fn layout(module: &naga::Module, name: &str) -> Vec<(String, usize)> {
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, .. } = &ty.inner else { panic!("{name} is not a struct") };
    members.iter().map(|member| (member.name.clone().unwrap(), member.offset as usize)).collect()
}

fn offsets(layout: &[(String, usize)]) -> Vec<usize> {
    layout.iter().map(|(_, offset)| *offset).collect()
}

macro_rules! host_layout {
    ($ty:ty: $($field:ident),*) => {
        [$((stringify!($field).to_owned(), offset_of!($ty, $field))),*]
    };
}

#[test]
fn structs_have_the_same_layout_on_both_sides() {
    let module = parse(&kernels::ATTN_SCORES, Storage::F32).unwrap();
    let params = host_layout!(
        Params: first_row, end_row, first_col, end_col, heads, all_heads, k, n, first, shard, list, list_2, x_list,
        x_first, add_list, add_first, out_first, plane, w_plane, b_plane, out_plane, mode, scale, eps
    );
    assert_eq!(layout(&module, "Params"), params);
    assert_eq!(size_of::<Params>(), 4 * params.len());
    let row = host_layout!(AttnRow: q, dest, len, keys, values, score, score_stride, head);
    assert_eq!(layout(&module, "AttnRow"), row);
    assert_eq!(size_of::<AttnRow>(), 4 * row.len());
    // edit.wgsl reads four words a segment.
    let segment = host_layout!(Segment: dst, src, len, scale);
    assert_eq!(offsets(&segment), [0, 4, 8, 12]);
    assert_eq!(size_of::<Segment>(), 16);
}

#[test]
fn the_readme_table_is_complete_and_true() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let rows: Vec<Vec<&str>> = (readme.lines().filter(|line| line.starts_with("| `")))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), kernels::ALL.len());
    let source = |path| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let both = |a, b| source(a) + &source(b);
    let ops = both("src/backend/cpu/ops.rs", "src/backend/cpu/ops/attention.rs");
    let cpu = both("src/backend/cpu.rs", "src/backend/cpu/products.rs");
    for (row, kernel) in rows.iter().zip(kernels::ALL) {
        let [name, reads, writes, workgroup, twin] = row[..] else { panic!("{row:?}") };
        assert_eq!(name, format!("`{}`", kernel.name), "in the order of kernels.rs");
        let module = parse(kernel, Storage::F32).unwrap();
        let list = |keep: &dyn Fn(Access, &str) -> bool| {
            let names = storage(&module).into_iter().filter(|(_, name, access)| keep(*access, name));
            names.map(|(_, name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        // A buffer that is edited in place is read as well.
        assert_eq!(reads, list(&|access, name| access == Access::Read || name == "buf"), "{name}");
        assert_eq!(writes, list(&|access, _| access == Access::ReadWrite), "{name}");

        let [x, y, _] = module.entry_points[0].workgroup_size;
        let size = if y == 1 { x.to_string() } else { format!("{x} × {y}") };
        assert_eq!(workgroup.split(',').next().unwrap(), size, "{name}");
        if y > 1 {
            let numbers: Vec<u32> = (workgroup.split_once(", ").unwrap().1.split_whitespace())
                .filter_map(|word| word.parse().ok())
                .collect();
            assert_eq!(numbers, kernel.tile, "{name}");
        }

        let twin = twin.trim_matches('`');
        match (twin.strip_prefix("ops::"), twin.strip_prefix("Op::")) {
            (Some(function), _) => assert!(ops.contains(&format!("pub fn {function}(")), "{name}: {twin}"),
            (_, Some(op)) => assert!(cpu.contains(&format!("Op::{op} {{")), "{name}: {twin}"),
            _ => assert_eq!((name, twin), ("`canary`", "none")),
        }
    }
}
