//! JSON as JavaScript writes it, which may hold half a character.

/// With U+FFFD in place of each lone surrogate, as a text that is encoded has it: a JavaScript string may hold one, no other
/// text may. `JSON.stringify` escapes these alone of all surrogates (ECMA-262, QuoteJSONString): a pair stands for itself.
pub fn well_formed(json: String) -> String {
    if !json.contains("\\ud") {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at..];
        let surrogate = escape.strip_prefix("\\ud").is_some_and(|digits| digits.starts_with(|c| c >= '8'));
        // Any other escape is a backslash and a character behind it, whatever else belongs to it.
        let len = if surrogate { 6 } else { 1 + escape[1..].chars().next().map_or(0, char::len_utf8) };
        text.push_str(if surrogate { "\\ufffd" } else { &escape[..len] });
        rest = &escape[len..];
    }
    text + rest
}
