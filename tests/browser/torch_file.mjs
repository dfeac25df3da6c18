// A PyTorch file as `torch.save` writes a state dict: a zip archive of stored entries, a pickle that names the tensors and
// one entry with the bytes of each. Only what stanford-crfm's checkpoints hold: halves, and masks of bytes.

/** The remainders of a byte by zip's polynomial. */
const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** @typedef {{ name: string, storage: "HalfStorage" | "ByteStorage", shape: number[], bytes: Buffer }} Tensor */

/** @param {Tensor[]} tensors @returns {Buffer} */
export function torchFile(tensors) {
  const entries = [["archive/data.pkl", pickle(tensors)], ["archive/version", Buffer.from("3\n")],
    ...tensors.map(({ bytes }, i) => [`archive/data/${i}`, bytes])];
  return zip(/** @type {[string, Buffer][]} */ (entries));
}

/** A pickle of protocol 2: an OrderedDict of tensors. @param {Tensor[]} tensors */
function pickle(tensors) {
  const parts = [Buffer.from([0x80, 2]), global("collections", "OrderedDict"), Buffer.from(")R(")];
  for (const [i, { name, storage, shape, bytes }] of tensors.entries()) {
    const elements = bytes.length / (storage === "HalfStorage" ? 2 : 1);
    const strides = shape.map((_, dim) => shape.slice(dim + 1).reduce((a, b) => a * b, 1));
    parts.push(text(name), global("torch._utils", "_rebuild_tensor_v2"), Buffer.from("(("), text("storage"),
      global("torch", storage), text(String(i)), text("cpu"), integer(elements), Buffer.from("tQ"), integer(0),
      tuple(shape), tuple(strides), Buffer.from([0x89]), global("collections", "OrderedDict"), Buffer.from(")RtR"));
  }
  return Buffer.concat([...parts, Buffer.from("u.")]);
}

/** @param {string} module @param {string} name */
const global = (module, name) => Buffer.from(`c${module}\n${name}\n`);

/** @param {string} value */
function text(value) {
  const bytes = Buffer.from(value);
  const head = Buffer.alloc(5, "X");
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** @param {number} value */
function integer(value) {
  const bytes = Buffer.alloc(5, "J");
  bytes.writeInt32LE(value, 1);
  return bytes;
}

/** @param {number[]} values */
const tuple = (values) => Buffer.concat([Buffer.from("("), ...values.map(integer), Buffer.from("t")]);

/** @param {[string, Buffer][]} entries */
function zip(entries) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const [name, bytes] of entries) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(bytes.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name)]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, rest, Buffer.from(name)]));
    parts.push(local, bytes);
    at += local.length + bytes.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** The checksum of a zip's entry. @param {Buffer} bytes */
function crc32(bytes) {
  let rest = ~0;
  for (const byte of bytes) rest = REMAINDERS[(rest ^ byte) & 0xff] ^ (rest >>> 8);
  return ~rest >>> 0;
}
