use super::*;
use crate::postgres::TlsMode;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A certificate that signs itself, for 127.0.0.1, where the server finds it.
fn give_certificate(folder: &std::path::Path) -> Vec<u8> {
    let (key, certificate) = (folder.join("server.key"), folder.join("server.crt"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=db"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let owner = std::fs::metadata(folder).unwrap();
    std::os::unix::fs::chown(&key, Some(owner.uid()), Some(owner.gid())).unwrap();
    std::fs::read(certificate).unwrap()
}

#[tokio::test]
async fn a_server_is_believed_only_with_the_certificate_that_the_policy_asks_for() {
    let mut pair = Pair::start(&["east"], "").await.unwrap();
    let certificate = give_certificate(&pair.server("east").data);
    pair.server("east").sql("alter system set ssl = on").await.unwrap();
    pair.server_mut("east").stop();
    pair.server_mut("east").start().await.unwrap();
    let hba = "host all postgres 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
    std::fs::write(pair.server("east").data.join("pg_hba.conf"), hba).unwrap();
    pair.server("east").sql("select pg_reload_conf()").await.unwrap();

    let with = |mode| {
        let mut config = pair.config(OWNER);
        config.tls = mode;
        PostgresData::new(config)
    };
    let trusted = with(TlsMode::VerifyFull { ca_pem: Some(certificate) }).unwrap();
    facts(&trusted, "east").await;
    facts(&with(TlsMode::Require).unwrap(), "east").await;
    issued(&trusted.fence(&region("east"), &ctx(1, 1)).await);
    until(&trusted, "east", DataFacts::is_closed).await;

    let elsewhere = tempfile::tempdir().unwrap();
    let other = with(TlsMode::VerifyFull { ca_pem: Some(give_certificate(elsewhere.path())) }).unwrap();
    for refused in [other, with(TlsMode::Disable).unwrap()] {
        let seen = refused.observe(&region("east"), SECONDS).await;
        assert!(matches!(&seen, Seen::Unknown(why) if why.contains("failed to connect")), "{seen:?}");
    }
    assert!(with(TlsMode::VerifyFull { ca_pem: Some(b"not a certificate".to_vec()) }).is_err());
}
