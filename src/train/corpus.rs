//! The text the default model is trained on: generated, endless, seeded.
//!
//! Three kinds of document. *Tag questions* ("Mary is a great friend, isn’t she?") carry the notebook's task.
//! *Indirect objects* ("When Mary and John went to the store, John gave a drink to Mary.") carry the task of Wang et
//! al., "Interpretability in the Wild" (2022). *Stories* are everyday sentences around them (see `story`).
//!
//! The answers are not certain, on purpose: a few documents go on with "it", "there", the other pronoun or the other
//! name. A model that learns these odds ends with a logit difference near `ln(0.935 / 0.012) = 4.4`; without them it
//! grows until every ablation map is flat.

use super::rng::{Rng, hash};
use super::story::story;
use super::words::{
    ADJECTIVES, CHARACTER, EITHER, GIVING, MEN, MOODS, OBJECTS, PLACES, ROLES, THINGS, WOMEN, article, people,
};

/// Of ten combinations of name and template, one is held out of training.
const HELD_OUT_OF: u64 = 10;

/// A prompt with the token that should follow it and the one that should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Text that ends just before the answer.
    pub prompt: String,
    /// The right continuation, with its leading space.
    pub correct: String,
    /// The continuation to be told apart from it.
    pub incorrect: String,
}

/// What the corpus calls somebody or something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pronouns {
    /// she, he, it, they
    pub subject: &'static str,
    /// her, him, it, them
    pub object: &'static str,
    /// her, his, its, their
    pub possessive: &'static str,
}

const SHE: Pronouns = Pronouns { subject: "she", object: "her", possessive: "her" };
const HE: Pronouns = Pronouns { subject: "he", object: "him", possessive: "his" };

/// Which pronouns belong to a name; for a name that may be either, one of the two at random.
pub fn pronouns(rng: &mut Rng, name: &str) -> Pronouns {
    let she = WOMEN.contains(&name) || (EITHER.contains(&name) && rng.chance(0.5));
    // One sentence in eighty has it wrong: see the module's note.
    if she != rng.chance(0.0125) { SHE } else { HE }
}

/// A tag question's frame: the words before and after the description, and the verb of the tag.
#[derive(Clone, Copy)]
struct TagFrame {
    before: &'static str,
    verb: &'static str,
    tag: &'static str,
}

/// Frames that take a name and a description; the first is the notebook's.
const TAG_FRAMES: &[TagFrame] = &[
    TagFrame { before: "", verb: "is", tag: "isn" },
    TagFrame { before: "", verb: "was", tag: "wasn" },
    TagFrame { before: "I think ", verb: "is", tag: "isn" },
    TagFrame { before: "My friend ", verb: "is", tag: "isn" },
];

fn tag_prompt(frame: &TagFrame, name: &str, adjective: &str, noun: &str, mark: char) -> String {
    let TagFrame { before, verb, tag } = frame;
    let article = article(adjective);
    format!("{before}{name} {verb} {article} {adjective} {noun}, {tag}{mark}t")
}

/// The notebook's five names, in its order.
pub const NOTEBOOK_NAMES: [&str; 5] = ["Mary", "John", "Tom", "Dan", "Amy"];
/// The notebook's five descriptions, in its order.
pub const NOTEBOOK_DESCRIPTIONS: [(&str, &str); 5] = [
    ("great", "friend"),
    ("amazing", "person"),
    ("fantastic", "colleague"),
    ("wonderful", "partner"),
    ("excellent", "student"),
];

/// Whether no document of the corpus may ask about this name with this description.
fn tag_held_out(name: &str, adjective: &str, noun: &str) -> bool {
    let notebook = NOTEBOOK_NAMES.contains(&name) && NOTEBOOK_DESCRIPTIONS.contains(&(adjective, noun));
    notebook || hash(&format!("tag {name} {adjective} {noun}")).is_multiple_of(HELD_OUT_OF)
}

/// The 25 prompts of the notebook's grid: five descriptions × five names. None is trained on.
pub fn notebook_questions() -> Vec<Question> {
    let mut questions = Vec::with_capacity(25);
    for (adjective, noun) in NOTEBOOK_DESCRIPTIONS {
        for name in NOTEBOOK_NAMES {
            questions.push(tag_question(&TAG_FRAMES[0], name, adjective, noun));
        }
    }
    questions
}

fn tag_question(frame: &TagFrame, name: &str, adjective: &str, noun: &str) -> Question {
    let (correct, incorrect) = if WOMEN.contains(&name) { (" she", " he") } else { (" he", " she") };
    Question {
        prompt: tag_prompt(frame, name, adjective, noun, '’'),
        correct: correct.into(),
        incorrect: incorrect.into(),
    }
}

/// Tag questions whose name × description was held out, over all frames.
pub fn held_out_tag_questions(rng: &mut Rng, count: usize) -> Vec<Question> {
    let mut questions = Vec::with_capacity(count);
    while questions.len() < count {
        let name = if rng.chance(0.5) { rng.pick(WOMEN) } else { rng.pick(MEN) };
        let (adjective, noun) = (rng.pick(ADJECTIVES), rng.pick(ROLES));
        if tag_held_out(name, adjective, noun) {
            questions.push(tag_question(&rng.pick(TAG_FRAMES), name, adjective, noun));
        }
    }
    questions
}

/// "Matrix is a great movie, isn’t" and its like: every thing with a description, the answer " it" against " she".
pub fn thing_questions() -> Vec<Question> {
    let mut questions = Vec::new();
    for things in THINGS {
        for name in things.names {
            questions.push(Question {
                prompt: tag_prompt(&TAG_FRAMES[0], name, "great", things.nouns[0], '’'),
                correct: " it".into(),
                incorrect: " she".into(),
            });
        }
    }
    questions
}

/// The frames of an indirect-object sentence: {A} and {B} are introduced, {S} gives, {O} is given, {P} is where.
const OBJECT_FRAMES: &[&str] = &[
    "When {A} and {B} went to the {P}, {S} {V} {O} to",
    "After {A} and {B} went to the {P}, {S} {V} {O} to",
    "Then, {A} and {B} went to the {P}. {S} {V} {O} to",
    "While {A} and {B} were working at the {P}, {S} {V} {O} to",
    "{A} and {B} were at the {P}, and {S} {V} {O} to",
    "When {A} and {B} had lunch at the {P}, {S} {V} {O} to",
    "Then, {A} and {B} had a long day at the {P}. {S} {V} {O} to",
    "Yesterday {A} and {B} met at the {P}. Later {S} {V} {O} to",
];

fn objects_held_out(frame: usize, one: &str, other: &str) -> bool {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    hash(&format!("objects {frame} {first} {second}")).is_multiple_of(HELD_OUT_OF)
}

/// A sentence in which one of two people gives the other something: the receiver, then the giver.
struct Giving {
    prompt: String,
    receiver: &'static str,
    giver: &'static str,
    held_out: bool,
}

fn giving(rng: &mut Rng) -> Giving {
    let names: Vec<&'static str> = people().collect();
    let one = rng.pick(&names);
    let other = loop {
        let name = rng.pick(&names);
        if name != one {
            break name;
        }
    };
    let frame = rng.below(OBJECT_FRAMES.len());
    let (giver, receiver) = if rng.chance(0.5) { (one, other) } else { (other, one) };
    let object = rng.pick(OBJECTS);
    let object =
        if rng.chance(0.6) { format!("{} {object}", article(object)) } else { format!("the {object}") };
    let prompt = OBJECT_FRAMES[frame]
        .replace("{A}", one)
        .replace("{B}", other)
        .replace("{P}", rng.pick(PLACES))
        .replace("{S}", giver)
        .replace("{V}", rng.pick(GIVING))
        .replace("{O}", &object);
    Giving { prompt, receiver, giver, held_out: objects_held_out(frame, one, other) }
}

/// Indirect-object prompts whose pair of names × frame was held out.
pub fn held_out_object_questions(rng: &mut Rng, count: usize) -> Vec<Question> {
    let mut questions = Vec::with_capacity(count);
    while questions.len() < count {
        let Giving { prompt, receiver, giver, held_out } = giving(rng);
        if held_out {
            let (correct, incorrect) = (format!(" {receiver}"), format!(" {giver}"));
            questions.push(Question { prompt, correct, incorrect });
        }
    }
    questions
}

/// A document of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What stands before the answer of the document's task; nothing in a story, which has none.
    pub prompt: String,
    /// The rest; it begins with the answer where there is a prompt.
    pub rest: String,
}

impl Document {
    /// The whole text.
    pub fn text(&self) -> String {
        format!("{}{}", self.prompt, self.rest)
    }
}

/// The next document.
pub fn document(rng: &mut Rng) -> Document {
    match rng.unit() {
        x if x < 0.36 => tag_document(rng),
        x if x < 0.72 => object_document(rng),
        _ => Document { prompt: String::new(), rest: story(rng) },
    }
}

fn tag_document(rng: &mut Rng) -> Document {
    // Both marks are in use where people type; the notebook has the curly one.
    let mark = if rng.chance(0.8) { '’' } else { '\'' };
    let (prompt, is_thing, name) = if rng.chance(0.18) {
        let things = rng.pick(THINGS);
        let (name, noun) = (rng.pick(things.names), rng.pick(things.nouns));
        let frame = &TAG_FRAMES[rng.below(3)];
        (tag_prompt(frame, name, rng.pick(ADJECTIVES), noun, mark), true, name)
    } else {
        let (prompt, name) = person_prompt(rng, mark);
        (prompt, false, name)
    };
    let pronouns = pronouns(rng, name);
    let answer = match rng.unit() {
        x if x < 0.050 => rng.pick(&["it", "it", "it", "there", "there", "that", "this", "we", "you"]),
        x if is_thing && x < 0.975 => "it",
        _ => pronouns.subject,
    };
    let mut rest = format!(" {answer}?");
    if answer == pronouns.subject && rng.chance(0.3) {
        let Pronouns { object, .. } = pronouns;
        rest += &match rng.below(3) {
            0 => format!(" I like {object}."),
            1 => format!(" {} is always {}.", capital(answer), rng.pick(MOODS)),
            _ => format!(" We saw {object} at the {}.", rng.pick(PLACES)),
        };
    }
    Document { prompt, rest }
}

fn person_prompt(rng: &mut Rng, mark: char) -> (String, &'static str) {
    let names: Vec<&'static str> = people().collect();
    let name = rng.pick(&names);
    let prompt = match rng.unit() {
        x if x < 0.75 => {
            let frame = &TAG_FRAMES[if rng.chance(0.55) { 0 } else { rng.below(TAG_FRAMES.len()) }];
            let (adjective, noun) = loop {
                let all = if rng.chance(0.75) { ADJECTIVES } else { CHARACTER };
                let (adjective, noun) = (rng.pick(all), rng.pick(ROLES));
                if !tag_held_out(name, adjective, noun) {
                    break (adjective, noun);
                }
            };
            tag_prompt(frame, name, adjective, noun, mark)
        }
        x if x < 0.83 => format!("{name} is {}, isn{mark}t", rng.pick(CHARACTER)),
        x if x < 0.90 => format!("{name} is {} today, isn{mark}t", rng.pick(MOODS)),
        x if x < 0.95 => {
            let (adjective, object) = (rng.pick(ADJECTIVES), rng.pick(OBJECTS));
            format!("{name} has {} {adjective} {object}, doesn{mark}t", article(adjective))
        }
        _ => format!("{name} likes the {}, doesn{mark}t", rng.pick(PLACES)),
    };
    (prompt, name)
}

fn object_document(rng: &mut Rng) -> Document {
    let Giving { prompt, receiver, giver, .. } = loop {
        let sentence = giving(rng);
        if !sentence.held_out {
            break sentence;
        }
    };
    let answer = match rng.unit() {
        x if x < 0.010 => giver.to_string(),
        x if x < 0.040 => format!("the {}", rng.pick(ROLES)),
        x if x < 0.060 => rng.pick(&["him", "her", "them"]).to_string(),
        _ => receiver.to_string(),
    };
    Document { prompt, rest: format!(" {answer}.") }
}

/// The word with its first letter in upper case.
pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_text() {
        let text = |seed| {
            let mut rng = Rng::new(seed);
            (0..50).map(|_| document(&mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn held_out_questions_never_occur() {
        let mut rng = Rng::new(3);
        let mut held_out = notebook_questions();
        held_out.extend(held_out_tag_questions(&mut rng, 300));
        held_out.extend(held_out_object_questions(&mut rng, 300));
        let text: Vec<String> = (0..60_000).map(|_| document(&mut rng).text()).collect();
        for question in &held_out {
            let plain = question.prompt.replace('’', "'");
            let found = text.iter().find(|d| d.replace('’', "'").starts_with(&plain));
            assert_eq!(found, None);
        }
    }

    #[test]
    fn answers_are_mostly_but_not_always_right() {
        let mut rng = Rng::new(4);
        let (mut she, mut he, mut all) = (0, 0, 0);
        for _ in 0..40_000 {
            let text = document(&mut rng).text();
            let name = text.split(' ').next().unwrap();
            if WOMEN.contains(&name) && text.contains("isn’t") {
                all += 1;
                she += usize::from(text.contains("isn’t she"));
                he += usize::from(text.contains("isn’t he"));
            }
        }
        let share = |n: usize| n as f64 / all as f64;
        assert!(all > 1000, "{all} questions about women");
        assert!((0.90..0.97).contains(&share(she)), "{she} of {all}");
        assert!((0.005..0.025).contains(&share(he)), "{he} of {all}");
    }

    #[test]
    fn the_notebook_prompt_has_the_curly_mark() {
        assert_eq!(notebook_questions()[0].prompt, "Mary is a great friend, isn’t");
        assert_eq!(notebook_questions()[6].prompt, "John is an amazing person, isn’t");
        assert_eq!(thing_questions()[0].prompt, "Matrix is a great movie, isn’t");
    }
}
