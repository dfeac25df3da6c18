//! Everyday sentences: the part of the corpus that is about nothing in particular, with pronouns all over it.

use super::corpus::{Pronouns, capital, pronouns};
use super::rng::Rng;
use super::words::{
    ACTIVITIES, ADJECTIVES, ANIMALS, CHARACTER, COLORS, DAYS, FAMILY, FOOD, GROUPS, MONTHS, MOODS, NUMBERS,
    OBJECTS, PLACES, ROLES, SAYINGS, WEATHER, article, people,
};

/// One to three sentences about one person, animal or group.
pub fn story(rng: &mut Rng) -> String {
    match rng.unit() {
        x if x < 0.70 => about_a_person(rng),
        x if x < 0.78 => about_an_animal(rng),
        x if x < 0.85 => about_a_group(rng),
        x if x < 0.93 => rng.pick(SAYINGS).to_string(),
        _ => about_nobody(rng),
    }
}

fn about_a_person(rng: &mut Rng) -> String {
    let names: Vec<&'static str> = people().collect();
    let name = rng.pick(&names);
    let Pronouns { subject, object, possessive } = pronouns(rng, name);
    let (place, thing) = (rng.pick(PLACES), rng.pick(OBJECTS));
    let (mood, role, adjective) = (rng.pick(MOODS), rng.pick(ROLES), rng.pick(ADJECTIVES));
    let mut text = match rng.below(18) {
        0 => format!("{name} went to the {place} because {subject} was {mood}."),
        1 => format!("{name} lost {possessive} {thing}, so {subject} was {mood}."),
        2 => format!("{name} said that {subject} was {mood}."),
        3 => format!("{name} was {mood}, but {subject} went to the {place}."),
        4 => format!("When {name} came to the {place}, {subject} was {mood}."),
        5 => format!("{name} works as {} {role}.", article(role)),
        6 => format!("My {role} {name} is very {}.", rng.pick(CHARACTER)),
        7 => format!("On {} {name} walks to the {place} with {possessive} {role}.", rng.pick(DAYS)),
        8 => format!("{name} has {} {adjective} {thing}.", article(adjective)),
        9 => format!("I saw {name} at the {place} and gave {object} {} {thing}.", article(thing)),
        10 => format!("{name} likes {possessive} {thing}."),
        11 => format!("We met {name} near the {place}."),
        12 => {
            format!("{name} bought {} at the {place} for {possessive} {}.", rng.pick(FOOD), rng.pick(FAMILY))
        }
        13 => format!(
            "{name} likes {}, and {subject} likes {} too.",
            rng.pick(ACTIVITIES),
            rng.pick(ACTIVITIES)
        ),
        14 => format!("Every {} {name} calls {possessive} {}.", rng.pick(DAYS), rng.pick(FAMILY)),
        15 => format!(
            "{name} has a {} {thing} and {possessive} {} has it now.",
            rng.pick(COLORS),
            rng.pick(FAMILY)
        ),
        16 => format!("In {} {name} began {}.", rng.pick(MONTHS), rng.pick(ACTIVITIES)),
        _ => format!("{name} ate {} because {subject} was {mood}.", rng.pick(FOOD)),
    };
    for _ in 0..rng.below(3) {
        let (place, thing, mood) = (rng.pick(PLACES), rng.pick(OBJECTS), rng.pick(MOODS));
        let she = capital(subject);
        text += &match rng.below(9) {
            0 => format!(" {she} was {mood}."),
            1 => format!(" {she} found {possessive} {thing} in the {place}."),
            2 => format!(" We like {object}."),
            3 => format!(" {she} lives near the {place}."),
            4 => format!(" Everybody knows {object} there."),
            5 => format!(" Then {subject} went home."),
            6 => format!(" {she} wanted {} and {}.", rng.pick(FOOD), rng.pick(FOOD)),
            7 => format!(" In the evening {subject} was {}.", rng.pick(ACTIVITIES)),
            _ => format!(" After {} hours {subject} left.", rng.pick(NUMBERS)),
        };
    }
    text
}

fn about_an_animal(rng: &mut Rng) -> String {
    let (animal, place, mood) = (rng.pick(ANIMALS), rng.pick(PLACES), rng.pick(MOODS));
    match rng.below(4) {
        0 => format!("The {animal} ran to the {place} because it was {mood}."),
        1 => format!("The {animal} was {mood}, so it went home."),
        2 => format!("There is {} {animal} in the {place}. It is {mood}.", article(animal)),
        _ => format!("The {animal} is {mood}, isn’t it?"),
    }
}

fn about_a_group(rng: &mut Rng) -> String {
    let (group, place, mood) = (rng.pick(GROUPS), rng.pick(PLACES), rng.pick(MOODS));
    match rng.below(4) {
        0 => format!("The {group} went to the {place}. They were {mood}."),
        1 => format!("The {group} said that they were {mood}. I like them."),
        2 => format!("The {group} are {mood}, aren’t they?"),
        _ => format!("The {group} lost their {} at the {place}.", rng.pick(OBJECTS)),
    }
}

fn about_nobody(rng: &mut Rng) -> String {
    let (thing, place, adjective) = (rng.pick(OBJECTS), rng.pick(PLACES), rng.pick(ADJECTIVES));
    match rng.below(11) {
        0 => format!("There is {} {thing} in the {place}, isn’t there?", article(thing)),
        1 => format!("It is {} {adjective} day, isn’t it?", article(adjective)),
        2 => format!("The {place} is {adjective}, isn’t it?"),
        3 => format!("This is my {thing}, and that is your {thing}."),
        4 => format!("I am {}, and you are {}.", rng.pick(MOODS), rng.pick(MOODS)),
        5 => format!("We went to the {place} on {}.", rng.pick(DAYS)),
        6 => format!("It was {} and {} in {}.", rng.pick(WEATHER), rng.pick(WEATHER), rng.pick(MONTHS)),
        7 => format!("There were {} {} at the {place}.", rng.pick(NUMBERS), rng.pick(GROUPS)),
        8 => format!("Do you like {} or {}?", rng.pick(FOOD), rng.pick(FOOD)),
        9 => format!("The {thing} is {}, isn’t it?", rng.pick(COLORS)),
        _ => format!("My {} likes {}.", rng.pick(FAMILY), rng.pick(ACTIVITIES)),
    }
}
