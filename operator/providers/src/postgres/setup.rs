//! The SQL that is run once: Muster's schema and the rights of its role. `setup_any.sql` is what every engine can have, also a
//! managed one that gives nobody a superuser; `setup_fence.sql` is what a fence needs, where the master user may alter roles;
//! `setup_server.sql` is the rest.

/// What the adapter needs to find in the database; [`setup_sql`] makes it.
pub const SETUP_VERSION: i64 = 1;

/// The setup for these two role names, as one text for the simple query protocol. Both roles must exist. It may be
/// run again at any time, on the primary, by a superuser.
pub fn setup_sql(muster_role: &str, application_role: &str) -> String {
    bind(&format!("begin;\n{ANY}\n{FENCE}\n{SERVER}commit;\n"), muster_role, application_role)
}

/// The setup for a managed database that is fenced by SQL (RDS for PostgreSQL), as [`setup_sql`]: run on the writer, by its
/// master user. Nothing in it needs a superuser.
pub fn managed_fence_setup_sql(muster_role: &str, application_role: &str) -> String {
    bind(&format!("begin;\n{ANY}\n{FENCE}commit;\n"), muster_role, application_role)
}

/// The setup for a managed database that no SQL fences (Aurora), as [`setup_sql`]: run on the writer, by a role that may
/// create a schema there. Nothing in it needs a superuser.
pub fn managed_setup_sql(muster_role: &str) -> String {
    format!("begin;\n{ANY}commit;\n").replace(":\"muster\"", &identifier(muster_role))
}

fn bind(sql: &str, muster_role: &str, application_role: &str) -> String {
    sql.replace(":\"muster\"", &identifier(muster_role))
        .replace(":\"application\"", &identifier(application_role))
        .replace(":'application'", &literal(application_role))
}

const ANY: &str = include_str!("setup_any.sql");
const FENCE: &str = include_str!("setup_fence.sql");
const SERVER: &str = include_str!("setup_server.sql");

/// Quotes a name for SQL.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for SQL; right whatever `standard_conforming_strings` says.
pub(crate) fn literal(text: &str) -> String {
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
        for sql in [setup_sql("mu\"ster", "it's"), managed_fence_setup_sql("mu\"ster", "it's")] {
            assert!(sql.contains("grant usage on schema muster to \"mu\"\"ster\";"));
            assert!(sql.contains("values ('it''s') on conflict"));
            assert!(!sql.contains(":\"") && !sql.contains(":'"));
        }
        assert!(!managed_setup_sql("mu\"ster").contains(":\""));
        assert_eq!(literal("plain"), "'plain'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
    }

    #[test]
    fn a_managed_database_is_asked_for_nothing_that_only_a_superuser_may() {
        let sql = managed_setup_sql("muster");
        for word in ["pg_control", "wal", "pg_read_file", "alter system", "alter role", "pg_ls", "extension"]
        {
            assert!(!sql.contains(word), "{word}");
        }
        assert!(setup_sql("muster", "shop").contains("muster.identity"), "every engine has an identity");
    }

    #[test]
    fn a_managed_database_that_is_fenced_is_asked_for_nothing_but_its_master_user_s_rights() {
        let sql = managed_fence_setup_sql("muster", "shop");
        let words =
            ["pg_control", "pg_read_file", "pg_promote", "alter system", "pg_ls", "extension", "checkpoint"];
        for word in words {
            assert!(!sql.contains(word), "{word}");
        }
        for function in ["close_logins", "end_sessions", "open_logins", "timeline", "refuse_fenced_beat"] {
            assert!(sql.contains(&format!("function muster.{function}(")), "{function}");
        }
    }

    #[test]
    fn every_right_that_the_setup_gives_is_explained() {
        let page = include_str!("../../../../docs/postgres.md");
        for grant in [ANY, FENCE, SERVER].concat().lines().filter(|line| line.starts_with("grant ")) {
            for word in grant.split([' ', ',', ';']).filter(|word| word.contains('_') || word.contains('.')) {
                assert!(page.contains(word), "{word} of: {grant}");
            }
        }
    }
}
