import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { nameOf, showAbout, showBytes, showLarge, showExact, showNumber, showPercent, showSentence, showSigned, showText, showToken, tokenLabel, writerFor } from "../../www/format.js";
import { cut } from "../../www/draw/axis.js";

test("every character of a token can be seen", () => {
  assert.equal(showToken(" she"), "␣she");
  assert.equal(showToken("\n\t"), "⏎⇥");
  assert.equal(showToken("a\u202eb"), "a\\u{202e}b", "a bidirectional override must not reorder the page");
  assert.equal(showToken("\u0000\u000b\u200b"), "\\x00\\x0b\\u{200b}");
  assert.equal(showToken("\\xE2"), "\\xE2", "the engine's bytes stay as they are");
  assert.equal(showToken("<b>é👍"), "<b>é👍");
});

test("tokens are named by text, or by id without a tokenizer", () => {
  assert.equal(nameOf({ id: 7, text: " he" }), "␣he");
  assert.equal(nameOf({ id: 7, text: null }), "#7");
  assert.equal(tokenLabel({ id: 7, text: "Mary" }, 1), "Mary_1");
});

test("long labels are cut before their index, never through a character", () => {
  assert.equal(cut("<|endoftext|>_0"), "<|endoftext…_0");
  assert.equal(cut("👍".repeat(20)), `${"👍".repeat(13)}…`);
  assert.equal(cut("Mary_1"), "Mary_1");
});

test("numbers", () => {
  assert.deepEqual([3.8977, -0.12345, 41.23, 123.4, 0, 0.0001].map(showNumber), ["3.90", "−0.123", "41.2", "123", "0", "0"]);
  assert.equal(showExact(-4.85399), "−4.8540");
  assert.equal(showSigned(0.5), "+0.5000");
  assert.equal(showPercent(0.8267), "82.67%");
  assert.deepEqual([999, 4200, 4_210_000, 548_105_171, 1_519_984_962].map(showBytes), ["999 B", "4 kB", "4.2 MB", "548 MB", "1.52 GB"]);
});

test("sizes of every order, and messages as sentences", () => {
  assert.deepEqual([5, 999.4, 97_163, 999_999, 5e6, 6_297_955_720].map(showBytes), ["5 B", "999 B", "97 kB", "1,000 kB", "5.0 MB", "6.30 GB"]);
  assert.deepEqual(["the text is long", "config.json: absent", "hf:a/b: gone", "tensor 'x'", "é is odd", ""].map(showSentence),
    ["The text is long", "config.json: absent", "hf:a/b: gone", "Tensor 'x'", "é is odd", ""]);
});

test("one figure, one number of decimals", () => {
  assert.equal(writerFor({ min: 0, max: 1 })(0.2755), "0.28");
  assert.equal(writerFor({ min: -4.96, max: 4.96 })(-3.1), "−3.10");
  assert.equal(writerFor({ min: 2.9, max: 3.1 })(3), "3.000");
  assert.equal(writerFor({ min: -300, max: 300 })(-0.2), "0", "no minus zero");
});

test("guessed times are round, big counts are words", () => {
  assert.deepEqual([0.4, 3.4, 12, 56, 58, 100, 5399, 7200].map(showAbout),
    ["under a second", "about 3 s", "about 15 s", "about 60 s", "about 1 min", "about 2 min", "about 90 min", "about 2 h"]);
  assert.deepEqual([4.2e6, 18.4e9, 2.5e9, 3e12].map(showLarge), ["4.2 million", "18 billion", "2.5 billion", "3.0 trillion"]);
});

test("what hides or turns a text around is written out, in names as in tokens", () => {
  assert.equal(showText("a b\nc"), "a b\nc", "words keep their spaces and lines");
  assert.equal(showText("safe\u202etxt.exe"), "safe\\u{202e}txt.exe");
  for (const mark of ["\u061c", "\u00ad", "\u180e", "\u2066", "\u{e0041}"]) {
    assert.match(showText(`a${mark}b`), /^a\\[xu][^]+b$/);
    assert.match(showToken(`a${mark}b`), /^a\\[xu][^]+b$/);
  }
  assert.equal(showText("<img src=x> 👍🏽"), "<img src=x> 👍🏽");
});

test("numbers follow the visitor's language, those of files do not", () => {
  const source = new URL("../../www/format.js", import.meta.url).href;
  /** @param {string} language */
  const written = (language) => JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", `
    globalThis.document = {};
    Object.defineProperty(globalThis, "navigator", { value: { language: ${JSON.stringify(language)} }, configurable: true });
    const f = await import(${JSON.stringify(source)});
    const all = () => [f.showExact(-4.85399), f.showSigned(0.5), f.showNumber(41.23), f.showCount(1234567), f.showPercent(0.8267), f.showBytes(4_210_000),
      f.showDay(new Date("2026-03-09T23:59:00Z")), f.writerFor({ min: -1, max: 1 })(-0.001), f.showSmall(4e-6)];
    console.log(JSON.stringify([all(), f.forFile(all), all()]));`], { encoding: "utf8" }));
  const english = ["−4.8540", "+0.5000", "41.2", "1,234,567", "82.67%", "4.2 MB", "Mar 9, 2026", "0.00", "4e−6"];
  for (const [language, here] of Object.entries({
    de: ["−4,8540", "+0,5000", "41,2", "1.234.567", "82,67\u00a0%", "4,2 MB", "9. März 2026", "0,00", "4e−6"],
    "ar-EG": ["\u061c−٤٫٨٥٤٠", "+٠٫٥٠٠٠", "٤١٫٢", "١٬٢٣٤٬٥٦٧", "٨٢٫٦٧٪\u061c"],
  })) {
    const [shown, file, after] = written(language);
    assert.deepEqual(shown.slice(0, here.length), here);
    assert.deepEqual(file, english);
    assert.deepEqual(after, shown, "a file changes what is shown after it");
  }
});
