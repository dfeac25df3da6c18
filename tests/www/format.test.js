import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { apart, nameOf, showAbout, showBytes, showCount, showLarge, showExact, showNumber, showPercent, showSentence, showSigned, showText, showThousands, showToken, tokenLabel, writerFor } from "../../www/format.js";
import { S } from "../../www/strings.js";
import { cut } from "../../www/draw/axis.js";

test("every character of a token can be seen", () => {
  assert.equal(showToken(" she"), "␣she");
  assert.equal(showToken("\n\t"), "⏎⇥");
  assert.equal(showToken("a\u202eb"), "a\\u{202e}b", "a bidirectional override must not reorder the page");
  assert.equal(showToken("\u0000\u000b\u200b"), "\\x00\\x0b\\u{200b}");
  assert.equal(showToken("\\xE2"), "\\xE2", "the engine's bytes stay as they are");
  assert.equal(showToken("<b>é👍"), "<b>é👍");
  for (const blank of ["\u2003", "\u3000", "\u202f", "\u2009", "\u3164", "\u115f", "\uffa0", "\ufe0f", "\u034f", "\u{e0100}"]) {
    assert.match(showToken(`a${blank}b`), /^a\\u\{[0-9a-f]+\}b$/, `U+${blank.codePointAt(0)?.toString(16)} cannot be seen`);
  }
  assert.equal(showToken("a\u00a0b"), "a⍽b");
  assert.equal(showText("1\u202f000 a\u3000b"), "1\u202f000 a\u3000b", "numbers of many languages have such spaces");
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
  assert.deepEqual([-1e-5, 1e-5, 0, -0, -0.00005].map(showSigned), ["0.0000", "0.0000", "0.0000", "0.0000", "−0.0001"], "what is written as nothing has no sign");
  assert.deepEqual([showExact(-1e-5), showPercent(-1e-6), showCount(-0.2), showExact(NaN), showExact(-Infinity)], ["0.0000", "0.00%", "0", "NaN", "−∞"]);
  assert.deepEqual([143_000, 12_345, 999].map(showThousands), ["143k", "12.3k", "1.0k"]);
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

test("text from right to left turns nothing of its sentence around", () => {
  assert.equal(apart("␣she"), "␣she");
  for (const word of ["שלום", "سلام", "a ب", "ﷺ"]) {
    assert.equal(apart(word), `\u2068${word}\u2069`);
    assert.match(S.predict.rank(word, "1", "2%", "3"), new RegExp(`“\u2068${word}\u2069” has rank 1`));
  }
});

test("numbers follow the visitor's language, those of files do not", () => {
  const source = new URL("../../www/format.js", import.meta.url).href;
  /** @param {string} language */
  const written = (language) => JSON.parse(execFileSync(process.execPath, ["--input-type=module", "-e", `
    globalThis.document = {};
    Object.defineProperty(globalThis, "navigator", { value: { language: ${JSON.stringify(language)} }, configurable: true });
    const f = await import(${JSON.stringify(source)});
    const { S } = await import(${JSON.stringify(new URL("../../www/strings.js", import.meta.url).href)});
    const all = () => [f.showExact(-4.85399), f.showSigned(0.5), f.showNumber(41.23), f.showCount(1234567), f.showPercent(0.8267), f.showBytes(4_210_000),
      f.showDay(new Date("2026-03-09T23:59:00Z")), f.writerFor({ min: -1, max: 1 })(-0.001), f.showSmall(4e-6),
      f.showExact(-1e-5), f.showThousands(12_345), S.grid.right(1234, 5678), S.prompts.tokens.count(1234, f.showCount(2048)), S.prompts.tokens.differ(2, 11), S.prompts.table.good(12),
      S.heads.caption(10, 144), S.common.halves({ model: "m", logit_diff: 0.0007, log_prob: 0.0021 })];
    console.log(JSON.stringify([all(), f.forFile(all), all()]));`], { encoding: "utf8" }));
  const english = ["−4.8540", "+0.5000", "41.2", "1,234,567", "82.67%", "4.2 MB", "Mar 9, 2026", "0.00", "4e−6", "0.0000", "12.3k",
    "1,234 of 5,678 prompts are answered correctly.", "1,234 tokens of at most 2,048.", "2 of 11 positions differ, marked with ≠.", "✓ 12 tokens", "10 of 144 heads",
    "16-bit weights: in the model “m” they changed logit differences by up to 0.0007, log-probabilities by up to 0.0021"];
  for (const [language, here] of Object.entries({
    de: ["−4,8540", "+0,5000", "41,2", "1.234.567", "82,67\u00a0%", "4,2 MB", "9. März 2026", "0,00", "4e−6", "0,0000", "12,3k",
      "1.234 of 5.678 prompts are answered correctly.", "1.234 tokens of at most 2.048.", "2 of 11 positions differ, marked with ≠.", "✓ 12 tokens", "10 of 144 heads",
      "16-bit weights: in the model “m” they changed logit differences by up to 0,0007, log-probabilities by up to 0,0021"],
    "ar-EG": ["\u061c−٤٫٨٥٤٠", "\u061c+٠٫٥٠٠٠", "٤١٫٢", "١٬٢٣٤٬٥٦٧", "٨٢٫٦٧٪\u061c"],
  })) {
    const [shown, file, after] = written(language);
    assert.deepEqual(shown.slice(0, here.length), here);
    // Digits of another script come from Intl only: one of ours was written without it.
    if (language === "ar-EG") assert.doesNotMatch(shown.slice(10).join().replaceAll("16-bit", ""), /[0-9]/);
    assert.deepEqual(file, english);
    assert.deepEqual(after, shown, "a file changes what is shown after it");
  }
});
