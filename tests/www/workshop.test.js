import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, parseHead, parseHeads, parseNumber, readAnswer, solution } from "../../www/workshop/checks.js";
import { LESSON } from "../../www/workshop/lesson.js";
import { workshopAddress } from "../../www/workshop/address.js";
import { ASKED, QUESTIONS } from "../../www/workshop/answers.js";
import { headsOver, topHead, topPlaces } from "../../www/workshop/measure.js";
import { answersCsv, createProgress, isOf, noted, parseProgress, settle } from "../../www/workshop/progress.js";
import { WORKSHOP } from "../../www/strings/workshop.js";
import { findings } from "./synthetic_workshop.js";

const KNOWN = new Set(QUESTIONS);
const words = (/** @type {string} */ step) => /** @type {any} */ (WORKSHOP.steps)[step];

test("the lesson is 10 to 14 steps with ids of their own, each with words, minutes, a place in the lab and questions", () => {
  assert.ok(LESSON.length >= 10 && LESSON.length <= 14);
  assert.equal(new Set(LESSON.map(({ id }) => id)).size, LESSON.length);
  assert.equal(KNOWN.size, QUESTIONS.length);
  for (const { id, minutes, lab, questions } of LESSON) {
    assert.match(id, /^[a-z]+$/);
    assert.ok(minutes > 0 && minutes <= 10 && lab, id);
    assert.ok(words(id).title && words(id).prose.length >= 2, id);
    assert.ok(questions.length, id);
    assert.deepEqual(Object.keys(words(id).ask).sort(), questions.map(({ id }) => id).sort(), id);
    // What is guessed is asked before the figure, so it comes first.
    assert.deepEqual(questions.map(({ guess }) => !guess), questions.map(({ guess }) => !guess).sort(), id);
    for (const question of questions) {
      const { prompt, hints, options } = words(id).ask[question.id];
      assert.ok(prompt && hints.length === 2, `${id}.${question.id}`);
      assert.equal(question.kind === "choice", Boolean(question.options), `${id}.${question.id}`);
      if (question.options) assert.deepEqual(Object.keys(options), question.options, `${id}.${question.id}`);
      assert.equal(question.kind === "token", Boolean(question.tokens), `${id}.${question.id}`);
    }
  }
});

test("prose holds no number about the model: such numbers are computed", () => {
  for (const { id } of LESSON) {
    for (const text of words(id).prose) {
      // What is left are layers and heads as examples, thresholds that a step states, and mathematics.
      const plain = text.replace(/L\dH\d|e ≈ 2\.72|above (a mean of |a score of )?(0\.4|1|zero)|head 4 of layer 1|0 is like John, 1 is like Mary|GPT-2|25 prompts|layer 0|Row 0/g, "");
      assert.doesNotMatch(plain, /\d\.\d|\d{2}/, `${id}: ${text}`);
    }
  }
});

test("every question accepts what follows from the result, and refuses what does not; its words are filled in", async () => {
  const found = await findings();
  for (const step of LESSON) {
    const seen = found.get(step.id);
    assert.ok(step.draw(seen).length, step.id);
    for (const question of step.questions) {
      const at = `${step.id}.${question.id}`;
      const truth = question.truth(seen);
      assert.equal(truth.kind, question.kind, at);
      const why = question.why(seen);
      assert.ok(why.length > 10 && !/undefined|NaN|null|Infinity|\[object/.test(why), `${at}: ${why}`);
      const answer = solution(truth);
      assert.ok(answer, at);
      if (truth.kind === "prompt") continue;
      assert.equal(judge(truth, answer).verdict, "right", `${at}: ${answer}`);
      for (const wrong of wrongOf(truth, question)) {
        assert.equal(judge(truth, wrong).verdict, "wrong", `${at} takes “${wrong}”, though it is ${answer}`);
        const said = question.of?.(readAnswer(question.kind, wrong) ?? "", seen);
        assert.ok(!said || !/undefined|NaN|null|\[object/.test(said), `${at}: ${said}`);
      }
      assert.equal(judge(truth, question.kind === "choice" ? " " : "what?").verdict, "unreadable", at);
    }
  }
});

/** @param {import("../../www/workshop/lesson.js").Truth} truth @param {import("../../www/workshop/lesson.js").Question<any>} question @returns {string[]} */
function wrongOf(truth, question) {
  switch (truth.kind) {
    case "number": return [String(truth.value + 2 * truth.tolerance + 1), String(truth.value - 2 * truth.tolerance - 1)];
    case "head": return ["L0H0", "L0H1", "L1H0", "L1H1"].filter((name) => !truth.heads.includes(name));
    case "heads": return [[...truth.must, "L9H9"].join(", "), truth.must.slice(1).join(", ") || "none"];
    case "choice": return (question.options ?? []).filter((key) => key !== truth.key);
    case "token": return ["0", "1", "2", "3"].filter((place) => !truth.places.includes(Number(place)));
    case "prompt": return [];
  }
}

test("another result has other right answers: nothing is stored", async () => {
  const [one, other] = [await findings(), await findings(true)];
  const changed = LESSON.flatMap((step) => step.questions.filter((question) =>
    solution(question.truth(one.get(step.id))) !== solution(question.truth(other.get(step.id)))).map(({ id }) => `${step.id}.${id}`));
  const same = QUESTIONS.filter((key) => !changed.includes(key));
  assert.deepEqual(same, ["values.everywhere"], "zeroing v and z everywhere is the same for any model; all else depends on it");
});

/** A sentence without its numbers and names. @param {string} text */
const bare = (text) => text.replace(/L\dH\d|[−-]?\d[\d.,]*%?|only (fold|cent)[^:.]*|␣\w+/gi, "…");

test("what is concluded follows from the result: a model with another result is told another sentence", async () => {
  const [one, other] = [await findings(), await findings(true)];
  for (const key of ["ablate.same", "induction.backup", "induction.first", "values.switch", "training.sooner"]) {
    const [step, id] = key.split(".");
    const question = /** @type {any} */ (LESSON.find((entry) => entry.id === step)?.questions.find((entry) => entry.id === id));
    const [a, b] = [one, other].map((found) => bare(question.why(found.get(step))));
    assert.notEqual(a, b, key);
  }
  const question = (/** @type {string} */ step, /** @type {string} */ id) => /** @type {any} */ (LESSON.find((entry) => entry.id === step)?.questions.find((entry) => entry.id === id));
  const induction = one.get("induction");
  const { why } = question("induction", "backup");
  // Copying was never broken, or there was nothing to switch off.
  assert.match(why({ ...induction, together: 2.05 }), /by less than a tenth/);
  assert.match(why({ ...induction, together: null }), /nothing to switch off/);
  assert.doesNotMatch(why({ ...induction, together: 2.05 }), /cannot see/);
  const first = question("induction", "first");
  const previous = (/** @type {number} */ score) => ({ shape: [2, 2], values: [0.5, score, 0.1, 0.1] });
  assert.match(first.why({ ...induction, previous: previous(0.9) }), /the highest of all heads/);
  assert.match(first.why({ ...induction, previous: previous(0.1) }), /it is not the head/);
  const values = one.get("values");
  const still = { ...values, switched: { none: 1, fold_ln: 1, center_writing_weights: 1.0002, center_unembed: 1, fold_value_biases: 1 } };
  assert.deepEqual(question("values", "switch").truth(still), { kind: "choice", key: "none" });
  assert.match(question("values", "switch").why(still), /No switch by itself/);
  assert.match(question("values", "z").why({ ...values, at: { v: [3, 1, 3, 3], z: [3, 1, 3, 3] } }), /where zeroing v hurts most, too/);
  const space = question("tokens", "space");
  const she = [{ id: 1, text: "she" }];
  assert.match(space.why({ bare: she, spaced: she }), /makes no difference/);
});

test("a step that a model cannot do says so: it has no checkpoints, or no preference to lose a part of", async () => {
  const found = await findings();
  const matter = /** @type {any} */ (LESSON.find(({ id }) => id === "matter"));
  const { all } = found.get("matter");
  const says = (/** @type {any} */ step, /** @type {any} */ found) => step.draw(found).some((/** @type {any} */ drawing) => drawing.kind === "words" && drawing.text[0] === words(step.id).none);
  for (const [baseline, possible] of /** @type {[number, boolean][]} */ ([[4, true], [0, false], [-1, false]])) {
    const now = { all: { ...all, result: { ...all.result, baseline } } };
    assert.deepEqual([matter.possible(now), says(matter, now)], [possible, !possible], String(baseline));
  }
  const training = /** @type {any} */ (LESSON.find(({ id }) => id === "training"));
  assert.deepEqual([training.possible({ checkpoints: [] }), says(training, { checkpoints: [] })], [false, true]);
  // The handout prints that sentence in the place of answers.
  for (const { id, possible } of LESSON) assert.equal(Boolean(possible), Boolean(words(id).none), id);
});

test("the class is told an address that others can open: the room's, else the page's own, and none of this machine", () => {
  const room = "https://192.168.1.5:8080/";
  for (const [page, said, expected] of /** @type {[string, string | null, string | null][]} */ ([
    ["https://example.org/lab/handout.html", null, "https://example.org/lab/workshop.html"],
    ["http://localhost:8081/handout.html", room, `${room}workshop.html`],
    ["http://192.168.1.5:8081/handout.html", room, `${room}workshop.html`],
    ["http://localhost:8081/handout.html", null, null],
    ["http://localhost:8081/handout.html", "https://localhost:8080/", null],
    ["http://127.0.0.1:8080/handout.html", "javascript:alert(1)", null],
    ["http://[::1]:8080/handout.html", "", null],
    ["http://room.localhost/handout.html", "no address", null],
    ["file:///home/x/handout.html", null, null],
  ])) assert.equal(workshopAddress(page, said), expected, page);
});

test("numbers, heads and lists of heads are read as people write them", () => {
  assert.deepEqual(parseNumber(" −4,59 "), [-4.59]);
  assert.deepEqual(parseNumber("94 %"), [94]);
  assert.deepEqual(parseNumber("98×"), [98]);
  assert.deepEqual(parseNumber("2,100"), [2.1, 2100]);
  for (const shown of ["2.100", "2,100"]) assert.deepEqual(parseNumber(shown), [2.1, 2100]);
  for (const language of ["de", "fr", "ar-EG", "hi", "fa", "de-CH"]) {
    const shown = (/** @type {number} */ value) => new Intl.NumberFormat(language, { minimumFractionDigits: 2 }).format(value);
    assert.ok(parseNumber(shown(-4.59)).includes(-4.59), `${language}: ${shown(-4.59)}`);
    assert.ok(parseNumber(new Intl.NumberFormat(language).format(2_100_000)).includes(2_100_000), language);
    assert.ok(parseNumber(new Intl.NumberFormat(language, { style: "percent" }).format(0.94)).includes(94), language);
  }
  for (const both of ["1,234.5", "1.234,5", "1 234,5", "1’234.5", "1'234,5"]) assert.deepEqual(parseNumber(both), [1234.5], both);
  assert.deepEqual(parseNumber("−12,34,567.25"), [-1234567.25]);
  for (const bad of ["", "four", "1.2.3", "1,23.4", "1.234.5", "1,234,5", "12.34,5", "1e9999x", "--1", "0x10", "Infinity"]) assert.deepEqual(parseNumber(bad), [], bad);
  assert.equal(parseHead(" l0 h6 "), "L0H6");
  assert.equal(parseHead("10.11"), "L10H11");
  for (const bad of ["", "12", "L1", "H2", "L1H", "L1H2H3", "L-1H2", "L1234H1"]) assert.equal(parseHead(bad), null, bad);
  assert.deepEqual(parseHeads("L0H6; 1.4 and l1h4"), ["L0H6", "L1H4"]);
  assert.deepEqual(parseHeads("L0H1 L0H2"), ["L0H1", "L0H2"]);
  assert.deepEqual(parseHeads("None"), []);
  assert.equal(parseHeads("L0H1, she"), null);
  assert.equal(readAnswer("number", `1${" ".repeat(300)}`), null);
});

test("numbers have a tolerance, and say on which side an answer lies", () => {
  const truth = /** @type {const} */ ({ kind: "number", value: 4.59, tolerance: 0.02, shown: "4.59" });
  assert.equal(judge(truth, "4.61").verdict, "right");
  assert.equal(judge(truth, "4,57").verdict, "right");
  assert.deepEqual(judge(truth, "4,62"), { verdict: "wrong", read: "4.62", side: "high" });
  assert.deepEqual(judge(truth, "−4.59"), { verdict: "wrong", read: "-4.59", side: "low" });
  assert.deepEqual(judge({ kind: "number", value: 2100, tolerance: 0, shown: "2100" }, "2,100"), { verdict: "right", read: "2100" });
  assert.deepEqual(judge(truth, "about four"), { verdict: "unreadable" });
});

test("a list of heads must have all of them; those too close to the threshold may be named or not", () => {
  const all = [0.9, 0.41, 0.3, 0.5].map((value, i) => ({ name: `L0H${i}`, layer: 0, head: i, value }));
  const truth = headsOver(all, 0.4);
  assert.deepEqual(truth, { kind: "heads", must: ["L0H0", "L0H3"], may: ["L0H1"] });
  assert.equal(judge(truth, "L0H3, L0H0").verdict, "right");
  assert.equal(judge(truth, "L0H3, L0H1, L0H0").verdict, "right");
  assert.deepEqual(judge(truth, "L0H0, L0H2"), { verdict: "wrong", missing: 1, extra: ["L0H2"] });
  const none = headsOver(all, 2);
  assert.equal(solution(none), "none");
  assert.equal(judge(none, "none").verdict, "right");
  assert.equal(judge(none, "L0H0").verdict, "wrong");
});

test("of heads or tokens that are as good as each other any will do", () => {
  const all = [1, 2, 2.0001].map((value, i) => ({ name: `L0H${i}`, layer: 0, head: i, value }));
  assert.deepEqual(topHead(all), { kind: "head", heads: ["L0H2", "L0H1"] });
  assert.deepEqual(topHead(all, -1), { kind: "head", heads: ["L0H0"] });
  assert.deepEqual(topPlaces([3, 1, 1, 2], -1), { kind: "token", places: [1, 2] });
});

/** @type {import("../../www/workshop/progress.js").Kept} */
const KEPT = { answer: "L0H6", state: "right", tries: 2, computed: "L0H6", model: "pronoun", sha256: "ab" };

test("progress that was damaged or made up is not believed", () => {
  const good = JSON.stringify({ version: 1, answers: { "ablate.diff": KEPT } });
  assert.deepEqual(parseProgress(good, KNOWN), { "ablate.diff": KEPT });
  for (const bad of [null, "", "{", "null", "[]", "1", '"x"', "{}", '{"version":2,"answers":{}}', '{"version":1,"answers":null}', '{"version":1,"answers":[1]}', good.slice(1), `${good}x`]) {
    assert.deepEqual(parseProgress(bad, KNOWN), {}, String(bad));
  }
  assert.deepEqual(parseProgress(good.padEnd(100_001, " "), KNOWN), {});
  const odd = (/** @type {any} */ kept) => parseProgress(JSON.stringify({ version: 1, answers: { "ablate.diff": kept, "__proto__": KEPT, "no.such": KEPT } }), KNOWN);
  for (const kept of [null, 1, "x", [], { ...KEPT, state: "won" }, { ...KEPT, answer: 7 }]) assert.deepEqual(odd(kept), {});
  assert.deepEqual(odd({ ...KEPT, tries: -5, model: 3, answer: "x".repeat(5000) })["ablate.diff"], { ...KEPT, tries: 0, model: "", answer: "x".repeat(200) });
  assert.equal(odd({ ...KEPT, tries: 1e12 })["ablate.diff"].tries, 999);
});

test("what was solved stays solved; an answer about another model counts for nothing, whatever its hash", () => {
  const model = { name: "pronoun", sha256: "ab" };
  const given = { answer: "L0H1", words: "L0H1", computed: "L0H6", told: "L0H6" };
  const again = (/** @type {any} */ before, /** @type {any} */ now, /** @type {{ right?: boolean, shown?: boolean }} */ judged) => settle(before, now, { ...given, right: false, shown: false, ...judged });
  // A wrong answer after the right one is not kept as right, nor at all.
  assert.deepEqual(again(KEPT, model, {}), KEPT);
  assert.deepEqual(again(KEPT, model, { right: true }), { ...given, state: "right", tries: 2, model: "pronoun", sha256: "ab" });
  const shown = again({ ...KEPT, state: "wrong" }, model, { shown: true });
  assert.deepEqual([shown.state, shown.tries, shown.answer], ["shown", 2, "L0H1"]);
  assert.deepEqual(again(shown, model, {}), { ...shown, tries: 3 });
  assert.deepEqual([again(shown, model, { right: true }).state, again(shown, model, { right: true }).tries], ["shown", 3]);
  // Another model: by its hash, or where neither has one, by its name.
  for (const [before, now] of /** @type {[typeof KEPT, { name: string, sha256: string | null }][]} */ ([[KEPT, { name: "pronoun", sha256: "cd" }], [{ ...KEPT, sha256: "" }, { name: "gpt2", sha256: null }]])) {
    assert.equal(isOf(before, now), false);
    assert.deepEqual(again(before, now, {}), { ...given, state: "wrong", tries: 1, ...noted(now) });
    assert.deepEqual(again({ ...before, state: "shown" }, now, { right: true }).state, "right");
  }
  assert.ok(isOf({ ...KEPT, ...noted({ name: "n".repeat(300), sha256: null }) }, { name: "n".repeat(300), sha256: null }), "a long name is cut when it is kept");
  // A guess may come before there is a model.
  assert.ok(isOf({ ...KEPT, ...noted(null) }, model) && isOf(KEPT, null));
});

/** A browser's storage. @param {Map<string, string>} cells */
const storageOf = (cells) => /** @type {any} */ ({ getItem: (/** @type {string} */ key) => cells.get(key) ?? null, setItem: (/** @type {string} */ key, /** @type {string} */ value) => cells.set(key, value), removeItem: (/** @type {string} */ key) => cells.delete(key) });

test("two tabs do not overwrite each other's answers, and hear of them", () => {
  /** @type {Map<string, string>} */
  const cells = new Map();
  /** @type {((event: { key: string | null }) => void)[]} */
  const hear = [];
  const tab = () => createProgress(KNOWN, () => storageOf(cells), (listener) => void hear.push(listener));
  const [one, two] = [tab(), tab()];
  one.set("ablate.diff", KEPT);
  two.set("next.times", { ...KEPT, answer: "79" });
  assert.deepEqual(Object.keys(tab().all()).sort(), ["ablate.diff", "next.times"], "the other tab's answer is lost");
  /** @type {boolean[]} */
  const heard = [];
  one.subscribe((outside) => void heard.push(outside));
  assert.equal(one.get("next.times"), undefined);
  for (const listener of hear) listener({ key: "something else" });
  assert.deepEqual(heard, []);
  for (const listener of hear) listener({ key: "microtome.workshop" });
  assert.equal(one.get("next.times")?.answer, "79");
  two.clear();
  for (const listener of hear) listener({ key: null });
  assert.deepEqual([one.all(), heard], [{}, [true, true]]);
});

test("progress is kept and comes back; a browser that keeps nothing stops nobody", () => {
  /** @type {Map<string, string>} */
  const cells = new Map();
  const storage = storageOf(cells);
  const first = createProgress(KNOWN, () => storage);
  let heard = 0;
  first.subscribe(() => heard++);
  first.set("ablate.diff", KEPT);
  assert.equal(createProgress(KNOWN, () => storage).get("ablate.diff")?.answer, "L0H6");
  first.clear();
  assert.deepEqual([createProgress(KNOWN, () => storage).all(), first.all(), heard, first.keeps()], [{}, {}, 2, true]);
  const forbidden = createProgress(KNOWN, () => { throw new Error("SecurityError"); });
  forbidden.set("ablate.diff", KEPT);
  forbidden.set("next.times", KEPT);
  assert.deepEqual([forbidden.get("ablate.diff"), forbidden.get("next.times"), forbidden.keeps()], [KEPT, KEPT, false]);
});

test("the file for handing in has a row for each question; text that a spreadsheet would run stays text", () => {
  const hostile = { ...KEPT, answer: '=HYPERLINK("x"),\n1', model: "@evil", state: /** @type {const} */ ("shown") };
  const csv = answersCsv({ "ablate.diff": hostile, "next.times": { ...KEPT, answer: "79.3", state: "wrong", computed: "79.2" },
    "travel.start": { ...KEPT, answer: "2", words: "Mary (2)", computed: "1", told: "␣Mary (1)" } }, ASKED, WORKSHOP.finish.columns, "+Eve, <b>");
  const rows = csv.split("\r\n");
  assert.equal(rows.length, QUESTIONS.length + 2);
  assert.equal(rows[0], WORKSHOP.finish.columns.join(","));
  const asked = (/** @type {string} */ key) => ASKED.find((entry) => entry.key === key)?.text;
  const hostileText = `"'=HYPERLINK(""x""),\n1"`;
  assert.ok(csv.includes(`ablate,diff,${asked("ablate.diff")},${hostileText},${hostileText},shown,2,L0H6,L0H6,'@evil,ab,"'+Eve, <b>"`), csv);
  // What a visitor has not found yet is not told by the file.
  assert.ok(csv.includes(`79.3,79.3,wrong,2,,,pronoun,ab,"'+Eve, <b>"`), csv);
  // Keys are for programs: beside them stands what was asked and answered.
  assert.ok(csv.includes(`travel,start,${asked("travel.start")},2,Mary (2),right,2,1,␣Mary (1),pronoun,ab,`), csv);
  assert.equal(WORKSHOP.finish.columns.length, 12);
});
