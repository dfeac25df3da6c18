import assert from "node:assert/strict";
import { test } from "node:test";
import { inkOn, position, ramp, symmetric } from "../../www/draw/colour.js";
import { theme } from "./theme.js";

test("the diverging scale is blue above its middle, red below, neutral on it", () => {
  const scale = symmetric([2, 5, 3.5], 3);
  const at = (/** @type {number} */ value) => ramp(theme.diverging, position(scale, value));
  const [r, g, b] = at(3);
  assert.ok(r === g && g === b && r > 240);
  assert.ok(at(5)[2] > at(5)[0], "above the middle: blue");
  assert.ok(at(1)[0] > at(1)[2], "below the middle: red");
});

test("a symmetric scale reaches the farthest value on both sides", () => {
  assert.deepEqual(symmetric([1, 2, 7, null], 3), { min: -1, mid: 3, max: 7 });
  assert.deepEqual(symmetric([-6, 1], 0), { min: -6, mid: 0, max: 6 });
});

test("a scale of equal values still has two ends", () => {
  assert.deepEqual(symmetric([3, 3], 3), { min: 2, mid: 3, max: 4 });
  assert.deepEqual(symmetric([null], 0), { min: -1, mid: 0, max: 1 });
});

test("equal distances from the middle lie equally far from the middle colour", () => {
  const scale = symmetric([0.2, 0.9], 0.5);
  for (const d of [0.1, 0.25, 0.4]) {
    assert.ok(Math.abs(position(scale, 0.5 + d) - 0.5 - (0.5 - position(scale, 0.5 - d))) < 1e-12);
  }
});

test("a ramp hits its stops and stays at its ends", () => {
  theme.diverging.forEach((stop, i) => assert.deepEqual(ramp(theme.diverging, i / (theme.diverging.length - 1)), stop));
  assert.deepEqual(ramp(theme.diverging, -3), theme.diverging[0]);
  assert.deepEqual(ramp(theme.diverging, 9), theme.diverging.at(-1));
});

test("attention is drawn darker the stronger it is", () => {
  const sums = [0, 0.25, 0.5, 0.75, 1].map((t) => ramp(theme.sequential, t).reduce((a, b) => a + b));
  assert.deepEqual(sums, [...sums].sort((a, b) => b - a));
});

test("ink is dark on light cells and light on dark ones", () => {
  assert.equal(inkOn([247, 247, 247]), "dark");
  assert.equal(inkOn([5, 48, 97]), "light");
  assert.equal(inkOn([103, 0, 31]), "light");
});
