import assert from "node:assert/strict";
import { test } from "node:test";
import { nameOf, showAbout, showBytes, showLarge, showExact, showNumber, showPercent, showSentence, showSigned, showToken, tokenLabel, writerFor } from "../../www/format.js";
import { cut } from "../../www/draw/axis.js";

test("every character of a token can be seen", () => {
  assert.equal(showToken(" she"), "␣she");
  assert.equal(showToken("\n\t"), "⏎⇥");
  assert.equal(showToken("a\u202eb"), "a\\u{202e}b", "a bidirectional override must not reorder the page");
  assert.equal(showToken("\u0000\u200b"), "\\u{0}\\u{200b}");
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
