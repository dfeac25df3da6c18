// The words of a panic: they go to the console just before the trap, and nowhere else. Imported by every worker.

let words = "";
const say = console.error;
console.error = (...said) => {
  words = String(said[0]).split("\n").slice(0, 2).join(" ");
  say(...said);
};

/** What was last said on the console, as one line. */
export const lastWords = () => words;
