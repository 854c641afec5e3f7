//! docs/policy.md: every field of the policy, from the schema.

/// To come.
pub fn policy_reference() -> String {
    String::new()
}
