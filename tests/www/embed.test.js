// The embedded figure's pure parts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { lead } from "../../www/embed/lab_link.js";
import { LAB } from "../../www/embed/lab_page.js";
import { THEMES } from "../../www/embed/look.js";
import { onScreen } from "../../www/embed/on_screen.js";
import { stateOf } from "../../www/embed/open.js";
import { bytesOf, ENGINE } from "../../www/embed/sizes.js";
import { labOf } from "../../www/embed/source.js";
import { readSpec, textsOf, withTexts } from "../../www/embed/spec.js";
import { attention, ablate, patch } from "../../www/experiments.js";
import { trusted } from "../../www/spawn.js";
import { elementOf, snippetOf, listenerOf } from "../../www/snippet.js";
import { initialState } from "../../www/state.js";

const read = (/** @type {string} */ path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const ablation = { version: 1, kind: "ablate", prompt: "Mary is", site: "v", edit: { kind: "zero" }, axes: ["layer", "head"], metric: { kind: "logit_diff", correct: " she", incorrect: " he" } };

test("the figure has the page's colours, in both themes", () => {
  const variables = (/** @type {string} */ css) => new Map([...css.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value.trim()]));
  const [light, dark] = read("www/style.css").split("@media (prefers-color-scheme: dark)");
  for (const [own, page] of /** @type {const} */ ([[THEMES.light, light], [THEMES.dark, dark.slice(0, dark.indexOf("*, *::before"))]])) {
    const [mine, theirs] = [variables(own), variables(page)];
    assert.ok(mine.size > 10);
    for (const [name, value] of mine) assert.equal(value, theirs.get(name), name);
  }
});

test("an experiment, and a recorded figure, are read; anything else is named", () => {
  assert.deepEqual(readSpec(JSON.stringify(ablation)).experiment, ablation);
  const file = readSpec(read("www/article/attention.json"));
  assert.deepEqual(file.head, { layer: 0, head: 6 });
  assert.equal(file.figure?.values.length, 100);
  const other = readSpec(read("www/article/attention.json"), "L3H1");
  assert.deepEqual(other.head, { layer: 3, head: 1 });
  assert.equal(other.figure, undefined, "what was recorded of another head");
  assert.ok(readSpec(read("www/article/attention.json"), "L0H6").figure);
  const patching = JSON.parse(read("www/article/patching.json"));
  const broken = (/** @type {object} */ change) => JSON.stringify({ ...patching, figure: { ...patching.figure, ...change } });
  for (const json of ["", "null", "7", "{}", '{"experiment":null}', '{"experiment":{"kind":7}}', broken({ rows: 5 }), broken({ values: ["x"] }), broken({ scale: null }),
    broken({ scale: { min: 1, mid: 1, max: 1 } }), broken({ row_axis: { title: "", labels: "abcd" } }), broken({ col_axis: null }), broken({ title: {} })]) {
    assert.throws(() => readSpec(json), { code: "figure.json" }, json.slice(0, 60));
  }
  assert.throws(() => readSpec('{"kind":"predict","prompt":"a"}'), { code: "figure.kind" });
  assert.throws(() => readSpec('{"kind":"trace","prompts":["a"]}'), { code: "figure.head" });
});

test("a reader's texts take the place of the experiment's, and of nothing else", () => {
  const texts = { prompt: "Tom is", correct: " he", incorrect: " she" };
  assert.deepEqual(textsOf(ablation), { prompt: "Mary is", correct: " she", incorrect: " he" });
  assert.deepEqual(withTexts(/** @type {any} */ (ablation), texts), { ...ablation, prompt: "Tom is", metric: { kind: "logit_diff", correct: " he", incorrect: " she" } });
  assert.equal(ablation.prompt, "Mary is");
  assert.deepEqual(textsOf({ kind: "trace", prompts: ["a"] }), { prompt: "a" });
  assert.deepEqual(withTexts(/** @type {any} */ ({ kind: "trace", prompts: ["a"] }), { prompt: "b" }), { kind: "trace", prompts: ["b"] });
  assert.deepEqual(textsOf({ kind: "trace", prompts: ["a", "b"] }), {});
  assert.deepEqual(textsOf({ kind: "ablate", prompt: [1, 2], metric: { kind: "loss" } }), {});
});

test("an experiment leads to the lab's inputs that give it again", () => {
  const start = initialState();
  const inputs = (/** @type {"ablate" | "patch" | "attention"} */ key, /** @type {any} */ state) => ({ ...start[key].inputs, ...state[key] });
  for (const name of ["ablation", "patching"]) {
    const { experiment } = JSON.parse(read(`www/article/${name}.json`));
    const { state, section } = /** @type {any} */ (stateOf({ version: 1, experiment }, "./models/pronoun/"));
    const made = section === "patch" ? patch(inputs("patch", state), start.settings.inputs) : ablate(inputs("ablate", state), start.settings.inputs, start.grid.inputs);
    assert.deepEqual(made, { ...experiment, processing: "transformer_lens", prepend_bos: true });
  }
  const trace = attention({ prompt: "x" }, { ...start.settings.inputs, prepend_bos: false }, 4);
  const { state } = /** @type {any} */ (stateOf({ version: 1, experiment: /** @type {any} */ (trace), head: { layer: 1, head: 2 } }, "hf:a/b"));
  assert.deepEqual(state.attention, { prompt: "x" });
  assert.deepEqual(state.look.head, { layer: 1, head: 2 });
  assert.equal(state.settings.prepend_bos, false);
  assert.equal(state.model.address, "hf:a/b");
});

test("what the lab has no fields for leads nowhere", () => {
  const none = (/** @type {object} */ experiment) => assert.equal(stateOf({ version: 1, experiment: /** @type {any} */ (experiment), head: { layer: 0, head: 0 } }, "./models/pronoun/"), null, JSON.stringify(experiment));
  const { prompt: _, site, axes, ...rest } = ablation;
  none({ ...ablation, site: undefined, axes: undefined, sets: [[{ site: "v", layer: 0, head: 1 }]] });
  none({ ...rest, site, axes, prompts: [{ prompt: "Mary is" }, { prompt: "Tom is" }] });
  none({ ...ablation, prompt: [1, 2] });
  none({ ...ablation, site: "mlp_out", axes: ["layer", "pos"] });
  none({ ...ablation, metric: { kind: "logit_diff", correct: 5, incorrect: 6 } });
  none({ ...ablation, edit: { kind: "resample", prompts: ["a\nb"] } });
  const { experiment } = JSON.parse(read("www/article/patching.json"));
  none({ ...experiment, site: "attn_scores" });
  none({ ...experiment, clean: undefined, corrupted: undefined, pairs: [{ clean: "a", corrupted: "b" }] });
  none({ version: 1, kind: "trace", prompts: [[1, 2]], hooks: [] });
  none({ version: 1, kind: "trace", prompts: ["a"], hooks: [], edited: { places: [], edit: { kind: "zero" } } });
  none({ version: 1, kind: "detect", prompts: ["a", "b"], pattern: "induction" });
  assert.equal(stateOf({ version: 1, experiment: { version: 1, kind: "detect", prompt: "a", pattern: "induction" } }, "./models/pronoun/")?.state.heads.exclude_bos, false);
});

test("“Open in the lab”: an author's address is kept until the experiment is another one", async () => {
  const figure = /** @type {any} */ ({ getAttribute: () => null });
  const link = (/** @type {string} */ href) => /** @type {any} */ ({ href });
  const mine = (/** @type {string} */ prompt) => ({ version: /** @type {const} */ (1), experiment: /** @type {any} */ ({ ...ablation, prompt }) });
  const model = "./models/pronoun/";
  const first = JSON.stringify([mine("Mary is").experiment, undefined, model]);
  const given = link(`${LAB}#v=1&s=ablate&ablate.batch=grid`);
  await lead(given, figure, { spec: mine("Mary is"), model, first });
  assert.match(given.href, /batch=grid$/, "a right address was replaced");
  await lead(given, figure, { spec: mine("Tom is"), model, first });
  assert.match(given.href, /Tom/);
  // It is its own now, and follows the experiment back.
  await lead(given, figure, { spec: mine("Mary is"), model, first });
  assert.match(given.href, /Mary\+is/);
  const bare = link(`${LAB}index.html`);
  await lead(bare, figure, { spec: mine("Mary is"), model, first });
  assert.match(bare.href, /index\.html#v=1&.*s=ablate$/);
  for (const href of ["", "https://other.example/", `${LAB}article.html`]) {
    const other = link(href);
    await lead(other, figure, { spec: mine("Tom is"), model, first });
    assert.equal(other.href, href);
  }
  const left = link(/** @type {string} */ (LAB));
  await lead(left, figure, { spec: { version: 1, experiment: /** @type {any} */ ({ ...ablation, prompt: [1] }) }, model, first });
  assert.equal(left.href, LAB, "what the lab cannot say");
  await assert.rejects(lead(left, figure, { spec: mine("x".repeat(200_000)), model, first }), /./);
  Object.assign(globalThis, { document: { baseURI: "https://blog.example/post/" } });
  assert.equal(labOf(/** @type {any} */ ({ getAttribute: () => "../lab/" })), "https://blog.example/lab/");
  delete (/** @type {any} */ (globalThis).document);
});

test("off the screen: a short scroll loses nothing, a long one ends the work, which begins anew", async () => {
  /** @type {(entries: object[]) => void} */
  let seen = () => {};
  Object.assign(globalThis, { IntersectionObserver: class { constructor(/** @type {any} */ tell) { seen = tell; } observe() {} disconnect() {} } });
  let [now, timers] = [0, /** @type {{ at: number, act: () => void }[]} */ ([])];
  const real = { setTimeout, clearTimeout };
  Object.assign(globalThis, {
    setTimeout: (/** @type {() => void} */ act, /** @type {number} */ ms) => timers[timers.push({ at: now + ms, act }) - 1],
    clearTimeout: (/** @type {object} */ timer) => { timers = timers.filter((one) => one !== timer); },
  });
  const pass = (/** @type {number} */ ms) => {
    now += ms;
    for (const timer of timers.filter(({ at }) => at <= now)) timer.act();
    timers = timers.filter(({ at }) => at > now);
  };
  const tick = () => new Promise((resolve) => setImmediate(resolve));
  const on = (/** @type {boolean} */ isIntersecting) => seen([{ isIntersecting }]);
  let waits = 0;
  const screen = onScreen(/** @type {any} */ ({}), () => { waits += 1; });
  /** @type {AbortSignal[]} */
  const turns = [];
  /** @type {(value: string) => void} */
  let finish = () => {};
  const whole = new AbortController();
  const done = screen.during(whole.signal, (turn) => new Promise((resolve, reject) => {
    turns.push(turn);
    turn.addEventListener("abort", () => reject(turn.reason));
    finish = resolve;
  }));
  await tick();
  assert.deepEqual([turns.length, waits], [0, 1], "it begins off the screen");
  on(true);
  await tick();
  on(false);
  pass(9_000);
  on(true);
  pass(60_000);
  await tick();
  assert.deepEqual([turns.length, turns[0].aborted], [1, false], "a short scroll lost the work");
  on(false);
  pass(10_001);
  await tick();
  assert.deepEqual([turns.length, turns[0].aborted, waits], [1, true, 2], "it goes on off the screen");
  on(true);
  await tick();
  assert.equal(turns.length, 2);
  finish("done");
  assert.equal(await done, "done");
  const ended = screen.during(whole.signal, (turn) => new Promise((_, reject) => turn.addEventListener("abort", () => reject(turn.reason))));
  await tick();
  whole.abort(new Error("cancelled"));
  await assert.rejects(ended, /cancelled/);
  Object.assign(globalThis, real);
});

test("the policy of types lets this site's scripts pass, and nothing else", () => {
  const types = { createPolicy: (/** @type {string} */ _, /** @type {object} */ rules) => rules };
  Object.assign(globalThis, { trustedTypes: types });
  const own = new URL("../../www/sw.js", import.meta.url).href;
  assert.equal(trusted(own), own);
  for (const url of ["https://evil.example/x.js", "blob:https://blog.example/0", "data:text/javascript,0", new URL("../../tests/x.js", import.meta.url).href, `${new URL("../../www/", import.meta.url)}../x.js`]) {
    assert.throws(() => trusted(url), TypeError, url);
  }
  delete (/** @type {any} */ (globalThis).trustedTypes);
});

test("the button's bytes: engine and model, nothing twice, and no guess", () => {
  const model = "./models/pronoun/";
  assert.equal(bytesOf(model, { engine: false, stored: false }), ENGINE + 2_198_534);
  assert.equal(bytesOf(model, { engine: false, stored: true }), ENGINE);
  assert.equal(bytesOf(model, { engine: true, stored: true }), 0);
  assert.equal(bytesOf("hf:openai-community/gpt2", { engine: true, stored: false }), 549_604_455);
  assert.equal(bytesOf("hf:some/body", { engine: false, stored: false }), null);
});

test("the snippet holds text as text", () => {
  const html = snippetOf({ hash: 'v=1&x="><script>', title: '"><b>&', base: "https://lab.example/microtome/" });
  assert.ok(html.startsWith('<iframe src="https://lab.example/microtome/embed.html#v=1&amp;x='));
  assert.equal(html.match(/</g)?.length, 2);
  assert.ok(html.includes('title="&quot;&gt;&lt;b&gt;&amp;"') && html.includes('loading="lazy"') && html.includes('allow="clipboard-write; fullscreen"'));
});

test("the listener hears this site's frames, sandboxed ones too, and no others", () => {
  const base = "https://lab.example/microtome/";
  const frame = (/** @type {string} */ src) => ({ src, contentWindow: {}, height: "480" });
  const [own, sandboxed, other] = [frame(`${base}embed.html#v=1`), frame(`${base}embed.html#v=1`), frame("https://other.example/embed.html")];
  /** @type {(event: object) => void} */
  let hear = () => {};
  const [, script] = /** @type {RegExpExecArray} */ (/^<script>\n([^]*)<\/script>$/.exec(listenerOf(base)));
  new Function("addEventListener", "document", script)((/** @type {string} */ _, /** @type {any} */ listener) => { hear = listener; }, { querySelectorAll: () => [own, sandboxed, other] });
  const say = (/** @type {string} */ origin, /** @type {{ contentWindow: object }} */ { contentWindow }, /** @type {any} */ data) => hear({ origin, source: contentWindow, data });
  say("https://lab.example", own, { type: "microtome:resize", height: 700 });
  say("null", sandboxed, { type: "microtome:resize", height: 600 });
  for (const origin of ["null", "https://other.example"]) say(origin, other, { type: "microtome:resize", height: 9 });
  say("https://other.example", own, { type: "microtome:resize", height: 9 });
  for (const data of [null, "x", { type: "microtome:resize", height: 1e6 }, { type: "microtome:resize", height: "9;" }, { type: "other", height: 9 }]) say("https://lab.example", own, data);
  assert.deepEqual([own.height, sandboxed.height, other.height], [700, 600, "480"]);
});

test("the element's HTML holds text as text, and gives its figure back", () => {
  const evil = '</script><img src=x onerror=alert(1)>"&';
  const spec = { ...JSON.parse(read("www/article/patching.json")), model: { name: evil, sha256: null } };
  spec.experiment.clean = evil;
  const html = elementOf({ spec, model: './m"/', title: evil, hash: 'v=1&x="><script>', base: "https://lab.example/microtome/" });
  assert.equal(html.match(/</g)?.length, 8, "an element that was typed");
  assert.ok(html.startsWith('<script type="module" src="https://lab.example/microtome/element.js"></script>'));
  assert.ok(html.includes('model="./m&quot;/"') && html.includes('heading="&lt;/script&gt;'));
  assert.ok(html.includes('<a href="https://lab.example/microtome/#v=1&amp;x=%22%3E%3Cscript%3E">'), html.slice(-200));
  const json = /** @type {RegExpExecArray} */ (/<script type="application\/json">(.*)<\/script>/.exec(html))[1];
  assert.deepEqual(readSpec(json), readSpec(JSON.stringify(spec)));
});

test("the article's numbers are those of its figures", () => {
  const text = read("www/article.html").replace(/\s+/g, " ");
  const numbers = (/** @type {string} */ name) => JSON.parse(read(`www/article/${name}.json`)).figure;
  const { values, scale: { mid } } = numbers("ablation");
  assert.ok(text.includes("the lead falls from 4.6 to 0.4") && text.includes("reaches 4.59") && mid.toFixed(2) === "4.59" && values[6].toFixed(1) === "0.4");
  const others = values.filter((/** @type {number} */ _, /** @type {number} */ i) => i !== 6);
  assert.ok(text.includes("within three tenths") && others.every((/** @type {number} */ value) => Math.abs(value - mid) < 0.3));
  assert.ok(text.includes("several in the first layer") && values.slice(0, 8).filter((/** @type {number} */ value) => value > mid + 0.05).length >= 4);
  assert.ok(text.includes("to 4.9 at most") && Math.max(...values).toFixed(1) === "4.9");
  const { values: looks, rows } = numbers("attention");
  const name = Array.from({ length: rows }, (_, row) => looks[row * rows + 1]);
  assert.ok(text.includes("nine tenths of its attention") && name[9].toFixed(1) === "0.9");
  assert.ok(text.includes("The comma gives it seven tenths") && name[6].toFixed(1) === "0.7");
  assert.ok(text.includes("a tenth or so at most") && [1, 2, 3, 4, 5, 7, 8].every((row) => name[row] < 0.105));
  const first = [1, 2, 3, 4, 5, 7, 8].filter((row) => Math.max(...looks.slice(row * rows, row * rows + row + 1)) === looks[row * rows]);
  assert.ok(text.includes("in nearly all of them the first token") && first.length === 6);
  const { values: back } = numbers("patching");
  for (const [i, value] of back.entries()) assert.ok(Math.abs(value - (i === 1 || [19, 29, 39].includes(i) ? 1 : 0)) < 0.004, `cell ${i}`);
});

test("the workflow builds what README names, and pins what it uses", () => {
  const text = read(".github/workflows/site.yml");
  // Without the library's source there would be no build with threads, and no error.
  assert.ok(text.includes("rustup component add rust-src") && text.includes("pkg/threads/microtome_bg.wasm"));
  assert.ok(text.indexOf("rust-src") < text.indexOf("cargo run") && text.indexOf("pkg/threads") > text.indexOf("cargo run"));
  for (const needed of ["cargo run --release -- build --out target/site", "node tests/npm/assemble.mjs --site target/site", "npm pack", "gh release upload", "actions/deploy-pages@"]) assert.ok(text.includes(needed), needed);
  for (const [, used] of text.matchAll(/uses: (\S+)/g)) assert.match(used, /@v\d+\.\d+\.\d+$/);
  assert.ok(!/\t/.test(text) && /^permissions:\n {2}contents: read$/m.test(text));
});
