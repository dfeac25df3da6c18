//! PyTorch files: those that PyTorch wrote (`tests/golden/torch`) hold what was put in, and those from hostile hands
//! are refused in words. Nothing of a pickle is ever run.

use crate::files::{Stored, config, load, same, stored};
use crate::support::weights;
use microtome::Result;
use microtome::weights::ModelFiles;
use microtome::weights::header::{Dtype, Header, TensorInfo};
use microtome::weights::source::{Memory, Read, Source, SourceFile};
use microtome::weights::torch::{self, CAP_PICKLE};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rawzip::ZipArchiveWriter;
use safetensors::tensor::Dtype as Safe;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

pub fn golden(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read(bytes: &[u8]) -> Result<Header> {
    let mut source = Memory::default();
    source.add("pytorch_model.bin", bytes.to_vec());
    pollster::block_on(torch::read(&source, 0))
}

/// Asserts the code, that the message holds all `words`, and that it came at once.
fn refused(bytes: &[u8], code: &str, words: &[&str]) {
    let start = Instant::now();
    let e = read(bytes).expect_err(code);
    let took = start.elapsed();
    assert_eq!(e.code, code, "{e}");
    for word in words {
        assert!(e.message.contains(word), "expected '{word}' in: {e}");
    }
    assert!(e.message.len() < 600, "{e}");
    assert!(took < Duration::from_millis(500), "{took:?} for: {e}");
}

/// The bytes of each tensor are those that the generator put in.
fn holds(bytes: &[u8], header: &Header, prefix: &str, expected: &Stored, dtype: Dtype) {
    for (name, (_, shape, data)) in expected {
        let tensor = &header.tensors[&format!("{prefix}{name}")];
        let shape: Vec<u64> = shape.iter().map(|dim| *dim as u64).collect();
        assert_eq!((tensor.dtype, &tensor.shape), (dtype, &shape), "{name}");
        let found = &bytes[tensor.start as usize..tensor.end as usize];
        assert_eq!(found, data, "{name}");
    }
}

#[test]
fn what_pytorch_saved_is_found() {
    let bytes = golden("tied.bin");
    let header = read(&bytes).unwrap();
    let expected = stored(Safe::F32);
    holds(&bytes, &header, "transformer.", &expected, Dtype::F32);
    assert_eq!((header.tensors.len(), header.data_start), (expected.len() + 1, 0));
    assert_eq!(header.tensors["lm_head.weight"], header.tensors["transformer.wte.weight"], "one storage");

    let bytes = golden("masks-f16.bin");
    let header = read(&bytes).unwrap();
    holds(&bytes, &header, "transformer.", &stored(Safe::F16), Dtype::F16);
    let mask = &header.tensors["transformer.h.1.attn.bias"];
    assert_eq!((mask.dtype, &mask.shape[..]), (Dtype::U8, &[1, 1, 3, 3][..]));
    assert_eq!(bytes[mask.start as usize..mask.end as usize], [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    assert!(header.tensors["transformer.h.0.attn.masked_bias"].shape.is_empty());

    // Protocol 4, parts of one storage, Parameters, a buffer of I64.
    let bytes = golden("views-bf16.bin");
    let header = read(&bytes).unwrap();
    holds(&bytes, &header, "", &stored(Safe::BF16), Dtype::Bf16);
    assert_eq!(header.tensors["h.0.attn.bias"].dtype, Dtype::Bool);
    assert_eq!(header.tensors["h.1.attn.bias"].dtype, Dtype::I64);
    assert_eq!(header.tensors["h.1.attn.bias"].end - header.tensors["h.1.attn.bias"].start, 72);
}

/// A model directory without safetensors.
fn model(bytes: Vec<u8>) -> ModelFiles {
    ModelFiles::in_memory("tiny", [("config.json".into(), config(true)), ("pytorch_model.bin".into(), bytes)])
}

#[test]
fn a_model_of_pytorchs_is_the_same_model() {
    let expected = load(&stored(Safe::F32), true).unwrap();
    // The last one holds the dictionary as `model`, beside a step, a name and a None.
    for name in ["tied.bin", "masks-f16.bin", "views-bf16.bin", "nested.bin"] {
        let bytes = golden(name);
        let (loaded, sha256) = weights(&model(bytes.clone())).unwrap();
        same(&loaded, &expected);
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(sha256, hash, "{name}");
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch-folder");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), config(true)).unwrap();
    std::fs::write(folder.join("pytorch_model.bin"), golden("tied.bin")).unwrap();
    same(&weights(&ModelFiles::from_dir(&folder).unwrap()).unwrap().0, &expected);
    std::fs::remove_dir_all(&folder).unwrap();
    // Errors name the file; safetensors are preferred where there are both.
    let e = weights(&model(golden("system.bin"))).unwrap_err();
    assert!(e.message.starts_with("pytorch_model.bin: ") && e.message.contains("posix.system"), "{e}");
    let e = weights(&model(golden("views-bf16.bin").replaced(b"wte.weight", b"wtf.weight"))).unwrap_err();
    assert_eq!(e.code, "file.zip", "the checksum: {e}");
    let e = weights(&model(pickled(&Pickle::one(6, "0", 0, &[6], &[1])))).unwrap_err();
    assert_eq!(e.code, "model.unsupported");
    assert!(e.message.contains("'wte.weight' [5, 4] is missing; 'w' [6] is unexpected"), "{e}");
}

trait Replaced {
    fn replaced(self, from: &[u8], to: &[u8]) -> Self;
}

impl Replaced for Vec<u8> {
    /// One run of bytes written over by another of the same length.
    fn replaced(mut self, from: &[u8], to: &[u8]) -> Self {
        let at = self.windows(from.len()).position(|window| window == from).unwrap();
        self[at..at + to.len()].copy_from_slice(to);
        self
    }
}

/// A file whose `tail` lies behind five gigabytes of zeros.
struct Sparse {
    files: [SourceFile; 1],
    tail: Vec<u8>,
}

const FIVE_GIB: u64 = 5 << 30;

impl Source for Sparse {
    fn files(&self) -> &[SourceFile] {
        &self.files
    }

    fn read(&self, _: usize, range: Range<u64>) -> Read<'_> {
        let byte = |at: u64| match at.checked_sub(FIVE_GIB) {
            Some(at) => self.tail[at as usize],
            None => b"PK\x03\x04".get(at as usize).copied().unwrap_or(0),
        };
        assert!(range.end - range.start < 1 << 20, "{range:?} at once");
        Box::pin(std::future::ready(Ok(range.map(byte).collect())))
    }
}

#[test]
fn an_archive_beyond_4_gib_is_zip64() {
    let tail = golden("above-4gib.tail");
    let len = FIVE_GIB + tail.len() as u64;
    let files = [SourceFile { name: "pytorch_model.bin".into(), len, sha256: None }];
    let source = Sparse { files, tail };
    let mut header = pollster::block_on(torch::read(&source, 0)).unwrap();
    for tensor in header.tensors.values_mut() {
        (tensor.start, tensor.end) = (tensor.start - FIVE_GIB, tensor.end - FIVE_GIB);
    }
    holds(&source.tail, &header, "", &stored(Safe::F32), Dtype::F32);
}

#[test]
fn what_pytorch_saved_otherwise_is_refused_in_words() {
    refused(&golden("system.bin"), "file.pickle", &["posix.system", "nothing of it was run"]);
    assert!(!std::path::Path::new("/tmp/a-pickle-was-run").exists());
    refused(&golden("transposed.bin"), "file.layout", &["'weight'", "[3, 2]", "[1, 3]", "contiguous"]);
    refused(&golden("nested-twice.bin"), "file.pickle", &["'model' is a dictionary, expected a tensor"]);
    refused(&golden("double.bin"), "file.pickle", &["torch.DoubleStorage", "F32"]);
    refused(&golden("deflated.bin"), "file.zip", &["'archive/byteorder' is compressed", "stored as it is"]);
    refused(&golden("legacy.bin"), "file.not_torch", &["before version 1.6"]);
    refused(b"<!DOCTYPE html><html>", "file.not_torch", &["found text: '<!DOCTYPE html><html>'"]);
    refused(b"version https://git-lfs.github.com/spec/v1\n", "file.not_torch", &["git-LFS pointer"]);
    refused(&[], "file.not_torch", &["0 bytes"]);
    refused(&[0; 100], "file.not_torch", &["100 bytes", "00 00"]);
    let whole = golden("tied.bin");
    for n in [4, 30, 1000, whole.len() - 1] {
        refused(&whole[..n], "file.zip", &["directory"]);
    }
    let longer = [&whole[..], b"more"].concat();
    refused(&longer, "file.zip", &["the archive ends at byte"]);
    let e = Header::read(&golden("legacy.bin"), 385).unwrap_err();
    assert!(e.code == "file.not_safetensors" && e.message.contains("before version 1.6"), "{e}");
}

/// An archive of these entries, stored.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = ZipArchiveWriter::new(&mut bytes);
    for (name, data) in entries {
        let file = zip.new_file(name).compression_method(rawzip::CompressionMethod::STORE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(data).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    bytes
}

/// A file with this pickle and storages of 0: 24 bytes, 1: 8 bytes.
fn pickled(pickle: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", pickle), ("a/data/0", &[0; 24]), ("a/data/1", &[0; 8]), ("a/version", b"3\n")])
}

/// The opcodes of a pickle, written in Python's order.
#[derive(Clone, Default)]
struct Pickle(Vec<u8>);

impl Pickle {
    fn new() -> Self {
        Self(b"\x80\x02".to_vec())
    }

    fn op(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.op(b"X").op(&(text.len() as u32).to_le_bytes()).op(text.as_bytes())
    }

    fn int(self, n: i64) -> Self {
        self.op(&[0x8A, 8]).op(&n.to_le_bytes())
    }

    fn ints(self, numbers: &[i64]) -> Self {
        numbers.iter().fold(self.op(b"("), |pickle, n| pickle.int(*n)).op(b"t")
    }

    fn tensor(self, elements: i64, key: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Self {
        self.op(b"ctorch._utils\n_rebuild_tensor_v2\n((")
            .text("storage")
            .op(b"ctorch\nFloatStorage\n")
            .text(key)
            .text("cpu")
            .int(elements)
            .op(b"tQ")
            .int(offset)
            .ints(shape)
            .ints(strides)
            .op(b"\x89}tR")
    }

    /// A dictionary with one tensor, and the end.
    fn one(elements: i64, key: &str, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
        Self::new().op(b"}").text("w").tensor(elements, key, offset, shape, strides).op(b"s.").0
    }
}

#[test]
fn a_tensor_must_lie_within_its_entry() {
    let tensor = |elements, key, offset, shape: &[i64], strides: &[i64]| {
        pickled(&Pickle::one(elements, key, offset, shape, strides))
    };
    let good = read(&tensor(6, "0", 2, &[2, 2], &[2, 1])).unwrap();
    let TensorInfo { start, end, .. } = good.tensors["w"];
    assert_eq!(end - start, 16);
    // A dimension of one element has no neighbours, whatever its stride.
    read(&tensor(6, "0", 0, &[1, 6], &[99, 1])).unwrap();
    read(&tensor(6, "0", 6, &[0, 7], &[1, 1])).unwrap();
    let two_62 = 1 << 62;
    for (bytes, words) in [
        (tensor(7, "0", 0, &[6], &[1]), &["'w'", "7 elements of F32", "24 bytes"][..]),
        (tensor(5, "0", 0, &[5], &[1]), &["'w'", "5 elements of F32", "24 bytes"]),
        (tensor(two_62, "0", 0, &[6], &[1]), &["'w'", "4611686018427387904 elements"]),
        (tensor(6, "2", 0, &[6], &[1]), &["'w'", "'a/data/2' is absent"]),
        (tensor(6, "../version", 0, &[6], &[1]), &["'w'", "'a/data/../version' is absent"]),
        (tensor(6, "0", 1, &[6], &[1]), &["'w'", "6 elements from element 1", "which has 6"]),
        (tensor(6, "0", i64::MAX, &[6], &[1]), &["'w'", "from element 9223372036854775807"]),
        (tensor(6, "0", 0, &[7], &[1]), &["'w'", "7 elements from element 0"]),
        (tensor(6, "0", 0, &[3, 2], &[1, 3]), &["'w'", "strides [1, 3]"]),
        (tensor(6, "0", 0, &[1 << 40], &[0]), &["'w'", "strides [0]"]),
        (tensor(6, "0", 0, &[two_62, two_62], &[two_62, 1]), &["'w'", "beyond 2^64"]),
        (tensor(6, "0", 0, &[6], &[1, 1]), &["'w'", "differ in length"]),
    ] {
        refused(&bytes, "file.layout", words);
    }
    for (bytes, words) in [
        (tensor(6, "0", -1, &[6], &[1]), &["-1"][..]),
        (tensor(6, "0", 0, &[-6], &[1]), &["-6"]),
        (tensor(-6, "0", 0, &[6], &[1]), &["-6"]),
        (tensor(6, "0", 0, &[1, 1, 1, 1, 6], &[6; 5]), &["5 dimensions"]),
    ] {
        refused(&bytes, "file.pickle", words);
    }
    let twice = Pickle::new().op(b"}(");
    let twice = ["w", "w"].iter().fold(twice, |p, name| p.text(name).tensor(6, "0", 0, &[6], &[1]));
    refused(&pickled(&twice.op(b"u.").0), "file.layout", &["'w' occurs twice"]);
    let long = Pickle::new().op(b"}").text(&"n".repeat(300)).tensor(6, "0", 0, &[6], &[1]).op(b"s.").0;
    refused(&pickled(&long), "file.layout", &["300 bytes", "256"]);
}

#[test]
fn a_pickle_is_refused_by_the_name_of_what_it_wants() {
    for (name, word) in [
        (&b"cos\nsystem\n"[..], "os.system"),
        (b"cbuiltins\neval\n", "builtins.eval"),
        (b"c__builtin__\ngetattr\n", "__builtin__.getattr"),
        (b"ctorch._utils\n_rebuild_qtensor\n", "torch._utils._rebuild_qtensor"),
        (b"ctorch\nload\n", "torch.load"),
        (b"ccollections\nOrderedDict.__init__\n", "OrderedDict.__init__"),
        (b"ios\nsystem\n", "os.system"),
        (b"\x8C\x02os\x8C\x06system\x93", "os.system"),
        (b"\x8C\x08builtins\x94\x8C\x04exec\x94\x93", "builtins.exec"),
    ] {
        let pickle = Pickle::new().op(b"}").text("w").op(name).text("touch /tmp/x").op(b"\x85Rs.").0;
        refused(&pickled(&pickle), "file.pickle", &[word, "nothing of it was run"]);
    }
    let long = format!("c{}\n{}\n", "m".repeat(100_000), "é\u{7}".repeat(100));
    refused(&pickled(&Pickle::new().op(long.as_bytes()).0), "file.pickle", &["mmm", "é é é"]);
    // Opcodes that import by number, call by other ways, or are of protocols 0 and 1.
    for opcode in [0x81, 0x82, 0x83, 0x84, 0x92, 0x8D, 0x8F, 0x96, b'o', b'P', b'S', b'I', b'p', b'd', b'2'] {
        let pickle = Pickle::new().op(b"}}").op(&[opcode]).op(&[0; 20]).0;
        refused(&pickled(&pickle), "file.pickle", &[&format!("opcode 0x{opcode:02X}")]);
    }
    refused(&pickled(b"\x80\x01}."), "file.pickle", &["protocol 1"]);
    refused(&pickled(b"\x80\x06}."), "file.pickle", &["protocol 6"]);
}

#[test]
fn a_pickle_that_is_not_a_dictionary_of_tensors_is_refused() {
    for (ops, word) in [
        (&b"."[..], "stack is empty"),
        (b"}", "cut"),
        (b"}.}", "before its bytes do"),
        (b"}q", "cut"),
        (b"h\x07.", "memo 7 is empty"),
        (b"j\xFF\xFF\xFF\xFF.", "memo 4294967295 is empty"),
        (b"q\x00.", "stack is empty"),
        (b"\x85.", "stack is empty"),
        (b"t.", "no MARK"),
        (b"}(N(\x86.", "stack is empty"),
        (b"}NNN(u.", "fills None"),
        (b"}(Nu.", "without a value"),
        (b"}K\x01Ns.", "a key is a number"),
        (b"NR.", "None where a tuple should be"),
        (b"))R.", "a tuple called with ()"),
        (b"ccollections\nOrderedDict\nN\x85R.", "OrderedDict called with (None)"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "RebuildTensor called with ()"),
        (b"ctorch\nFloatStorage\n)R.", "called with ()"),
        (b")Q.", "not one of a storage"),
        (b"X\xFF\xFF\xFF\xFFab.", "cut"),
        (b"X\x02\x00\x00\x00\xC3\x28.", "not UTF-8"),
        (b"\x8A\xFF\x01.", "cut"),
        (b"\x95\xFF\xFF\xFF\xFF\xFF\xFF\xFF.", "cut"),
        (b"K\x01.", "it is a number"),
        (b"ctorch\nFloatStorage\n.", "it is a function or type"),
    ] {
        refused(&pickled(&[b"\x80\x02", ops].concat()), "file.pickle", &[word]);
    }
    // A dictionary that holds itself is data like any other: nothing follows it.
    refused(&pickled(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."), "file.pickle", &["'a' is a dictionary"]);
    let named = Pickle::new().op(b"}").text("step").int(3).op(b"s.").0;
    refused(&pickled(&named), "file.pickle", &["'step' is a number, expected a tensor"]);
    assert!(read(&pickled(b"\x80\x02}.")).unwrap().tensors.is_empty());
    // Attributes of a dictionary change no tensor.
    let built = Pickle::new().op(b"ccollections\nOrderedDict\n)R").text("w").tensor(6, "0", 0, &[6], &[1]);
    let built = built.op(b"s}").text("_metadata").op(b"}sb.").0;
    assert_eq!(read(&pickled(&built)).unwrap().tensors.len(), 1);
}

#[test]
fn numbers_cost_nothing_and_caps_hold() {
    let repeated = |op: &[u8], n: usize| pickled(&[b"\x80\x02}", &op.repeat(n)[..]].concat());
    refused(&repeated(b"N", 70_000), "file.pickle", &["65536 values"]);
    refused(&repeated(b"(", 70_000), "file.pickle", &["65536 marks"]);
    refused(&repeated(b"\x80\x02", 600_000), "file.pickle", &["500000 opcodes"]);
    // A tuple in a tuple in a tuple … a value that takes a deep stack to walk or to free.
    refused(&repeated(b"\x85", 400_000), "file.pickle", &["cut"]);
    let memo: Vec<u8> = (0..70_000u32).flat_map(|i| [&b"r"[..], &i.to_le_bytes()].concat()).collect();
    refused(&repeated(&memo, 1), "file.pickle", &["65536 values in the memo"]);
    refused(&repeated(b"N", CAP_PICKLE as usize), "file.zip", &["a/data.pkl", "4000000"]);
    // One tensor under 5,000 names; 5,000 tensors of one set of arguments.
    let memo = Pickle::new().op(b"}").tensor(6, "0", 0, &[6], &[1]).op(b"q\x000}(");
    let names = |pickle: Pickle, value: &[u8]| {
        (0..5000).fold(pickle, |p, i| p.text(&i.to_string()).op(value)).op(b"u.").0
    };
    refused(&pickled(&names(memo, b"h\x00")), "file.pickle", &["opcode 0x30"]);
    let one = Pickle::new().op(b"}q\x01").text("w").tensor(6, "0", 0, &[6], &[1]).op(b"q\x00s(");
    refused(&pickled(&names(one, b"h\x00")), "file.pickle", &["5001 tensors", "4096"]);
    let many = Pickle::new().op(b"}(");
    let many = (0..5000).fold(many, |p, i| p.text(&i.to_string()).tensor(6, "0", 0, &[6], &[1])).op(b"u.").0;
    refused(&pickled(&many), "file.pickle", &["more than 4096 tensors"]);
    let fits = Pickle::new().op(b"}(");
    let fits = (0..4096).fold(fits, |p, i| p.text(&i.to_string()).tensor(6, "0", 0, &[6], &[1])).op(b"u.").0;
    assert_eq!(read(&pickled(&fits)).unwrap().tensors.len(), 4096);
}

#[test]
fn the_archive_must_be_one() {
    let pickle = Pickle::one(6, "0", 0, &[6], &[1]);
    let data: (&str, &[u8]) = ("a/data/0", &[0; 24]);
    refused(&archive(&[data]), "file.not_torch", &["without a folder that has data.pkl"]);
    refused(&archive(&[("data.pkl", &pickle), data]), "file.not_torch", &["without a folder"]);
    let two = archive(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle), data]);
    refused(&two, "file.not_torch", &["two data.pkl"]);
    let doubled = archive(&[("a/data.pkl", &pickle), data, data]);
    refused(&doubled, "file.zip", &["'a/data/0' occurs twice"]);
    let big = archive(&[("a/data.pkl", &pickle), data, ("a/byteorder", b"big")]);
    refused(&big, "file.layout", &["'big', expected 'little'"]);
    let good = archive(&[("a/data.pkl", &pickle), data, ("a/byteorder", b"little")]);
    read(&good).unwrap();
    // The pickle's own checksum: one bit in it.
    refused(&good.clone().replaced(b"storage", b"sTorage"), "file.zip", &["a/data.pkl", "checksum"]);
    let names: Vec<String> = (0..40_000).map(|i| format!("a/{i:0100}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
    refused(&archive(&many), "file.zip", &["expected at most 4000000"]);
    // A directory of which only the end is read with the first look.
    let names = &names[..2000];
    let mut long: Vec<(&str, &[u8])> = vec![("a/data.pkl", &pickle), data];
    long.extend(names.iter().map(|name| (name.as_str(), &[][..])));
    assert_eq!(read(&archive(&long)).unwrap().tensors.len(), 1);
}

/// What a table that was read must hold, whatever its bytes were.
fn is_sound(header: &Header, len: usize) {
    assert_eq!(header.data_start, 0);
    for (name, tensor) in &header.tensors {
        let n: u64 = tensor.shape.iter().product();
        assert_eq!(tensor.end - tensor.start, n * tensor.dtype.size(), "{name}");
        assert!(tensor.start <= tensor.end && tensor.end <= len as u64, "{name}: {tensor:?} of {len}");
    }
}

/// The entries of a golden file.
fn unpacked(name: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = golden(name);
    let zip = rawzip::ZipArchive::from_slice(&bytes).unwrap();
    let entries = zip.entries().map(|entry| {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.file_path().as_bytes().to_vec()).unwrap();
        (name, zip.get_entry(entry.wayfinder()).unwrap().data().to_vec())
    });
    entries.collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(4),
        ..Default::default()
    })]

    /// Bits flipped, bytes cut out or put in, the end cut off: no panic, and what is accepted lies in the file.
    #[test]
    fn a_mutated_archive_never_panics(
        file in 0..3usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let mut bytes = golden(["tied.bin", "masks-f16.bin", "views-bf16.bin"][file]);
        for (at, byte, kind) in &edits {
            // Half of all edits in the directory and the records at the end.
            let near = if byte % 2 == 0 { bytes.len().min(1500) } else { bytes.len() };
            let at = bytes.len() - 1 - at.index(near);
            match kind {
                0 => bytes[at] ^= 1 << (byte % 8),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, *byte),
                _ => bytes[at] = 0xFF,
            }
        }
        if let Ok(header) = read(&bytes) {
            is_sound(&header, bytes.len());
            let _ = weights(&model(bytes.clone()));
        }
        prop_assert!(read(&bytes[..edits[0].0.index(bytes.len())]).is_err());
    }

    /// The same within the pickle, whose checksum is then put right: opcodes, numbers and names change.
    #[test]
    fn a_mutated_pickle_never_panics(
        file in 0..3usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4),
    ) {
        let mut entries = unpacked(["tied.bin", "masks-f16.bin", "views-bf16.bin"][file]);
        let pickle = &mut entries.iter_mut().find(|(name, _)| name.ends_with("/data.pkl")).unwrap().1;
        const OPCODES: &[u8] = b"\x80\x93\x94\x95\x85\x86\x87\x88\x89\x8A\x8C(.QRXJKMNbchijqrstu})";
        for (at, byte, kind) in &edits {
            let at = at.index(pickle.len() - 1);
            match kind {
                0 => pickle[at] = OPCODES[*byte as usize % OPCODES.len()],
                1 => drop(pickle.remove(at)),
                2 => pickle.insert(at, OPCODES[*byte as usize % OPCODES.len()]),
                _ => pickle[at] = *byte,
            }
        }
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(n, data)| (n.as_str(), &data[..])).collect();
        let bytes = archive(&entries);
        if let Ok(header) = read(&bytes) {
            is_sound(&header, bytes.len());
            let _ = weights(&model(bytes));
        }
    }
}
