// Every sentence of the workshop and its handout. They are not hooked into strings.js: the lab page, which must be there soon,
// has no use for them. A number about the model is never written here: it comes from the run. Longer than most files: it is prose.

/** @typedef {string} Text what a step fills in is text already */

export const WORKSHOP = {
  title: "Workshop",
  name: "Microtome workshop",
  tagline: "Take a language model apart, one slice at a time.",
  about: "Fourteen short steps, about an hour and a quarter. You need to know what a matrix and a probability are, nothing more. A GPT-2 runs in this tab; every figure is computed here, now, and your answers are checked against it. A wrong answer never stops you.",
  lab: "The lab",
  article: "An article with live figures",
  handout: "Handout for teachers",
  jump: "Skip to the step",
  contents: "Steps",
  turn: "One step back or on",
  footer: "Names, hooks and weight processing are TransformerLens’.",
  cell: (/** @type {Text} */ place, /** @type {Text} */ value) => `${place}: ${value}`,

  step: {
    of: (/** @type {number} */ n, /** @type {number} */ all) => `Step ${n} of ${all}`,
    minutes: (/** @type {number} */ n) => `about ${n} min`,
    previous: "Back",
    next: "Next step",
    finish: "To your answers",
    inLab: "Open the same section in the lab",
    guess: "Guess first",
    guessNote: "The figure appears when you have guessed. A guess is never wrong: it is there to be compared.",
    skipGuess: "Skip the guess",
    questions: "Questions",
    measure: "Measure the checkpoints",
    measureNote: "This downloads the checkpoints of the model’s training, which together are several times as large as the model.",
    waiting: "Waits for the model.",
    running: "Computing …",
    cancel: "Cancel",
    cancelled: "Cancelled.",
    again: "Compute again",
    took: (/** @type {Text} */ time, /** @type {Text} */ backend) => `Computed just now in ${time} on the ${backend} engine`,
    chart: (/** @type {Text} */ title) => `${title} over training. Arrow keys move from step to step.`,
    token: "Token",
    progress: (/** @type {number} */ done, /** @type {number} */ all) => `${done} of ${all} questions done`,
    place: (/** @type {Text} */ token, /** @type {number} */ at) => `${token} (${at})`,
  },

  model: {
    title: "Model and engine",
    ready: (/** @type {Text} */ name, /** @type {Text} */ backend, /** @type {Text | null} */ checked) => `Model “${name}” on the ${backend} engine${checked ? `, which ${checked}` : ""}.`,
    change: "Change",
    which: "Model",
    engine: "Engine",
    size: (/** @type {Text} */ title, /** @type {Text} */ bytes) => `${title}, ${bytes}`,
    load: "Load",
    brought: (/** @type {Text} */ name) => `${name}, from this server`,
    loadNote: "Models of the Hugging Face Hub are downloaded from there when you press Load. The questions are then about the model that you loaded. The last step needs checkpoints of its training: where there are none, it says so.",
    loading: "Loading the model …",
    cancel: "Cancel",
    cancelled: "Loading was cancelled.",
    again: "Load again",
  },

  question: {
    guess: "Your guess",
    answer: "Your answer",
    check: "Check",
    takeGuess: "Take this guess",
    hint: "A hint",
    hints: ["First hint", "Second hint"],
    show: "Show me",
    showNote: "“Show me” appears after two tries.",
    formats: /** @type {Record<string, Text>} */ ({
      number: "a number", head: "a head, such as L0H3", heads: "heads with commas, such as L0H3, L1H0; or “none”", prompt: "type the prompt, then check",
    }),
    unreadable: /** @type {Record<string, Text>} */ ({
      number: "That is no number. Write it with digits, such as 3.9.",
      head: "That is no head. Write it as layer and head, such as L0H3.",
      heads: "Write heads with commas between them, such as L0H3, L1H0; or “none”.",
      choice: "Choose one of them first.", token: "Choose a token first.", prompt: "Type a prompt first.",
    }),
    tooLong: (/** @type {number} */ most) => `That is longer than ${most} characters: shorten it.`,
    right: "That’s right.",
    stays: (/** @type {Text} */ answer) => `Your earlier answer, ${answer}, was right, and it stays.`,
    wrong: /** @type {Record<string, Text>} */ ({
      number: "Not quite.", head: "Not this one.", heads: "Not quite.", choice: "Not this one.", token: "Not this one.", prompt: "Not yet.",
    }),
    side: { low: "Your number is too small.", high: "Your number is too large." },
    missing: (/** @type {number} */ n) => (n === 1 ? "One head is missing." : `${n} heads are missing.`),
    extra: (/** @type {Text} */ heads, /** @type {number} */ n) => `${heads} ${n === 1 ? "does" : "do"} not belong here.`,
    goOn: "You can go on all the same.",
    guessed: (/** @type {Text} */ guess) => `You guessed: ${guess}.`,
    skipped: "You skipped the guess.",
    shown: (/** @type {Text} */ answer) => `The answer: ${answer}.`,
    none: "The open model gives no answer to show.",
    tries: (/** @type {number} */ n) => (n === 1 ? "1 try" : `${n} tries`),
    waits: "The answer is checked as soon as the figure is computed.",
    states: { right: "solved", wrong: "not solved yet", shown: "shown, not solved", guess: "guess" },
    otherModel: (/** @type {Text} */ model) => `Your answer was given with the model “${model}”, and says nothing about this one.`,
  },

  finish: {
    title: "Your answers",
    intro: "They are kept in this browser only, and nobody else sees them. To hand them in, save them as a file.",
    counts: (/** @type {number} */ right, /** @type {number} */ shown, /** @type {number} */ all) => `${right} of ${all} solved, ${shown} shown.`,
    table: "Step by step",
    overview: ["Step", "Done", "Solved", "Shown"],
    part: (/** @type {number} */ n, /** @type {number} */ all) => `${n} of ${all}`,
    name: "Your name, for the file (optional)",
    csv: "Save as CSV",
    over: "Start over",
    sure: "Delete all answers of this browser and start over?",
    yes: "Delete my answers",
    no: "Keep them",
    notKept: "This browser does not let the page keep anything: your answers are lost when you close it.",
    columns: ["step", "question", "question in words", "answer", "answer in words", "result", "tries", "value computed by the model", "computed value in words", "model", "sha256", "name"],
  },

  steps: {
    tokens: {
      title: "What the model reads",
      prose: [
        "A language model does not read letters. The text is first cut into tokens: pieces of words, whole words or signs from a fixed list. Each token has a number, its id, and the model sees nothing but these numbers.",
        "A space belongs to the word after it. Here it is drawn as ␣, so that you can see it. In front of every prompt stands a special token, <|endoftext|>, called BOS for “beginning of sequence”: heads that have nothing to do can look at it.",
        "Our prompt is “Mary is a great friend, isn’t”. It is a tag question: the next word should be a pronoun, and the prompt does not give it away.",
      ],
      prompt: (/** @type {Text} */ n) => `The prompt: ${n} tokens`,
      bare: "“she”, without a space",
      spaced: "“she”, with a space before it",
      ask: {
        count: {
          prompt: "Into how many tokens will the prompt “Mary is a great friend, isn’t” be cut, with BOS?",
          hints: ["Count the words first, then the comma.", "The apostrophe and what follows it are pieces of their own, and BOS counts, too."],
          why: (/** @type {Text} */ n, /** @type {Text} */ pieces) => `The tokenizer makes ${n} tokens of it: ${pieces}.`,
        },
        space: {
          prompt: "Is “she” without a space the same thing to the model as ␣she?",
          options: { same: "Yes, the same token", other: "No, another token", several: "No, it is even more than one token" },
          hints: ["Compare the last two rows of tokens.", "How many boxes does each of the two rows have?"],
          why: (/** @type {Text} */ bare, /** @type {number} */ n, /** @type {Text} */ spaced, /** @type {"same" | "other" | "several"} */ verdict) =>
            `Without the space it is ${bare} (${n === 1 ? "one token" : `${n} tokens`}), with it ${spaced}. ${verdict === "same" ? "To this model’s tokenizer the space makes no difference here." : "This is why answers are written with their space."}`,
        },
      },
    },

    next: {
      title: "A table of what comes next",
      prose: [
        "For every token of its vocabulary the model computes a score, the logit. The higher it is, the likelier the token comes next. Softmax turns the scores into probabilities: each is raised to a power of e and divided by the sum of all, so that they add up to 1.",
        "The model was never told about pronouns. It was trained on nothing but predicting the next token.",
      ],
      figure: "The ten likeliest next tokens",
      columns: ["Rank", "Token", "Logit", "Probability"],
      ask: {
        likeliest: {
          prompt: "Which token will the model find likeliest after “Mary is a great friend, isn’t”?",
          options: { she: "␣she", he: "␣he", it: "␣it", else: "something else" },
          hints: ["What would you say?", "Mary is a name."],
          why: (/** @type {Text} */ token, /** @type {Text} */ prob) => `The model puts ${prob} on ${token}.`,
        },
        times: {
          prompt: "How many times as likely is the first token of the table as the second? (5% more or less will do.)",
          hints: ["Divide the two probabilities.", "First row’s probability by the second row’s."],
          why: (/** @type {Text} */ first, /** @type {Text} */ second, /** @type {Text} */ ratio) => `${first} divided by ${second} is ${ratio}.`,
        },
      },
    },

    difference: {
      title: "One number: the logit difference",
      prose: [
        "To study one decision we want one number. Take the logit of the right answer and subtract that of the wrong one. Above zero the model prefers the right answer.",
        "Why logits, and not probabilities? In the ratio of two probabilities the sum that softmax divides by cancels. What is left is e raised to the difference of their logits. So each step of 1 in the logit difference makes the right answer e ≈ 2.72 times as likely, compared with the other.",
      ],
      figure: "The two answers",
      columns: ["Token", "Logit", "Probability"],
      ask: {
        minus: {
          prompt: "What is the logit difference of ␣she and ␣he? (0.02 more or less will do.)",
          hints: ["Right answer minus wrong answer.", "Subtract the second row’s logit from the first row’s."],
          why: (/** @type {Text} */ she, /** @type {Text} */ he, /** @type {Text} */ diff) => `${she} − ${he} = ${diff}.`,
        },
        power: {
          prompt: "So how many times as likely does the model find ␣she as ␣he? (5% more or less will do.)",
          hints: ["Raise e to your last answer.", "Or divide the two probabilities: it must come to the same, but for rounding."],
          why: (/** @type {Text} */ diff, /** @type {Text} */ times, /** @type {Text} */ she, /** @type {Text} */ he) =>
            `e to the power of ${diff} is ${times}; and ${she} divided by ${he} is the same, as far as the printed digits go.`,
        },
      },
    },

    grid: {
      title: "Is it luck? Twenty-five prompts",
      prose: [
        "One prompt proves little: perhaps the model says “she” to everybody. So five sentences are combined with five names, Mary, John, Tom, Dan and Amy. In this text the right answer for Mary and Amy is ␣she, for the others ␣he.",
        "Each square is the logit difference of one prompt, right minus wrong. In the red–blue colours, which all such figures begin with, blue is above zero and red below.",
      ],
      figure: "Logit difference of each prompt",
      ask: {
        right: {
          prompt: "On how many of the 25 prompts will the model prefer the right pronoun?",
          hints: ["A logit difference above zero counts.", "Count the squares above zero, blue ones in the red–blue colours."],
          why: (/** @type {Text} */ right, /** @type {Text} */ all) => `The logit difference is above zero on ${right} of ${all} prompts.`,
        },
        weakest: {
          prompt: "For which name is the model least sure, on average over the five sentences?",
          options: { Mary: "Mary", John: "John", Tom: "Tom", Dan: "Dan", Amy: "Amy" },
          hints: ["Look for the column that lies lowest on the colour bar.", "Under the figure are the numbers as a table: compare the columns."],
          of: (/** @type {Text} */ name, /** @type {Text} */ value) => `For ${name} the mean is ${value}; another name’s is lower.`,
          why: (/** @type {Text} */ means) => `Means by name: ${means}.`,
        },
        mean: {
          prompt: "Take the mean of all 25 numbers. How many times as likely as the wrong pronoun is the right one at such a logit difference? (5% more or less will do.)",
          hints: ["The table under the figure has all the numbers. Estimating their mean from the columns is enough to start.", "e raised to the mean. The mean of the column means is the mean of all."],
          why: (/** @type {Text} */ mean, /** @type {Text} */ times) => `The mean is ${mean}, and e to that power is ${times}.`,
        },
      },
    },

    attention: {
      title: "Where the heads look",
      prose: [
        "Every token has a vector, the residual stream, which runs through all layers; whatever the model knows at that place is in it. Layers read from it and add to it. Only attention heads carry anything from one token to another.",
        "A head’s pattern says where it looks: a row for each token that looks (dest), a column for each it looks at (source). Each row adds up to 1. No token can look at later ones, so the upper half is empty. Attention is never below zero: only the upper half of the colour bar is in use. L1H4 is head 4 of layer 1; counting begins at 0.",
      ],
      figure: "Attention patterns of all heads",
      onName: (/** @type {Text} */ token) => `How much the last token looks at ${token}`,
      ask: {
        look: {
          prompt: "Choose the pattern of L0H0. At which token does the last token look most?",
          hints: ["The last token is the bottom row. Click the first small square to keep it.", "Point at the cells of the bottom row, or go through them with the arrow keys: the line below says their numbers."],
          of: (/** @type {Text} */ value) => `It gives this token ${value}; another gets more.`,
          why: (/** @type {Text} */ dest, /** @type {Text} */ src, /** @type {Text} */ value) => `In L0H0 the last token, ${dest}, gives most to ${src}: ${value}.`,
        },
        name: {
          prompt: "In which head of all does the last token look most at the name?",
          hints: ["The second figure shows just this number for every head.", "Look for the darkest cell (in the dark theme, the lightest)."],
          of: (/** @type {Text} */ head, /** @type {Text} */ value) => `${head} gives the name ${value}; another head gives it more.`,
          why: (/** @type {Text} */ head, /** @type {Text} */ name, /** @type {Text} */ value) =>
            `${head} gives ${name} ${value}. That makes it a suspect, not a culprit: looking at a token does not prove that anything was done with it.`,
        },
      },
    },

    ablate: {
      title: "What breaks without a head",
      prose: [
        "To learn what a part does, switch it off and see what breaks. Here each head in turn is set to zero: z, the mix of values that it collected, is 0 at every token. This is called ablation.",
        "What breaks depends on what you measure. The loss is how badly the model predicts every token of the sentence. The logit difference looks at one decision only, she or he.",
        "In both figures the middle of the colour bar is the unchanged model: white in the red–blue colours, with blue above it and red below.",
      ],
      loss: (/** @type {Text} */ base) => `Loss without each head (unchanged: ${base})`,
      diff: (/** @type {Text} */ base) => `Logit difference without each head (unchanged: ${base})`,
      without: (/** @type {Text} */ head, /** @type {Text} */ value, /** @type {Text} */ base) => `Without ${head} it is ${value}, unchanged ${base}; another head makes more of a difference.`,
      ask: {
        same: {
          prompt: "Will it be the same head: the one without which the loss rises most, and the one without which the logit difference falls most?",
          options: { yes: "Yes, the same head", no: "No, two different heads" },
          hints: ["Compare the strongest cells of the two figures.", "Are they at the same place?"],
          why: (/** @type {boolean} */ same) => (same ? "It is the same head. Find it below." : "They are two different heads. Find them below."),
        },
        loss: {
          prompt: "Without which head does the loss rise most?",
          hints: ["A higher loss is above the middle of the first figure’s colour bar.", "Look for the cell furthest above it and read its layer (row) and head (column)."],
          why: (/** @type {Text} */ head, /** @type {Text} */ base, /** @type {Text} */ value) => `Without ${head} the loss goes from ${base} to ${value}.`,
        },
        diff: {
          prompt: "Without which head does the logit difference fall most?",
          hints: ["A lower logit difference is below the middle of the second figure’s colour bar.", "Look for the cell furthest below it and read its layer (row) and head (column)."],
          why: (/** @type {Text} */ head, /** @type {Text} */ base, /** @type {Text} */ value) => `Without ${head} the logit difference goes from ${base} to ${value}.`,
        },
      },
    },

    matter: {
      title: "Which heads matter, on all prompts",
      prose: [
        "Again one prompt could mislead. Now each head is switched off on all 25 prompts, and each cell is the mean logit difference.",
        "We need a rule before we look, or we would call anything a finding: let us say that a head matters if at least a quarter of the mean logit difference goes with it.",
      ],
      figure: (/** @type {Text} */ base) => `Mean logit difference without each head (unchanged: ${base})`,
      none: "On these prompts this model does not prefer the right pronoun on average, so that there is no part of its preference to lose. Go back to the workshop’s own model for the questions of this step.",
      ask: {
        heads: {
          prompt: "Name every head that matters by this rule.",
          hints: ["Take a quarter off the unchanged mean: which cells are below that?", "Only cells below the unchanged mean can be. The table under the figure has every number."],
          why: (/** @type {Text} */ list) => `Of the mean logit difference so much goes with the three strongest heads: ${list}.`,
        },
        share: {
          prompt: "How many percent of the mean logit difference are lost without the head that matters most? (2 more or less will do.)",
          hints: ["What is lost, divided by what was there.", "(unchanged − without the head) / unchanged, times 100."],
          why: (/** @type {Text} */ head, /** @type {Text} */ base, /** @type {Text} */ value, /** @type {Text} */ share) => `Without ${head} the mean goes from ${base} to ${value}: ${share} are lost.`,
        },
      },
    },

    travel: {
      title: "Where the name travels",
      prose: [
        "Ablation shows what is needed. Activation patching shows what is enough. Take two prompts that differ only in the name: “Mary …” (clean) and “John …” (corrupted). Run the model on John, but at one layer and one token replace the residual stream by that of the Mary run.",
        "Each cell says how far this single change brings the answer back: 0 is like John, 1 is like Mary. Row 0 is the input of layer 0, before any head has done anything.",
      ],
      both: (/** @type {Text} */ clean, /** @type {Text} */ corrupted) => `Logit difference on Mary’s prompt: ${clean}; on John’s: ${corrupted}.`,
      figure: "How much of Mary’s answer one patch brings back",
      ask: {
        start: {
          prompt: "Row 0: patching which token brings Mary’s answer back?",
          hints: ["Only one token differs between the two prompts.", "Look for the strongest cell in the top row."],
          of: (/** @type {Text} */ value) => `A patch there brings back ${value} of the way.`,
          why: (/** @type {Text} */ token, /** @type {Text} */ at, /** @type {Text} */ value) => `At ${token} (position ${at}) it brings back ${value} of the way: before the first layer, only the name’s own place knows about the name.`,
        },
        layer: {
          prompt: "From which row on does a patch at the last token bring back more than half? (Write the row’s number; if there is none, the number of layers.)",
          hints: ["Go down the last column.", "The first row whose last cell is above 0.5. The heads that moved it are in the layer before that row."],
          why: (/** @type {Text} */ layer, /** @type {Text} */ token, /** @type {Text} */ value, /** @type {Text | null} */ before) =>
            `At the input of layer ${layer} a patch at ${token} brings back ${value} of the way${before === null ? "" : `; one row above it was ${before}. So the layer in between moved it`}.`,
          never: (/** @type {Text} */ token) => `No input of a layer has it at ${token}: only the last layer moves it there.`,
        },
      },
    },

    mover: {
      title: "Which heads move the name",
      prose: [
        "Something carried the name from its own place to the end, and only heads can do that. So patch one head at a time: its output z, at every token, as it was in the run on Mary.",
        "A head’s output is made of two things: where it looks (the pattern) and what it copies from there (the values v). The other two panels patch only one of these.",
      ],
      figure: "How much of Mary’s answer one head brings back",
      ask: {
        heads: {
          prompt: "Panel z: which heads bring back more than a quarter all by themselves?",
          hints: ["Choose the panel called z. The upper end of the colour bar is the way back to Mary.", "A quarter is 0.25; the table under the figure has every number."],
          why: (/** @type {Text} */ list) => `The three strongest heads bring back: ${list}.`,
        },
        what: {
          prompt: "Compare the panels v and pattern for the strongest head. What differs between Mary and John: where it looks, or what it copies?",
          options: { v: "What it copies (v)", pattern: "Where it looks (pattern)", both: "Both do about as much" },
          hints: ["Choose the panel v, then the panel pattern, and read the same head.", "If patching the pattern changes nothing, the head looks at the same place in both runs."],
          why: (/** @type {Text} */ head, /** @type {Text} */ v, /** @type {Text} */ pattern) => `${head}: patching v brings back ${v} of the way, patching the pattern ${pattern}.`,
        },
      },
    },

    bias: {
      title: "A bias hidden in LayerNorm",
      prose: [
        "Before the last matrix, the unembedding, stands a LayerNorm: it rescales the residual stream and then applies weights and biases of its own. These can be folded into the unembedding: the predictions stay the same, and what was hidden becomes visible.",
        "What becomes visible is b_U: a fixed number for each token, added to its logit whatever the prompt says. TransformerLens folds by default. In the raw weights the unembedding has no bias at all.",
      ],
      figure: "Unembedding bias b_U",
      columns: ["Token", "Folded", "Raw weights"],
      tokens: ["␣she", "␣he"],
      ask: {
        times: {
          prompt: "All other things being the same, how many times as likely does the folded bias make the favoured pronoun as the other? (2% more or less will do.)",
          hints: ["It is a difference of two logits again.", "e raised to (larger b_U − smaller b_U)."],
          why: (/** @type {Text} */ token, /** @type {Text} */ diff, /** @type {Text} */ times) => `The bias favours ${token} by ${diff}: e to that power is ${times}.`,
        },
        enough: {
          prompt: "For “Mary is a great friend, isn’t”: which weighs more in the logit difference, what the prompt contributes or this bias?",
          options: { prompt: "What the prompt contributes", bias: "The bias" },
          hints: ["You have the logit difference from step 3.", "Compare it with the difference of the two biases."],
          why: (/** @type {Text} */ bias, /** @type {Text} */ diff) => `The bias contributes ${bias} to a logit difference of ${diff}.`,
        },
      },
    },

    induction: {
      title: "Exercise: find the induction heads",
      prose: [
        "When a text repeats itself, a model can copy: find the earlier copy of the present token, look at what followed it, and predict that. Heads that look there are called induction heads, and they are found in language models of many sizes.",
        "Here the model reads random tokens that come again and again. No grammar helps; only copying does. The first figure scores each head: the share of its attention, beyond BOS and the token itself, that lies on what followed an earlier copy. The second shows the loss on these rows when a head is switched off.",
        "Rule: a score above 0.4 makes an induction head.",
      ],
      scores: "Induction score of each head",
      loss: (/** @type {Text} */ base) => `Loss on the repeated tokens without each head (unchanged: ${base})`,
      ask: {
        find: {
          prompt: "Name all induction heads by this rule.",
          hints: ["The first figure. They need not be one only.", "Read all strong cells: the table under the figure has every number."],
          of: (/** @type {Text} */ list) => `Their scores: ${list}.`,
          why: (/** @type {Text} */ n, /** @type {Text} */ head, /** @type {Text} */ score) => `${n} ${n === "1" ? "head scores" : "heads score"} above 0.4; the most has ${head}, ${score}.`,
        },
        alone: {
          prompt: "Switch off the head with the highest score alone (second figure). What happens to the loss?",
          options: { hardly: "It hardly changes (rises by less than a tenth)", much: "It rises a lot" },
          hints: ["Read the head’s cell in the second figure.", "Compare it with the unchanged loss in the title."],
          why: (/** @type {Text} */ head, /** @type {Text} */ base, /** @type {Text} */ value) => `Without ${head} alone the loss goes from ${base} to ${value}.`,
        },
        backup: {
          prompt: "What will happen if all induction heads are switched off together? The model is run for that, too.",
          options: {
            others: "Copying breaks: the heads stand in for each other, so one alone was not missed",
            unused: "Hardly anything: the model does not use them",
            each: "The small effects of the single heads just add up",
          },
          hints: ["A thing that nobody misses may be useless, or there may be others of its kind.", "How many heads score above 0.4?"],
          /** @type {Record<"others" | "each" | "unused", (base: Text, together: Text) => Text>} */
          why: {
            others: (base, together) => `With all of them off the loss goes from ${base} to ${together}, more than twice what the single heads cost together. An ablation of single parts cannot see what several parts do alike.`,
            each: (base, together) => `With all of them off the loss goes from ${base} to ${together}, no more than twice what the single heads cost together: here the ablation of single heads has shown most of what they do.`,
            unused: (base, together) => `With all of them off the loss goes from ${base} to ${together}, by less than a tenth: whatever this model predicts these rows with, it is hardly these heads. A head that looks at the right place need not be used.`,
          },
          nothing: "No head scores above 0.4, so that there is nothing to switch off.",
        },
        first: {
          prompt: "And which single head does raise the loss most when it is off?",
          hints: ["The cell furthest above the middle of the second figure’s colour bar.", "It need not be an induction head: these rely on others that work before them."],
          without: (/** @type {Text} */ head, /** @type {Text} */ base, /** @type {Text} */ value) => `Without ${head} the loss goes from ${base} to ${value}.`,
          /** By how much the head looks at the token before. @type {Record<"most" | "much" | "little", (score: Text, most: Text, highest: Text) => Text>} */
          why: {
            most: (score) => `Its share of attention to the token before is ${score}, the highest of all heads. Copying needs such a head: to find what followed an earlier copy, a token must carry a note of what stood before it.`,
            much: (score, most, highest) => `Its share of attention to the token before is ${score}, that of ${most} even ${highest}. Copying needs such heads: to find what followed an earlier copy, a token must carry a note of what stood before it.`,
            little: (score, most, highest) => `Its share of attention to the token before is only ${score} (the highest is ${highest}, of ${most}): it is not the head that notes what stood before. What it does instead, this number does not tell.`,
          },
        },
      },
    },

    values: {
      title: "Exercise: zeroing v, zeroing z",
      prose: [
        "A head gives every token a value vector, v. Each token then collects the values it looks at, mixed by its pattern: z = pattern · v. Afterwards z is multiplied by W_O and added to the residual stream.",
        "Both v and z can be set to zero. Is that the same? First for every token at once, then for one token at a time, for the head that mattered most. Then the same ablation with weights that are processed differently.",
        "Remember that v includes its bias b_V. Since each row of a pattern adds up to 1, b_V passes through any pattern unchanged: the same constant b_V · W_O at every token. It can be folded into the bias b_O of the layer’s output, without changing any prediction.",
      ],
      where: (/** @type {Text} */ head, /** @type {Text} */ base) => `Logit difference with ${head} zeroed (unchanged: ${base})`,
      columns: ["Zeroed at", "v is 0", "z is 0"],
      every: "every token",
      only: (/** @type {Text} */ token, /** @type {number} */ at) => `only ${token} (${at})`,
      weights: (/** @type {Text} */ head) => `${head}: v zeroed at every token, by weight processing`,
      columnsOfWeights: ["Processing", "Logit difference"],
      switches: /** @type {Record<string, Text>} */ ({
        none: "raw weights", fold_ln: "only fold LayerNorm", center_writing_weights: "only centre what is written",
        center_unembed: "only centre the unembedding", fold_value_biases: "only fold the value biases", all: "all four, as TransformerLens",
      }),
      ask: {
        everywhere: {
          prompt: "Zeroing v at every token, or zeroing z at every token: which takes more of the logit difference away?",
          options: { same: "Both the same", v: "Zeroing v", z: "Zeroing z" },
          hints: ["z = pattern · v.", "What is the mix of nothing but zeros?"],
          why: (/** @type {Text} */ v, /** @type {Text} */ z) => `With v at zero everywhere the logit difference is ${v}, with z ${z}: if all values are zero, so is every mix of them.`,
        },
        v: {
          prompt: "Now one token at a time: at which token does zeroing v hurt most?",
          hints: ["v is what a token offers to those who look at it.", "Which token’s information has to be read?"],
          of: (/** @type {Text} */ value) => `With v zero only there, the logit difference is ${value}; elsewhere it falls further.`,
          why: (/** @type {Text} */ token, /** @type {Text} */ value) => `At ${token} (logit difference ${value}): v sits where a head reads.`,
        },
        z: {
          prompt: "And at which token does zeroing z hurt most?",
          hints: ["z is what a token has collected.", "Where does the prediction take place?"],
          of: (/** @type {Text} */ value) => `With z zero only there, the logit difference is ${value}; elsewhere it falls further.`,
          /** @type {Record<"same" | "other", (token: Text, value: Text) => Text>} */
          why: {
            other: (token, value) => `At ${token} (logit difference ${value}): z sits where a head writes. This is how zeroing v and zeroing z differ: not in the number for all tokens, but in the place.`,
            same: (token, value) => `At ${token} (logit difference ${value}), where zeroing v hurts most, too: this head reads and writes at the same token.`,
          },
        },
        switch: {
          prompt: "Two people ablate the same head, one with raw weights, one with TransformerLens’ processing, and get different numbers. Which of the four switches is it?",
          options: { fold_ln: "Folding LayerNorm", center_writing_weights: "Centring what is written", center_unembed: "Centring the unembedding", fold_value_biases: "Folding the value biases", none: "None of them: all give the same number" },
          hints: ["Each row of the second table has one switch on. Which row leaves the raw number?", "What is zeroed together with v in the raw weights, and is somewhere else after the folding?"],
          of: (/** @type {Text} */ change) => `This switch by itself changes the number by ${change}.`,
          numbers: (/** @type {Text} */ none, /** @type {{ name: Text, value: Text } | null} */ moved, /** @type {Text} */ all) =>
            `Raw: ${none}.${moved ? ` ${moved.name[0].toUpperCase()}${moved.name.slice(1)}: ${moved.value}.` : ""} All four: ${all}.`,
          why: {
            fold_value_biases: "Whatever lies in v is zeroed with it, its bias b_V, too. Once b_V is folded away it lives in b_O and survives. Both numbers are right: they answer different questions. Say which weights you used.",
            other: "On this model it is not the value biases that move it most. Both numbers are right: they answer different questions. Say which weights you used.",
            none: "No switch by itself moves it by more than rounding: what this head’s b_V adds does not decide between the two pronouns. On another model it may: say which weights you used.",
          },
        },
      },
    },

    own: {
      title: "Your own prompt",
      prose: [
        "Your turn. Change the prompt below so that the logit difference, always ␣she minus ␣he, has the other sign. It should still stop right before the pronoun.",
        "If that was easy: can you do it with Mary still in the prompt? What does that tell you about the head that moves the name?",
      ],
      field: "Your prompt",
      figure: "Logit difference of ␣she and ␣he",
      columns: ["Prompt", "Logit difference"],
      top: (/** @type {Text} */ list) => `Likeliest next tokens of your prompt: ${list}.`,
      ask: {
        flip: {
          prompt: "Find a prompt with the other sign.",
          hints: ["What in the prompt decides about the pronoun?", "Another name will do."],
          of: (/** @type {Text} */ value) => `The logit difference of this prompt is ${value}: still the same sign.`,
          why: (/** @type {Text} */ prompt, /** @type {Text} */ original, /** @type {Text} */ value) => `From ${original} to ${value} with “${prompt}”.`,
          other: (/** @type {Text} */ original) => `The logit difference of the first prompt is ${original}; any prompt with the other sign will do.`,
        },
      },
    },

    training: {
      title: "When circuits form",
      prose: [
        "All of this was learned. While the model was trained, it was saved again and again; each saved state is called a checkpoint. Every checkpoint can be measured like the finished model.",
        "We follow two things: the mean logit difference on the 25 prompts, and the best induction score of any head. The rules: pronouns count as learned above a mean of 1, induction above a score of 0.4. Only the steps that were saved can be told apart.",
      ],
      pronouns: "Pronouns",
      pronounsUnit: "mean logit difference, 25 prompts",
      induction: "Induction",
      inductionUnit: "best score of any head",
      mean: "Mean",
      best: "Best head",
      table: "Every checkpoint in numbers",
      columns: ["Training step", "Mean logit difference", "Best induction score"],
      none: "This model comes without checkpoints of its training. Go back to the workshop’s own model for this step.",
      never: "It never is, at any of these checkpoints.",
      ask: {
        sooner: {
          prompt: "Which will be learned first?",
          options: { pronouns: "The pronouns", induction: "Induction", together: "Both at the same checkpoint" },
          hints: ["Compare the two curves.", "At which step does each of them rise?"],
          why: { pronouns: "The pronouns come first, by the two rules above.", induction: "Induction comes first, by the two rules above.", together: "No checkpoint lies between them: both appear at the same one, or neither ever does." },
        },
        pronouns: {
          prompt: "At which saved step is the mean logit difference above 1 for the first time? (−1 for never.)",
          hints: ["Read the second column of the table from the top.", "The first row above 1."],
          why: (/** @type {Text} */ step, /** @type {Text} */ value) => `At step ${step}: the mean is ${value} there.`,
        },
        induction: {
          prompt: "At which saved step is the best induction score above 0.4 for the first time? (−1 for never.)",
          hints: ["Read the third column of the table from the top.", "The first row above 0.4."],
          why: (/** @type {Text} */ step, /** @type {Text} */ value) => `At step ${step}: the best score is ${value} there.`,
        },
      },
    },
  },

  sheet: {
    title: "Handout",
    intro: "Prose and questions of the lesson on paper; its figures are drawn on the screen only. Print it as it is for the class, or with the answers for yourself: they are computed by the model now, not copied from anywhere.",
    print: "Print",
    withAnswers: "With answers",
    withAnswersNote: "Loads the model and runs all steps, the checkpoints of its training included.",
    back: "The workshop",
    cancel: "Cancel",
    running: (/** @type {Text} */ title, /** @type {number} */ n, /** @type {number} */ all) => `Computing step ${n} of ${all}: ${title}`,
    done: (/** @type {Text} */ name, /** @type {Text} */ sha) => `Answers computed with the model “${name}”, weights’ SHA-256 ${sha}.`,
    unknown: "unknown",
    address: "The workshop is at",
    fillIn: "to be filled in: the address that “microtome serve --lan” prints",
    studentName: "Name",
    date: "Date",
    answer: "Answer",
    answerIs: (/** @type {Text} */ text) => `Answer: ${text}.`,
    example: (/** @type {Text} */ text) => `For example: ${text}.`,
    failed: "could not be computed",
    guess: "Guess before you look",
    times: "How long the steps take",
    timesColumns: ["Step", "Minutes", "From the start"],
    room: "How to run it in a room",
    roomText: [
      "Every laptop computes for itself; the teacher’s machine only hands out the page and the model. On it run “microtome serve --lan”, or put the site’s folder on any web server. The command prints an address that everybody in the room can open. The model is small and is loaded once per laptop.",
      "Nothing has to be installed, no account is needed, and no answer leaves a laptop unless its owner saves the file and hands it in. A phone works, too. Where a laptop has no WebGPU the page takes the CPU engine by itself: the workshop’s model is small enough for it.",
      "Let people guess aloud before they press the button. Two to a laptop talk more than one.",
    ],
    total: "Together",
  },
};
