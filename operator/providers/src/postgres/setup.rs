//! The SQL that a superuser runs once: Muster's schema and the rights of its role.

/// What the adapter needs to find in the database; [`setup_sql`] makes it.
pub const SETUP_VERSION: i64 = 1;

/// The setup for these two role names, as one text for the simple query protocol. Both roles must exist. It may be
/// run again at any time, on the primary, by a superuser.
pub fn setup_sql(muster_role: &str, application_role: &str) -> String {
    include_str!("setup.sql")
        .replace(":\"muster\"", &identifier(muster_role))
        .replace(":\"application\"", &identifier(application_role))
        .replace(":'application'", &literal(application_role))
}

/// Quotes a name for SQL.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for SQL; right whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!(" E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_quotes_stay_names() {
        let sql = setup_sql("mu\"ster", "it's");
        assert!(sql.contains("grant usage on schema muster to \"mu\"\"ster\";"));
        assert!(sql.contains("values ('it''s') on conflict"));
        assert!(!sql.contains(":\"") && !sql.contains(":'"));
        assert_eq!(literal("plain"), "'plain'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
    }

    #[test]
    fn every_right_that_the_setup_gives_is_explained() {
        let page = include_str!("../../../../docs/postgres.md");
        for grant in include_str!("setup.sql").lines().filter(|line| line.starts_with("grant ")) {
            for word in grant.split([' ', ',', ';']).filter(|word| word.contains('_') || word.contains('.')) {
                assert!(page.contains(word), "{word} of: {grant}");
            }
        }
    }
}
