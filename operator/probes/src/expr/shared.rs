//! Expressions in use, so that equal ones are compiled once and kept once: a thousand probes expect `status == 200`.

use super::{Compiled, ExprError, Names};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// Beyond so many, those that nobody uses any more are forgotten; if all are in use, more are not shared.
const MAX_KNOWN: usize = 4096;

/// The names that it may use, and its text.
type Key = (Names, String);

static KNOWN: LazyLock<Mutex<HashMap<Key, Weak<Compiled>>>> = LazyLock::new(Mutex::default);

/// The expression, if one is in use, or a newly compiled one.
pub(super) fn find_or(
    source: &str,
    names: Names,
    compile: impl FnOnce() -> Result<Compiled, ExprError>,
) -> Result<Arc<Compiled>, ExprError> {
    let key = (names, source.to_owned());
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key).and_then(Weak::upgrade);
    if let Some(known) = known {
        return Ok(known);
    }
    let fresh = Arc::new(compile()?);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MAX_KNOWN {
        known.retain(|_, expr| expr.strong_count() > 0);
    }
    if known.len() < MAX_KNOWN {
        known.insert(key, Arc::downgrade(&fresh));
    }
    Ok(fresh)
}
