// The embedded figure's pure parts.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { THEMES } from "../../www/embed/look.js";
import { stateOf } from "../../www/embed/open.js";
import { bytesOf, ENGINE } from "../../www/embed/sizes.js";
import { readSpec, textsOf, withTexts } from "../../www/embed/spec.js";
import { attention, ablate, patch } from "../../www/experiments.js";
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
  assert.deepEqual(readSpec(read("www/article/attention.json"), "L3H1").head, { layer: 3, head: 1 });
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
    const { state, section } = stateOf({ version: 1, experiment }, "./models/pronoun/");
    const made = section === "patch" ? patch(inputs("patch", state), start.settings.inputs) : ablate(inputs("ablate", state), start.settings.inputs, start.grid.inputs);
    assert.deepEqual(made, { ...experiment, processing: "transformer_lens", prepend_bos: true });
  }
  const trace = attention({ prompt: "x" }, { ...start.settings.inputs, prepend_bos: false }, 4);
  const { state } = stateOf({ version: 1, experiment: /** @type {any} */ (trace), head: { layer: 1, head: 2 } }, "hf:a/b");
  assert.deepEqual(state.attention, { prompt: "x" });
  assert.deepEqual(state.look.head, { layer: 1, head: 2 });
  assert.equal(state.settings.prepend_bos, false);
  assert.equal(state.model.address, "hf:a/b");
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
  assert.ok(listenerOf("https://lab.example/microtome/").includes('origin !== "https://lab.example"'));
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

test("the workflow builds what README names, and pins what it uses", () => {
  const text = read(".github/workflows/site.yml");
  for (const needed of ["cargo run --release -- build --out target/site", "node tests/npm/assemble.mjs --site target/site", "npm pack", "gh release upload", "actions/deploy-pages@"]) assert.ok(text.includes(needed), needed);
  for (const [, used] of text.matchAll(/uses: (\S+)/g)) assert.match(used, /@v\d+\.\d+\.\d+$/);
  assert.ok(!/\t/.test(text) && /^permissions:\n {2}contents: read$/m.test(text));
});
