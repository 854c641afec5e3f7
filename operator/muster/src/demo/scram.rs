//! Password verifiers with few rounds, for the demo's databases only.
//!
//! PostgreSQL's usual 4096 rounds protect weak passwords in a stolen verifier. The demo's passwords are 24 random
//! characters, live for one world, and every probe logs in afresh: in an unoptimized build those rounds would be
//! most of what the demo does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

const ROUNDS: u32 = 16;

/// What PostgreSQL stores for this password (RFC 5803, as in `pg_authid`).
pub(super) fn verifier(password: &str, salt: [u8; 16]) -> String {
    let salted = salt_password(password.as_bytes(), &salt);
    let stored = Sha256::digest(sign(&salted, b"Client Key"));
    let server = sign(&salted, b"Server Key");
    let [salt, stored, server] = [&salt[..], &stored[..], &server[..]].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ROUNDS}:{salt}${stored}:{server}")
}

/// `Hi` of RFC 5802.
fn salt_password(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut last = sign(password, &[salt, &[0, 0, 0, 1]].concat());
    let mut all = last;
    for _ in 1..ROUNDS {
        last = sign(password, &last);
        all.iter_mut().zip(last).for_each(|(sum, byte)| *sum ^= byte);
    }
    all
}

fn sign(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
