// The words beside a number. Not in the one table: the embedded figure needs them, and does not load the lab's words.

export const UNITS = {
  bytes: (/** @type {string} */ n) => `${n} B`,
  thousands: (/** @type {string} */ n) => `${n}k`,
  milliseconds: (/** @type {string} */ n) => `${n} ms`,
  seconds: (/** @type {string} */ n) => `${n} s`,
  minutes: (/** @type {string} */ n) => `${n} min`,
  hours: (/** @type {string} */ n) => `${n} h`,
  millions: (/** @type {string} */ n) => `${n} million`,
  billions: (/** @type {string} */ n) => `${n} billion`,
  trillions: (/** @type {string} */ n) => `${n} trillion`,
  about: (/** @type {string} */ time) => `about ${time}`,
  under: (/** @type {string} */ time) => `under ${time}`,
  underSecond: "under a second",
};
