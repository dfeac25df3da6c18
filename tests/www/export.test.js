// Exports: what goes into files, and that nothing hostile gets out of its place.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { unzipSync } from "../../www/vendor/fflate/fflate.esm.js";
import { cell, csvOf } from "../../www/export/csv.js";
import { jsonOf } from "../../www/export/json.js";
import { floats, integers, npy, npzOf } from "../../www/export/npz.js";
import { canvasOf, withText } from "../../www/export/png.js";
import { compose, moved, wrap } from "../../www/export/picture.js";
import { pythonScript, whyNoNnsight } from "../../www/export/python.js";
import { py, pyString } from "../../www/export/python/literal.js";
import { placeOf, placeOfSource } from "../../www/export/python/origin.js";
import { aboutOf, arrays, browserOf, captionOf, csv, nameOf } from "../../www/export/result.js";
import { MOST_RECTS, PAINTED, svgOf, xml } from "../../www/export/svg.js";
import { idsOf } from "../../www/export/tokens.js";
import { GROUPS } from "../../www/patching.js";
import { theme } from "./theme.js";

const HOSTILE = ["<img src=x onerror=alert(1)>", "=cmd|'/c calc'!A1", "\"quoted\"", "back\\slash\\", "two\nlines\r\n", "\"\"\"); import os; os.abort()  # ",
  "'''", "\u2028\u2029", "\ud800", "a\udfffb", "\ud83d\ude00", "\u202eevil", "\u0000", "{x}", "${x}", "</script>", " she", "isn’t", "@x", "+1", "-2", "\t=1", "C:\\new\\x"];
const python = ["python3", "python"].find((name) => spawnSync(name, ["--version"]).status === 0);
/** A Python that has NumPy: the system's has its package where the first one of the path is another. */
const numpy = ["python3", "python", "/usr/bin/python3"].find((name) => spawnSync(name, ["-c", "import numpy"]).status === 0);

// --- Text ------------------------------------------------------------------------------------------------------------

test("a string of Python is the text again, on one line, whatever is in it", { skip: python ? false : "there is no Python here" }, () => {
  for (const text of HOSTILE) assert.ok(/^"[^\r\n\u2028\u2029\u202e\0]*"$/.test(pyString(text)), pyString(text));
  const source = `# -*- coding: utf-8 -*-\n# ${HOSTILE.map(pyString).join(" ")}\nimport json\nprint(json.dumps(${py(HOSTILE)}))\n`;
  const read = spawnSync(/** @type {string} */ (python), ["-"], { input: source, encoding: "utf8", env: { ...process.env, PYTHONUTF8: "1" } });
  assert.equal(read.status, 0, read.stderr);
  assert.deepEqual(JSON.parse(read.stdout), HOSTILE);
});

test("values of Python: nothing, truth, numbers, and long lists in lines", () => {
  assert.equal(py({ a: [null, true, false, 1.5, -0, NaN, -Infinity], b: "x" }), '{"a": [None, True, False, 1.5, 0, float("nan"), float("-inf")], "b": "x"}');
  const long = py(Array.from({ length: 300 }, (_, i) => i));
  assert.ok(long.split("\n").length > 5 && long.split("\n").every((line) => line.length <= 110), long);
});

test("CSV: quotes, line ends, formulas in text and never in numbers, full precision", () => {
  assert.equal(cell("=1+1"), "'=1+1");
  for (const start of ["=", "+", "-", "@", "\t", "\r"]) assert.match(cell(`${start}x`), /^"?'/);
  assert.equal(cell(-0.5), "-0.5");
  assert.equal(cell(0.1 + 0.2), "0.30000000000000004");
  assert.equal(cell(1e-7), "1e-7");
  assert.deepEqual([null, undefined, NaN, Infinity].map(cell), ["", "", "", ""]);
  assert.equal(cell("a \"b\", c\r\n"), "\"a \"\"b\"\", c\r\n\"");
  assert.equal(cell(" she"), " she");
  assert.equal(csvOf(["a", "b"], [[1, "x"], [2, null]], { from: "a,b" }), 'a,b,about\r\n1,x,"{""from"":""a,b""}"\r\n2,,\r\n');
});

test("CSV is what Python's csv module reads", { skip: python ? false : "there is no Python here" }, () => {
  const words = HOSTILE.filter((text) => !/\p{Surrogate}/u.test(text)).filter((text) => !text.includes("\0"));
  const text = csvOf(["n", "text"], words.map((word, i) => [i / 7, word]));
  const read = spawnSync(/** @type {string} */ (python), ["-c", "import csv,json,sys,io; sys.stdout.write(json.dumps(list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode(), newline=''), strict=True))))"], { input: text, encoding: "utf8" });
  assert.equal(read.status, 0, read.stderr);
  const rows = JSON.parse(read.stdout);
  assert.deepEqual(rows[0], ["n", "text"]);
  words.forEach((word, i) => assert.deepEqual([Number(rows[i + 1][0]), rows[i + 1][1].replace(/^'(?=[=+\-@\t\r])/, "")], [i / 7, word]));
});

// --- Pictures --------------------------------------------------------------------------------------------------------

/** One of each operation. @returns {import("../../www/draw/paint.js").Op[]} */
const everything = () => [
  { op: "rect", x: 1, y: 2, w: 3, h: 4, fill: "#fff" }, { op: "frame", x: 1, y: 2, w: 3, h: 4, stroke: "red", width: 2 },
  { op: "hatch", x: 0, y: 0, w: 20, h: 10, stroke: "red" }, { op: "line", x1: 0, y1: 0, x2: 5, y2: 5, stroke: "red" },
  { op: "curve", points: [[0, 0], [1, 2]], stroke: "red", width: 2, dash: [2, 3] },
  { op: "text", x: 5, y: 6, text: HOSTILE.join(""), fill: "#000", font: "700 12px \"A & B\", mono", align: "center", baseline: "middle", turn: -Math.PI / 2 },
  { op: "cells", x: 0, y: 0, w: 20, h: 10, cols: 2, rows: 1, rgba: new Uint8ClampedArray([255, 0, 0, 255, 0, 0, 0, 0]) },
];
const words = { title: HOSTILE.join(""), desc: HOSTILE.join(""), background: "#fff", image: () => "data:image/png;base64,AAAA" };

test("both painters know every operation", () => {
  const source = readFileSync(new URL("../../www/draw/paint.js", import.meta.url), "utf8");
  const painted = [...source.matchAll(/case "(\w+)":/g)].map(([, op]) => op);
  assert.deepEqual([...PAINTED].sort(), painted.sort());
  assert.deepEqual([...new Set(everything().map(({ op }) => op))].sort(), painted.sort());
  assert.throws(() => svgOf({ width: 1, height: 1, ops: [/** @type {any} */ ({ op: "blob" })] }, words), /blob/);
});

test("SVG holds hostile text as text, and is well-formed XML", { skip: python ? false : "there is no Python here" }, () => {
  const svg = svgOf({ width: 100, height: 50, ops: everything() }, words);
  assert.ok(!/<img|<script|onerror=alert\(1\)"/.test(svg), svg);
  const read = spawnSync(/** @type {string} */ (python), ["-c", `
import sys, json, xml.etree.ElementTree as ET
root = ET.fromstring(sys.stdin.buffer.read())
ns = "{http://www.w3.org/2000/svg}"
print(json.dumps({"tags": sorted({e.tag.replace(ns, "") for e in root.iter()}), "title": root.find(ns + "title").text,
  "text": root.find(ns + "text").text, "cells": len(root.find(ns + "g")), "names": sorted({n for e in root.iter() for n in e.attrib})}))`], { input: svg, encoding: "utf8" });
  assert.equal(read.status, 0, read.stderr);
  const found = JSON.parse(read.stdout);
  assert.deepEqual(found.tags, ["desc", "g", "line", "path", "polyline", "rect", "svg", "text", "title"]);
  const text = HOSTILE.join("").replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\0/g, "\ufffd").replace(/\r\n?/g, "\n");
  // XML itself makes one line feed of a carriage return and a line feed.
  assert.equal(found.text, text);
  assert.equal(found.title, text);
  assert.equal(found.cells, 1, "a see-through cell is no rectangle");
  assert.ok(found.names.every((/** @type {string} */ name) => !/^on/i.test(name)));
});

test("SVG: cells are rectangles where they are few, else an image without smoothing", () => {
  const cells = (/** @type {number} */ n) => ({ op: /** @type {const} */ ("cells"), x: 0, y: 0, w: 10, h: 10, cols: n, rows: 1, rgba: new Uint8ClampedArray(n * 4).fill(255) });
  const few = svgOf({ width: 10, height: 10, ops: [cells(MOST_RECTS)] }, words);
  assert.equal(few.match(/<rect/g)?.length, MOST_RECTS + 1);
  const many = svgOf({ width: 10, height: 10, ops: [cells(MOST_RECTS + 1)] }, words);
  assert.equal(many.match(/<rect/g)?.length, 1);
  assert.match(many, /<image [^>]*href="data:image\/png;base64,AAAA"[^>]*image-rendering:pixelated/);
});

test("xml escapes what markup is made of", () => assert.equal(xml("<a b='c'>&\"\0"), "&lt;a b=&apos;c&apos;&gt;&amp;&quot;\ufffd"));

test("a picture is its parts moved, between a title and a caption", () => {
  for (const op of everything()) {
    const [there] = [moved(moved(op, 10, 20), -10, -20)];
    assert.deepEqual(there, op);
  }
  const part = { title: "part", width: 100, height: 50, ops: everything() };
  const { ops, height } = compose([part, part], { title: "whole", caption: ["a", "b"] }, theme);
  assert.deepEqual(ops.filter(({ op }) => op === "text").map((op) => /** @type {any} */ (op).text), ["whole", "part", HOSTILE.join(""), "part", HOSTILE.join(""), "a", "b"]);
  assert.ok(height > 100);
  assert.deepEqual(wrap("aa bb cc", 5), ["aa bb", "cc"]);
  assert.deepEqual(wrap("aaaaaaa b", 3), ["aaa", "aaa", "a b"]);
  // A character of two surrogates is one, and is not parted.
  assert.deepEqual(wrap("\ud83d\ude00\ud83d\ude00\ud83d\ude00 b", 2), ["\ud83d\ude00\ud83d\ude00", "\ud83d\ude00", "b"]);
  assert.deepEqual(wrap("\ud83d\ude00 b", 3), ["\ud83d\ude00 b"]);
});

test("a canvas has twice the pixels, and neither a longer side nor more of them than a browser draws", () => {
  assert.deepEqual(canvasOf(832, 500), { ratio: 2, width: 1664, height: 1000 });
  for (const [width, height] of [[832, 20_000], [40_000, 900], [9000, 9000], [16_385, 1]]) {
    const size = canvasOf(width, height);
    assert.ok(Math.max(size.width, size.height) <= 16_384 && size.width * size.height < 64.1e6, JSON.stringify(size));
    assert.ok(Math.abs(size.width / size.height / (width / height) - 1) < 1e-3 || height === 1, JSON.stringify(size));
  }
});

test("a PNG keeps its parts, and says what it is of in parts with the right check sums", { skip: python ? false : "there is no Python here" }, () => {
  // One grey pixel.
  const pixel = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==", "base64");
  const read = spawnSync(/** @type {string} */ (python), ["-c", `
import sys, json, struct, zlib
data, at, found = sys.stdin.buffer.read(), 8, []
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + body), kind
    found.append([kind.decode(), body.decode("utf-8") if kind == b"iTXt" else size])
    at += 12 + size
print(json.dumps(found))`], { input: withText(pixel, { Title: "é", Description: "{}" }), encoding: "utf8" });
  assert.equal(read.status, 0, read.stderr);
  assert.deepEqual(JSON.parse(read.stdout), [["IHDR", 13], ["iTXt", "Title\0\0\0\0\0é"], ["iTXt", "Description\0\0\0\0\0{}"], ["IDAT", 10], ["IEND", 0]]);
});

test("the browser in two words", () => {
  assert.equal(browserOf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"), "Chrome 156");
  assert.equal(browserOf("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15"), "Safari 26");
  assert.equal(browserOf("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), "Firefox 140");
  assert.equal(browserOf("Other"), "Other");
});

// --- Arrays ----------------------------------------------------------------------------------------------------------

const ARRAYS = {
  values: { shape: [2, 3], data: floats([1.5, null, -2, 0.1, 1e300, 0]) }, "0/blocks.0.hook": { shape: [2], data: new Float32Array([0.5, -1]) },
  ids: { shape: [2], data: integers([50256, -1]) }, labels: { shape: [3], data: [" she", "\ud83d\ude00é", ""] }, about: { shape: [], data: ["{\"a\": 1}"] },
};

test("an .npz is a stored zip of .npy files", () => {
  const bytes = npzOf(ARRAYS);
  assert.deepEqual(npzOf(ARRAYS), bytes, "the same arrays, the same bytes");
  const files = unzipSync(bytes);
  assert.deepEqual(Object.keys(files), Object.keys(ARRAYS).map((name) => `${name}.npy`));
  for (const file of Object.values(files)) {
    assert.deepEqual([...file.subarray(0, 8)], [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
    assert.equal((10 + file[8] + 256 * file[9]) % 64, 0);
  }
  const header = new TextDecoder().decode(files["values.npy"].subarray(10, 128));
  assert.ok(header.startsWith("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }") && header.endsWith("\n"), header);
  assert.deepEqual([...new Float64Array(files["values.npy"].slice(128).buffer)], [1.5, NaN, -2, 0.1, 1e300, 0]);
  assert.throws(() => npy({ shape: [2, 2], data: floats([1]) }), /4 elements, not 1/);
});

test("NumPy reads an .npz without pickle", { skip: numpy ? false : "there is no NumPy here" }, () => {
  const folder = mkdtempSync(join(tmpdir(), "microtome-npz-"));
  try {
    writeFileSync(join(folder, "a.npz"), npzOf(ARRAYS));
    const out = execFileSync(/** @type {string} */ (numpy), ["-c", `
import numpy as np, json, sys
a = np.load(sys.argv[1], allow_pickle=False)
print(json.dumps({k: [str(a[k].dtype), list(a[k].shape), [None if isinstance(v, float) and v != v else v for v in a[k].flatten().tolist()]] for k in a.files}))`, join(folder, "a.npz")], { encoding: "utf8" });
    assert.deepEqual(JSON.parse(out), {
      values: ["float64", [2, 3], [1.5, null, -2, 0.1, 1e300, 0]], "0/blocks.0.hook": ["float32", [2], [0.5, -1]], ids: ["int64", [2], [50256, -1]],
      labels: ["<U4", [3], [" she", "\ud83d\ude00é", ""]], about: ["<U8", [], ["{\"a\": 1}"]],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

// --- Results ---------------------------------------------------------------------------------------------------------

const model = { name: "<img src=x onerror=alert(1)>", sha256: "ab".repeat(32), n_layers: 2, n_heads: 2 };
const engine = { backend: "cpu", adapter: null, precision: "f32", build: "microtome 0.1.0 wasm32", reason: "asked for", milliseconds: 3 };
const ablation = {
  version: 1, kind: "ablate", axes: ["layer", "pos"], shape: [2, 2], values: [1, null, 0.1 + 0.2, -4], baseline: 0.5, model, engine,
  experiment: { version: 1, kind: "ablate", processing: "transformer_lens", prepend_bos: true, prompt: "x", site: "v", axes: ["layer", "pos"], edit: { kind: "zero" }, metric: { kind: "loss" } },
};
const item = { result: ablation, key: "ablate", address: "./m/", browser: "Test/1", tokens: { prompt: [{ id: 1, text: "=cmd()" }, { id: 2, text: "<b>" }] }, unfinished: false };

test("names of files are safe and say what is in them", () => {
  assert.equal(nameOf(ablation.experiment), "ablate-v-zero-loss");
  assert.equal(nameOf({ kind: "patch", sites: ["z", "../../etc"], axes: ["layer", "head"], metric: { kind: "logit_diff" } }), "patch-z-etc-over-layer-head-logit_diff");
  for (const site of HOSTILE) assert.match(nameOf({ ...ablation.experiment, site }), /^[a-z0-9_-]{1,80}$/);
});

test("a sweep as CSV has a row for each cell with its tokens, and says where it comes from", () => {
  const lines = csv(item).split("\r\n");
  assert.equal(lines[0], "layer,pos,pos_token,pos_id,value,change,about");
  assert.ok(lines[1].startsWith("0,0,'=cmd(),1,1,0.5,\"{\"\"model\"\""), lines[1]);
  assert.deepEqual(lines.slice(2), ["0,1,<b>,2,,,", "1,0,'=cmd(),1,0.30000000000000004,-0.19999999999999996,", "1,1,<b>,2,-4,-4.5,", ""]);
  const about = aboutOf(item);
  for (const part of [about.model.name, about.model.sha256, about.model.address, about.processing, about.engine.backend, about.engine.build, about.browser, about.experiment]) assert.ok(part, JSON.stringify(about));
});

test("the JSON is the result, with figure and browser beside it; f32 in its shortest decimals", () => {
  const trace = { kind: "trace", tensors: [{ a: { shape: [3], data: new Float32Array([0.1, -Infinity, 1 / 3]) } }] };
  const read = JSON.parse(jsonOf(trace, { figure: { title: "f" }, browser: "b", address: "a" }));
  assert.deepEqual(read, { kind: "trace", tensors: [{ a: { shape: [3], data: [0.1, null, 0.33333334] } }], figure: { title: "f" }, exported: { address: "a", browser: "b" } });
});

test("what is done of a sweep says in every format that it is incomplete, and where it comes from", () => {
  const part = { ...item, unfinished: true, result: { ...ablation, done: 3, values: [1, NaN, 0.3, -4] }, figure: { title: "f" } };
  const json = JSON.parse(jsonOf(part.result, part));
  assert.deepEqual([json.incomplete, json.values, json.model.sha256, json.engine.build], [true, [1, null, 0.3, -4], model.sha256, engine.build]);
  assert.equal("incomplete" in JSON.parse(jsonOf(ablation, item)), false);
  const [, first, second] = csv(part).split("\r\n");
  assert.ok(first.includes('{""incomplete"":true,""model"":{""name""'), first);
  assert.equal(second, "0,1,<b>,2,,,");
  const all = arrays(part, /** @type {any} */ ({ floats, integers }));
  assert.equal(JSON.parse(String(all.about.data[0])).incomplete, true);
  assert.match(captionOf(aboutOf(part)).join(), /incomplete/);
});

test("a long prompt is cut between characters", () => {
  const [asked] = captionOf(aboutOf({ ...item, result: { ...ablation, experiment: { ...ablation.experiment, prompt: "\ud83d\ude00".repeat(300) } } }));
  assert.ok(!/\p{Surrogate}/u.test(asked) && [...asked].length === 220 && asked.endsWith("\ud83d\ude00…"), asked);
});

test("a sweep as arrays", () => {
  const all = arrays(item, /** @type {any} */ ({ floats, integers }));
  assert.deepEqual([all.values.shape, [...all.values.data]], [[2, 2], [1, NaN, 0.1 + 0.2, -4]]);
  assert.deepEqual([...all.prompt_ids.data], [1n, 2n]);
  assert.deepEqual(all.axes.data, ["layer", "pos"]);
  assert.equal(JSON.parse(String(all.about.data[0])).model.name, model.name);
});

// --- Python ----------------------------------------------------------------------------------------------------------

test("an address as Python's loaders take it", () => {
  assert.deepEqual(placeOf("hf:openai-community/gpt2@607a30d"), { model: "openai-community/gpt2", revision: "607a30d", step: null });
  assert.deepEqual(placeOf("hf:a/b"), { model: "a/b", revision: null, step: null });
  assert.deepEqual(placeOf("www/models/pronoun/@300"), { model: "www/models/pronoun/", revision: null, step: 300 });
  const source = { name: "x/../y", address: "local", sha256: null, n_layers: 2 };
  assert.deepEqual(placeOfSource(source), { model: "y", revision: null, step: null });
  assert.deepEqual(placeOfSource({ ...source, address: "hf:a/b@checkpoint-10", step: 20 }), { model: "a/b", revision: "checkpoint-20", step: null });
  assert.deepEqual(placeOfSource({ ...source, address: "./models/pronoun/", step: 20 }), { model: "pronoun", revision: null, step: 20 });
});

const base = { version: 1, processing: "none", prepend_bos: true };
const metric = { kind: "logit_diff", correct: HOSTILE[0], incorrect: HOSTILE[1], normalize: true };
const prompt = HOSTILE.join("");
/** An experiment of every kind, every group of places among them. @type {any[]} */
const EXPERIMENTS = [
  { ...base, kind: "predict", prompt, answer: HOSTILE[5], top_k: 3 },
  { ...base, kind: "predict", prompt, answers: [HOSTILE[5], 3], edited: { places: [{ site: "z", layer: 0, head: 1, pos: 2 }, { site: "mlp_out", layer: 1 }], edit: { kind: "resample", prompts: [prompt] } } },
  { ...base, kind: "trace", prompts: [prompt], hooks: ["blocks.0.attn.hook_pattern"], edited: { places: [{ site: "v", head: 1 }], edit: { kind: "mean", prompts: [prompt] } } }, { ...base, kind: "logit_diff", prompts: [{ prompt, correct: 1, incorrect: " he" }] },
  { ...base, kind: "trace", prompts: [prompt, [1, 2]], hooks: ["blocks.0.attn.hook_pattern", "blocks.1.hook_resid_mid"] },
  ...["zero", "mean", "resample"].map((kind) => ({ ...base, kind: "ablate", prompts: [{ prompt }, { prompt: [1] }], site: "v", axes: ["layer", "head"], metric: { kind: "loss" }, edit: kind === "zero" ? { kind } : { kind, prompts: [prompt] } })),
  { ...base, kind: "ablate", prompt, sets: [[{ site: "v", layer: 0, head: 1 }, { site: "mlp_out", layer: 1 }], [{ site: "k", layer: 1 }, { site: "q", layer: 1, pos: 0 }]], metric: { kind: "loss" }, edit: { kind: "zero" } },
  { ...base, kind: "patch", clean: prompt, corrupted: prompt, site: "mlp_out", axes: [], metric },
  ...GROUPS.flatMap(({ functions }) => functions).map(({ places }) => ({ ...base, kind: "patch", clean: prompt, corrupted: prompt, ...places, metric })),
  { ...base, kind: "unembed_bias", tokens: [HOSTILE[0], HOSTILE[1]] },
  { ...base, kind: "detect", prompts: [prompt], patterns: ["induction", [[1, 0], [0, 1]]], measure: "abs", exclude_bos: true, exclude_current_token: true, heads: [[0, 1]] },
];
EXPERIMENTS.push({ version: 1, kind: "training", steps: "all", experiments: EXPERIMENTS.filter(({ kind }) => kind !== "trace") });

test("scripts of every kind compile, for both libraries, whatever prompts, tokens and names hold", { skip: python ? false : "there is no Python here" }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "microtome-py-"));
  try {
    const files = [];
    for (const [i, experiment] of EXPERIMENTS.entries()) {
      const ids = await idsOf(experiment, async (text, bos) => (bos ? [0, 5, 6] : [text.length]));
      for (const address of ["hf:a/\"b@c\"", "./x\"\"\"/", "local"]) {
        const source = { name: HOSTILE.join(""), address, sha256: "ab", n_layers: 2, url: `http://x/${encodeURI(prompt.replace(/[\ud800-\udfff]/g, ""))}` };
        for (const library of /** @type {const} */ (["transformer_lens", "nnsight"])) {
          if (library === "nnsight" && whyNoNnsight(experiment, source)) continue;
          const file = join(folder, `${library}-${i}-${address[0]}.py`);
          const text = pythonScript(experiment, { source, ids, library, steps: [0, 10], build: HOSTILE[2] });
          assert.ok(!/[\u2028\u2029\u202e\0\ud800-\udbff](?![\udc00-\udfff])/.test(text), `${experiment.kind}: an invisible character`);
          writeFileSync(file, text);
          files.push(file);
        }
      }
    }
    const compiled = spawnSync(/** @type {string} */ (python), ["-c", "import sys, ast\nfor f in sys.argv[1:]:\n  compile(open(f, encoding='utf8', newline='').read(), f, 'exec', ast.PyCF_ONLY_AST)", ...files], { encoding: "utf8" });
    assert.equal(compiled.status, 0, compiled.stderr);
    assert.ok(files.length > 100, String(files.length));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a script names the very tokens, weights, processing and revision", async () => {
  const ids = await idsOf(ablation.experiment, async () => [0, 17, 4]);
  const options = { ids, source: { name: "gpt2", address: "hf:openai-community/gpt2@607a30d", sha256: "ab", n_layers: 12 } };
  const text = pythonScript(ablation.experiment, options);
  for (const part of ['"ids": [0, 17, 4], "text": "x"', 'REVISION = "607a30d"', '"openai-community/gpt2"', "fold_ln=True", "attn_implementation=\"eager\"", "x[place] = 0.0", 'utils.get_act_name("v", layer)']) {
    assert.ok(text.includes(part), `${part} is not in\n${text}`);
  }
  const raw = pythonScript({ ...ablation.experiment, processing: "none", prompt: [3, 4] }, options);
  assert.ok(raw.includes("fold_ln=False") && raw.includes('normalization_type="LN"') && raw.includes('"ids": [3, 4]') && !raw.includes("fold_ln=True"));
  const patch = (/** @type {any} */ places) => pythonScript({ ...base, kind: "patch", clean: [1], corrupted: [2], metric: { kind: "logit_diff", correct: 1, incorrect: 2 }, ...places }, options);
  for (const { functions } of GROUPS.slice(0, 4)) for (const { name, places } of functions) assert.ok(patch(places).includes(`patching.${name}(`), name);
});

test("a field that no script is written for is said, and not left out", async () => {
  const ids = await idsOf(ablation.experiment, async () => [1]);
  const source = { name: "m", address: "local", sha256: null, n_layers: 2 };
  for (const library of /** @type {const} */ (["transformer_lens", "nnsight"])) {
    for (const [field, value, said] of /** @type {[string, any, RegExp][]} */ ([
      ["temperature", 2, /the field “temperature”/], ["metric", { kind: "loss", from: 3 }, /the field “metric.from”/], ["edit", { kind: "zero", scale: 2 }, /the field “edit.scale”/],
      ["sets", [[{ site: "v", layer: 0, neuron: 1 }]], /the field “sets.neuron”/], ["prompts", [{ prompt: "x", weight: 2 }], /the field “prompts.weight”/],
      ["metric", { kind: "kl" }, /the metric “kl”/], ["metric", { kind: "constructor" }, /the metric “constructor”/], ["edit", { kind: "noise" }, /the edit “noise”/],
      ["edit", { kind: "mean", prompts: ["x"], over: "layers" }, /the mean over “layers”/],
    ])) {
      assert.throws(() => pythonScript({ ...ablation.experiment, [field]: value }, { ids, source, library }), said, `${library}: ${field}`);
    }
  }
  const patch = { ...base, kind: "patch", clean: "x", corrupted: "x", site: "z", axes: ["layer"] };
  for (const library of /** @type {const} */ (["transformer_lens", "nnsight"])) {
    assert.throws(() => pythonScript({ ...patch, metric: { kind: "kl" } }, { ids, source, library }), /the metric “kl”/);
  }
  const edited = { ...base, kind: "predict", prompt: "x", edited: { places: [{ site: "z", layer: 0 }], edit: { kind: "resample", prompts: ["x", "x"] } } };
  assert.throws(() => pythonScript(edited, { ids, source }), /from one prompt, not from 2/);
  assert.throws(() => pythonScript({ ...base, kind: "steer", prompt: "x" }, { ids, source }), /the kind “steer”/);
});

test("a result that came with the page says so, and names no browser", () => {
  const about = aboutOf({ ...item, recorded: { model: "m", sha256: null, build: "b", made: "2026-01-02", same: true } });
  assert.deepEqual([about.recorded, about.browser], ["2026-01-02", null]);
  assert.match(captionOf(about).join(), /recorded 2026-01-02/);
});

test("nnsight is offered where its model has the place, and says what raw weights change", async () => {
  const at = (/** @type {any} */ more) => ({ ...ablation.experiment, ...more });
  assert.equal(whyNoNnsight(at({})), null);
  assert.match(String(whyNoNnsight(at({ site: "resid_mid" }))), /resid_mid/);
  assert.match(String(whyNoNnsight(at({ site: "attn_scores" }))), /attn_scores/);
  assert.match(String(whyNoNnsight({ kind: "detect" })), /TransformerLens/);
  assert.equal(whyNoNnsight({ kind: "trace", hooks: ["blocks.0.attn.hook_pattern", "blocks.3.hook_resid_post"] }), null);
  assert.match(String(whyNoNnsight({ kind: "trace", hooks: ["blocks.0.ln1.hook_scale"] })), /ln1/);
  const ids = await idsOf(ablation.experiment, async () => [1]);
  const script = pythonScript(ablation.experiment, { ids, library: "nnsight", source: { name: "m", address: "local", sha256: null, n_layers: 2 } });
  assert.match(script, /value biases lie in the output bias/);
});

// --- The library -----------------------------------------------------------------------------------------------------

test("www/vendor/fflate is what npm has, byte for byte, and the note of third-party parts names its version", () => {
  const home = new URL("../../node_modules/fflate/", import.meta.url);
  const ours = new URL("../../www/vendor/fflate/", import.meta.url);
  for (const [name, file] of [["fflate.esm.js", "esm/browser.js"], ["fflate.esm.d.ts", "esm/index.d.mts"], ["LICENSE", "LICENSE"]]) {
    assert.deepEqual(readFileSync(new URL(name, ours)), readFileSync(new URL(file, home)), name);
  }
  const { version } = JSON.parse(readFileSync(new URL("package.json", home), "utf8"));
  const note = readFileSync(new URL("../../src/cli/licences.rs", import.meta.url), "utf8");
  assert.ok(note.includes(`"fflate ${version}"`), version);
});
