import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { CAP_CODED, LinkError, decode, encode } from "../../www/link.js";
import { FIELDS, SECTIONS, isAddress } from "../../www/link_fields.js";
import { initialState } from "../../www/state.js";

const packed = (/** @type {string | Uint8Array} */ text) => `v=1&z=${deflateRawSync(text).toString("base64url")}`;
/** @param {string} hash @param {string} code */
const refused = (hash, code) => assert.rejects(decode(hash), (error) => error instanceof LinkError && error.code === code, hash.slice(0, 80));

/** A random number from 0 to 1, the same row each time (mulberry32). @param {number} seed */
const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
};

const EVERY = /** @type {import("../../www/link.js").LinkState} */ ({
  model: { address: "hf:openai-community/gpt2@607a30d783dfa663caf39e06633721c8d4cfcd7e", backend: "cpu", precision: "f16" },
  settings: { processing: { ...initialState().settings.inputs.processing, center_unembed: false }, prepend_bos: false },
  predict: { prompt: "a&b=c#d+e %zz 😀\n\u202e\0", answer: "" },
  grid: { use: "rows", formats: [], names: [{ name: "Zoë", answer: 1 }], answers: [" x", " y"], rows: [{ prompt: "p", correct: " c", incorrect: "" }] },
  attention: { prompt: "<img src=x onerror=alert(1)>" },
  ablate: { metric: "logit_diff", batch: "grid", site: "z", what: "sets", sets: ["L0H1", "MLP0"], correct: " a", incorrect: " b", edit: "mean", over: "prompts",
    prompts: { loss: "one", logit_diff: "two" }, references: { loss: "x\ny", logit_diff: "" } },
  patch: { clean: "c", corrupted: "d", correct: "e", incorrect: "f", what: "get_act_patch_block_every" },
  bias: { tokens: [" it", " there"] },
  heads: { on: "prompt", pattern: "own", own: "1 0\n0 1", measure: "abs", exclude_bos: false, exclude_current_token: false },
  training: { head: "L0H6", addresses: "./models/x/@5", steps: "1, 2" },
  look: { layer: 3, head: { layer: 3, head: 11 }, locked: true, by: "effect", down: false, most: 0, map: "PuOr", signs: true, ranges: { grid: 2.5, patch: 1e-7 } },
});

test("every field of a state comes back as it was, plain and packed", async () => {
  const hash = await encode(EVERY, "patch");
  assert.deepEqual(await decode(`#${hash}`), { state: EVERY, section: "patch", ignored: [] });
  const count = Object.values(EVERY).reduce((sum, part) => sum + Object.keys(part ?? {}).length, 0);
  assert.equal(count, FIELDS.length, "a field has no example here");
  const long = { ...EVERY, predict: { prompt: "Mary is a great friend. ".repeat(400) } };
  const coded = await encode(long);
  assert.match(coded, /^v=1&z=[\w-]+$/);
  assert.deepEqual((await decode(coded)).state, long);
});

test("only what differs from the page's beginning is written", async () => {
  const { predict, grid, settings, attention, heads, look } = initialState();
  assert.equal(await encode({ predict: predict.inputs, grid: grid.inputs, settings: settings.inputs, look: { ...attention.view, ...heads.view, ...look } }), "");
  assert.equal(await encode({ look: { ...look, map: "PuOr", ranges: { patch: 1.5, grid: 3 } } }), "v=1&look.map=PuOr&look.ranges=grid:3,patch:1.5");
  assert.equal(await encode({ model: { address: "./models/pronoun/" } }, "ablate"), "ablate");
  assert.equal(await encode({ predict: { ...predict.inputs, answer: " he" } }, "predict"), "v=1&predict.answer=+he&s=predict");
  assert.equal(await encode({ model: { address: "hf:a/b@main" } }), "v=1&m=hf:a/b@main");
});

test("an old anchor leads to its section, any other one to nothing", async () => {
  for (const section of SECTIONS) assert.deepEqual(await decode(`#${section}`), { state: {}, section, ignored: [] });
  for (const hash of ["", "#", "#nowhere", "#m1", "#__proto__"]) assert.deepEqual(await decode(hash), { state: {}, section: null, ignored: [] });
  assert.deepEqual(await decode("#utm=1&m=javascript:alert(1)"), { state: {}, section: null, ignored: ["utm", "m"] });
});

test("unknown keys are left out and said, whatever they are called", async () => {
  const { state, ignored } = await decode("v=1&__proto__.polluted=1&constructor=2&predict.__proto__=3&x%E2%80%AE=4&predict.answer=+he&toString=5");
  assert.deepEqual(state, { predict: { answer: " he" } });
  assert.deepEqual(ignored, ["__proto__.polluted", "constructor", "predict.__proto__", "x\\u{202e}", "toString"]);
  assert.equal(/** @type {any} */ ({}).polluted, undefined);
  for (const place of ["nowhere", "", "GRID", "__proto__", "\u202e"]) {
    const { section, ignored: left } = await decode(`v=1&predict.answer=+he&s=${encodeURIComponent(place)}`);
    assert.deepEqual([section, left], [null, [`s=${place.replace("\u202e", "\\u{202e}")}`]], "a place that is not on the page");
  }
  const many = await decode(`v=1&${Array.from({ length: 700 }, (_, i) => `k${i}=1`).join("&")}`);
  assert.equal(many.ignored.length, 10);
});

test("hostile links are refused by name", async () => {
  for (const hash of ["v=2&m=hf:a/b", "v=&m=hf:a/b", "v=1.0&p=1"]) await refused(hash, "link.version");
  for (const address of ["javascript:alert(1)", "http://a.example/", "data:text/html,x", "blob:https://a/b", "local", "//evil.example/", "../up/", "./../up/",
    "./.git/", "hf:a", "hf:a/b/c", "hf:a/..", "hf:-a/b", "https://user:pass@host/", "https://[::1]/", "https://a..b/", "https://host:99999/", "./a?b", "./a#b", "./a%2e/",
    "file:///etc/passwd", " hf:a/b", "HF:a/b", "hf:a/b@../x", `./${"a".repeat(600)}/`]) {
    await refused(`v=1&m=${encodeURIComponent(address)}`, "link.value");
  }
  for (const bad of ["model.backend=x", "look.head=L1e9H0", "look.head=L1000000000H1", "look.layer=1e9", "look.layer=-1", "look.most=1000000000", "look.map=rdbu", "look.map=__proto__", "look.signs=yes", "look.ranges=grid", "look.ranges=grid:", "look.ranges=grid:0", "look.ranges=grid:-1",
    "look.ranges=grid:1e999", "look.ranges=grid:NaN", "look.ranges=grid:Infinity", "look.ranges=grid:0x10", "look.ranges=grid:01", "look.ranges=grid:1.0", "look.ranges=grid:%201", "look.ranges=grid:1:2",
    "look.ranges=grid:1,grid:2", "look.ranges=__proto__:1", "look.ranges=grid:1,", `look.ranges=${"grid:1,".repeat(900)}`, "grid.formats={}", "grid.formats=[1]",
    `grid.formats=${"[".repeat(5000)}`, "grid.formats=null", 'grid.names=[["a",2]]', 'grid.names=[["a"]]', 'grid.names={"length":1e9}', 'grid.answers=["a"]', 'grid.rows=[["a","b"]]',
    'grid.rows=[{"__proto__":1}]', "settings.prepend_bos=true", "settings.processing=fold_ln,fold_ln", "settings.processing=__proto__", "patch.what=constructor", "patch.what=__proto__",
    'ablate.prompts={"loss":"a"}', `bias.tokens=["${"a".repeat(201)}",""]`]) {
    await refused(`v=1&${bad}`, "link.value");
    await refused(packed(bad), "link.value");
  }
  for (const twice of ["v=1&v=1", "v=1&s=grid&s=grid", "v=1&predict.answer=a&predict.answer=b", "v=1&z=a&z=b", `${packed("predict.answer=a")}&predict.answer=b`]) await refused(twice, "link.twice");
  for (const bad of ["z=", "z=a", "z=!!!!", "z=AAAA", "z=" + "A".repeat(4001), "z=%00", "z=_____w"]) await refused(`v=1&${bad}`, "link.damaged");
  await refused(packed(new Uint8Array([0xff, 0xfe])), "link.damaged");
  await refused(`v=1&predict.prompt=${"a".repeat(CAP_CODED)}`, "link.too_long");
  await refused(packed(`predict.prompt=${"a".repeat(5_000_000)}`), "link.inflated");
  await refused(packed(`predict.prompt=${"a".repeat(20_001)}`), "link.value");
  assert.deepEqual((await decode(packed("v=1&z=AAAA&s=grid"))).ignored, ["v", "z", "s"], "a packed part holds no other");
});

test("a bomb is given up early", async () => {
  const bomb = packed("a".repeat(5_900_000));
  assert.ok(bomb.length < CAP_CODED);
  const began = performance.now();
  await refused(bomb, "link.inflated");
  assert.ok(performance.now() - began < 200);
});

test("what no link could be read from is not written", async () => {
  await assert.rejects(encode({ predict: { prompt: "a".repeat(20_001) } }), { code: "link.value" });
  // Of a model that has no address for others nothing is said.
  assert.equal(await encode({ model: { address: "local" } }), "");
  const next = random(5);
  const noise = Array.from({ length: 6000 }, () => String.fromCodePoint(0x4e00 + Math.floor(20_000 * next()))).join("");
  await assert.rejects(encode({ predict: { prompt: noise } }), { code: "link.too_long" });
  // A lone surrogate is no text: it is replaced, as everywhere on the web.
  assert.equal((await decode(await encode({ predict: { prompt: "a\ud800b" } }))).state.predict?.prompt, "a\ufffdb");
});

test("addresses: the grammar of the engine", () => {
  for (const good of ["hf:gpt2x/y", "hf:a/b@refs/pr/1", "./", "./models/pronoun/", "./models/pronoun/@300", "./a b/ü", "https://models.example/x/", "https://models.example:8443/x/@5", "https://h"]) assert.ok(isAddress(good), good);
});

/** Whether a value is one that the table of fields allows: written and read again it is the same. @param {any} state */
function within(state) {
  for (const part of Object.keys(state)) {
    for (const [name, value] of Object.entries(state[part])) {
      const field = FIELDS.find((entry) => entry.part === part && entry.name === name);
      assert.ok(field, `${part}.${name}`);
      assert.deepEqual(field.kind.read(field.kind.write(value)), value, field.key);
    }
  }
}

test("thousands of broken links: a state within the limits, or a LinkError", async () => {
  const next = random(1);
  const pick = (/** @type {any} */ list) => list[Math.floor(next() * list.length)];
  const plain = `v=1&${new URLSearchParams(FIELDS.filter(() => next() < 0.4).map(({ key, kind, start }) => [key, kind.write(start)]))}`;
  const seeds = [plain, await encode(EVERY), packed(plain.slice(4)), await encode({ predict: { prompt: "x y ".repeat(2000) } }, "grid"), "v=1&m=hf:a/b&s=ablate"];
  const pieces = ["&", "=", "%", "%00", "%F0%9F", "__proto__", "constructor.prototype", "javascript:", "1e999", "-1", "[[[[", "]]", "null", '{"a":1}', "\u202e", "\ud800", "z=", "v=1", "m=", "&s=", "#", "+", "\0", "NaN",
    ...FIELDS.map(({ key }) => `&${key}=`), ...SECTIONS];
  let read = 0;
  let refusals = 0;
  for (let i = 0; i < 6000; i++) {
    let text = String(pick(seeds));
    for (let times = 1 + Math.floor(4 * next()); times > 0; times--) {
      const at = Math.floor(next() * text.length);
      const what = next();
      if (what < 0.3) text = text.slice(0, at) + pick(pieces) + text.slice(at);
      else if (what < 0.55) text = text.slice(0, at) + String.fromCharCode(Math.floor(next() * (next() < 0.8 ? 128 : 65_536))) + text.slice(at + 1);
      else if (what < 0.75) text = text.slice(0, at) + text.slice(at + Math.floor(8 * next()));
      else if (what < 0.9) text = text.slice(0, at) + text.slice(Math.floor(next() * text.length));
      // The same inside of the packed part, which would otherwise hardly ever be read.
      else text = packed(text.replace(/^v=1&/, ""));
    }
    try {
      const { state, ignored, section } = await decode(text);
      within(state);
      assert.ok(ignored.length <= 10 && ignored.every((key) => [...key].length < 500));
      assert.ok(section === null || SECTIONS.includes(section));
      read++;
    } catch (error) {
      if (!(error instanceof LinkError)) throw new Error(`${JSON.stringify(text)}: ${error}`, { cause: error });
      refusals++;
    }
  }
  assert.ok(read > 500 && refusals > 500, `${read} read, ${refusals} refused`);
});
