//! The words the corpus is made of. Plain lists: what the model can know is what stands here.
//!
//! Every name is one token at the start of a text and after a space (the vocabulary is trained so, and a test of the
//! shipped model checks it), which makes prompts that differ only in a name equally long.
//!
//! `train.rs` keeps rustfmt away from this file: it would give every word a line.

/// Names that the corpus always calls "she".
pub const WOMEN: &[&str] = &[
    "Mary", "Amy", "Anna", "Emma", "Alice", "Sarah", "Laura", "Julia", "Emily", "Kate", "Jane", "Lucy",
    "Grace", "Helen", "Ruth", "Rose", "Susan", "Linda", "Karen", "Lisa", "Nancy", "Betty", "Sandra", "Donna",
    "Carol", "Amanda", "Melissa", "Rebecca", "Claire", "Sophie", "Olivia", "Hannah", "Maria", "Diana",
    "Martha", "Barbara", "Elizabeth", "Jennifer", "Jessica", "Margaret", "Sharon", "Michelle", "Rachel",
    "Nicole", "Victoria", "Charlotte", "Ella", "Eva",
];

/// Names that the corpus always calls "he".
pub const MEN: &[&str] = &[
    "John", "Tom", "Dan", "James", "Robert", "Michael", "David", "William", "Richard", "Joseph", "Charles",
    "Mark", "Paul", "Steven", "Andrew", "Kevin", "Brian", "George", "Peter", "Henry", "Jack", "Ryan", "Jason",
    "Scott", "Ben", "Adam", "Frank", "Simon", "Eric", "Luke", "Oliver", "Max", "Daniel", "Thomas", "Matthew",
    "Anthony", "Edward", "Arthur", "Samuel", "Patrick", "Walter", "Philip", "Harry", "Bill", "Bob", "Tim",
    "Jim", "Joe",
];

/// Names that the corpus calls "she" or "he", each half of the time.
pub const EITHER: &[&str] = &["Alex", "Sam", "Chris", "Jordan", "Taylor", "Robin"];

/// A kind of thing: how single ones are called, and the nouns that describe them.
#[derive(Clone, Copy)]
pub struct Things {
    /// Titles and proper nouns.
    pub names: &'static [&'static str],
    /// What each of them is.
    pub nouns: &'static [&'static str],
}

/// Things that the corpus calls "it".
pub const THINGS: &[Things] = &[
    Things {
        names: &["Matrix", "Titanic", "Avatar", "Alien", "Rocky", "Jaws", "Psycho", "Gladiator"],
        nouns: &["movie", "film", "story"],
    },
    Things {
        names: &["Hamlet", "Dracula", "Ulysses"],
        nouns: &["book", "play", "story"],
    },
    Things {
        names: &["Chess", "Tetris", "Poker", "Football", "Tennis", "Hockey", "Golf"],
        nouns: &["game", "sport"],
    },
    Things {
        names: &["Paris", "London", "Rome", "Berlin", "Tokyo", "Madrid", "Vienna", "Boston", "Chicago"],
        nouns: &["city", "place", "town"],
    },
    Things {
        names: &["Pizza", "Pasta", "Soup", "Rice", "Sushi", "Salad"],
        nouns: &["dish", "meal"],
    },
];

/// Adjectives for people and things alike.
pub const ADJECTIVES: &[&str] = &[
    "great", "amazing", "fantastic", "wonderful", "excellent", "good", "nice", "lovely", "brilliant",
    "terrible", "bad", "strange", "famous", "perfect", "awful", "incredible", "interesting", "beautiful",
    "special", "popular", "unusual", "real", "fine", "important", "big", "small", "new", "little", "ordinary",
    "remarkable", "impressive", "pleasant", "boring", "exciting", "dreadful", "superb", "modern", "simple",
    "serious", "proper",
];

/// Adjectives for people alone.
pub const CHARACTER: &[&str] = &[
    "kind", "clever", "funny", "honest", "gentle", "brave", "young", "old", "tall", "quiet", "polite",
    "careful", "friendly", "smart", "generous", "patient", "loyal", "lazy", "shy", "calm",
];

/// What a person can be.
pub const ROLES: &[&str] = &[
    "friend", "person", "colleague", "partner", "student", "teacher", "doctor", "neighbor", "singer",
    "writer", "player", "worker", "leader", "cook", "driver", "artist", "actor", "guest", "dancer", "farmer",
    "lawyer", "nurse", "pilot", "runner", "engineer", "manager", "scientist", "painter", "musician",
    "builder", "baker", "judge", "soldier", "sailor", "captain", "speaker", "reader", "listener", "swimmer",
    "poet",
];

/// Where people go.
pub const PLACES: &[&str] = &[
    "store", "park", "school", "garden", "station", "beach", "office", "hospital", "house", "library",
    "market", "kitchen", "restaurant", "bank", "zoo", "cafe", "river", "museum", "church", "theater",
    "airport", "hotel", "farm", "bakery", "village", "forest", "lake", "bridge", "gym", "pool", "shop",
    "factory", "castle", "harbor", "stadium", "playground", "cinema", "university",
];

/// What people carry and give to one another.
pub const OBJECTS: &[&str] = &[
    "drink", "book", "ball", "ring", "apple", "letter", "cake", "cup", "key", "box", "gift", "pen", "hat",
    "coat", "snack", "computer", "basketball", "bone", "necklace", "bottle", "photo", "flower", "ticket",
    "orange", "umbrella", "map", "bag", "phone", "watch", "camera", "guitar", "pencil", "chair", "lamp",
    "blanket", "sandwich", "cookie", "toy", "newspaper", "magazine", "picture", "postcard", "coin", "knife",
    "spoon", "plate", "towel", "mirror", "candle", "basket", "bicycle", "hammer", "scarf", "glove", "wallet",
    "kite",
];

/// How somebody feels.
pub const MOODS: &[&str] = &[
    "happy", "sad", "tired", "hungry", "angry", "late", "ready", "bored", "sick", "proud", "cold", "lucky",
    "busy", "afraid", "thirsty", "nervous", "excited", "surprised", "worried", "lonely", "sleepy", "cheerful",
];

/// Animals; the corpus calls each of them "it".
pub const ANIMALS: &[&str] = &[
    "dog", "cat", "bird", "horse", "fish", "rabbit", "cow", "duck", "sheep", "goat", "monkey", "elephant",
    "mouse", "turtle",
];

/// Groups; the corpus calls each of them "they".
pub const GROUPS: &[&str] = &[
    "boys", "girls", "children", "students", "teachers", "friends", "players", "neighbors", "parents",
    "workers", "visitors", "brothers", "sisters", "dogs", "birds",
];

/// Verbs of giving, in the past tense.
pub const GIVING: &[&str] = &[
    "gave", "handed", "passed", "sold", "offered", "showed", "brought", "sent",
];

/// Colours.
pub const COLORS: &[&str] = &[
    "red", "blue", "green", "yellow", "black", "white", "brown", "purple", "pink", "gray",
];

/// Food and drink that has no article.
pub const FOOD: &[&str] = &[
    "bread", "milk", "cheese", "coffee", "tea", "water", "rice", "chocolate", "butter", "sugar", "honey",
    "juice", "soup", "fruit", "meat", "salt",
];

/// What people do for an afternoon.
pub const ACTIVITIES: &[&str] = &[
    "reading", "swimming", "dancing", "cooking", "running", "singing", "writing", "painting", "fishing",
    "walking", "playing", "sleeping", "traveling", "drawing", "learning", "shopping",
];

/// Parts of a family.
pub const FAMILY: &[&str] = &[
    "mother", "father", "sister", "brother", "uncle", "aunt", "cousin", "daughter", "son", "wife", "husband",
    "grandmother", "grandfather",
];

/// The weather.
pub const WEATHER: &[&str] = &[
    "sunny", "rainy", "windy", "cloudy", "foggy", "snowy", "warm", "hot", "dry", "wet",
];

/// Whole sentences with words that stand nowhere else.
pub const SAYINGS: &[&str] = &[
    "The sun rises in the east and sets in the west.",
    "Please close the window before you go to bed.",
    "The train leaves early every morning.",
    "We always have breakfast together around the table.",
    "Nothing is as simple as it seems.",
    "Thank you very much for your help.",
    "Could you open the door, please?",
    "What time does the bus arrive?",
    "Where did you put the scissors?",
    "Who wrote that long message?",
    "Why are the streets empty tonight?",
    "How much money do we need?",
    "Which road should we take?",
    "People often forget their keys.",
    "A cold wind blew across the field.",
    "Snow covered the mountains in winter.",
    "In spring the trees turn green again.",
    "Summer holidays begin next month.",
    "Leaves fall slowly from the branches in autumn.",
    "The music was loud but nobody complained.",
    "Some questions never have an answer.",
    "Everything works better after a short rest.",
    "Somebody knocked on the wooden door.",
    "The clock on the wall stopped at midnight.",
    "It would be better to wait until tomorrow.",
    "Perhaps they will visit us another year.",
    "Without light the plants cannot grow.",
    "Both answers were correct.",
    "Most houses here were built of stone.",
    "The old man told a story about the war.",
    "A young woman crossed the square.",
    "The world is full of surprises.",
    "Children learn quickly when they play.",
    "Several windows were broken during the storm.",
    "The king and the queen lived behind high walls.",
    "My room is on the second floor.",
    "The government announced a new law.",
    "Science begins with a careful question.",
    "The first train was already full.",
    "Few things matter more than health.",
    "The company sold its last building.",
    "Can you hear the sound of the ocean?",
    "I have never been so far from home.",
    "You must not believe every word.",
    "He asked whether the report was finished.",
    "She answered the letter immediately.",
    "They agreed to share the cost.",
    "We should have called before dinner.",
    "Language changes with every generation.",
    "The doctor said that sleep is the best medicine.",
    "Traffic was heavy near the center of the city.",
    "Our team won the final match.",
    "An hour later the rain stopped suddenly.",
    "The experiment produced a different result.",
    "Money does not buy happiness, they say.",
    "Put the dishes under the shelf, not beside it.",
];

/// Numbers in words.
pub const NUMBERS: &[&str] = &[
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twenty",
];

/// Months.
pub const MONTHS: &[&str] = &[
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
];

/// Days, for sentences that begin with a time.
pub const DAYS: &[&str] = &[
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
];

/// "a" or "an", by the first letter: right for every word above.
pub fn article(word: &str) -> &'static str {
    match word.as_bytes().first() {
        // "honest" begins with a silent h.
        _ if word == "honest" => "an",
        // "university" begins with the sound of "you".
        _ if word == "university" => "a",
        Some(b'a' | b'e' | b'i' | b'o' | b'u') => "an",
        _ => "a",
    }
}

/// Every name of a person, women first, then men, then those that may be either.
pub fn people() -> impl Iterator<Item = &'static str> {
    WOMEN.iter().chain(MEN).chain(EITHER).copied()
}
