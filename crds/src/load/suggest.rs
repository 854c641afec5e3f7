//! "Did you mean": the nearest known word, if one is near.

/// The known word that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(word);
    let known: Vec<&str> = known.into_iter().collect();
    // `password: x` was meant as a reference.
    let reference = format!("{folded}secret");
    if let Some(known) = known.iter().find(|k| fold(k) == reference) {
        return Some(known);
    }
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(word.len()) / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case and separators apart: `max_items` is `maxItems`.
fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).take(64).collect()
}

/// What may stand there, for a message.
pub(super) fn list<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    known.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_found_and_nothing_far_away() {
        let known = ["timeout", "every", "heartbeat", "http"];
        assert_eq!(nearest("timout", known), Some("timeout"));
        assert_eq!(nearest("Time_Out", known), Some("timeout"));
        assert_eq!(nearest("heart-beat", known), Some("heartbeat"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("password", ["name", "passwordSecret"]), Some("passwordSecret"));
    }
}
