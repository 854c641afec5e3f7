//! What the name servers answer.

use crate::stage::{Stage, TcpAsker, ask};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, Record, RecordType};
use std::net::SocketAddr;

/// What stands in the zone when the tests ask.
async fn fill() -> Stage {
    let stage = Stage::start().await;
    for (name, kind, values) in [
        ("shop.example.com", "CNAME", vec!["east.example.com"]),
        ("away.example.com", "CNAME", vec!["east.example.net."]),
        ("east.example.com", "A", vec!["192.0.2.1", "192.0.2.2"]),
        ("east.example.com", "AAAA", vec!["2001:db8::1"]),
        ("deep.under.example.com", "A", vec!["192.0.2.3"]),
        ("*.wild.example.com", "A", vec!["192.0.2.4"]),
        ("text.example.com", "TXT", vec!["\"one two\" \"a\\\"b\\101\""]),
    ] {
        stage.aws.put_record(&stage.zone.id, name, kind, 60, &values);
    }
    stage
}

#[tokio::test]
async fn answers_are_authoritative_and_have_the_ttl_of_their_set() {
    let stage = fill().await;
    let answer = ask(stage.zone.servers[0], "EAST.example.com.", RecordType::A).await;
    assert!(answer.metadata.authoritative);
    assert_eq!(answer.metadata.response_code, ResponseCode::NoError);
    assert_eq!(answer.answers.iter().map(|record| record.ttl).collect::<Vec<_>>(), [60, 60]);
    assert_eq!(stage.data("east.example.com.", RecordType::AAAA).await, ["2001:db8::1"]);
    assert_eq!(stage.data("example.com.", RecordType::NS).await.len(), 4);
    assert_eq!(stage.data("example.com.", RecordType::SOA).await.len(), 1);
}

#[tokio::test]
async fn aliases_are_followed_inside_of_the_zone_only() {
    let stage = fill().await;
    let answer = ask(stage.zone.servers[0], "shop.example.com.", RecordType::A).await;
    let kinds: Vec<_> = answer.answers.iter().map(Record::record_type).collect();
    assert_eq!(kinds, [RecordType::CNAME, RecordType::A, RecordType::A]);
    assert_eq!(stage.data("shop.example.com.", RecordType::CNAME).await, ["east.example.com."]);
    assert_eq!(stage.data("away.example.com.", RecordType::A).await, ["east.example.net."]);
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_what_has_another_type() {
    let stage = fill().await;
    for (name, kind, code) in [
        ("nothing.example.com.", RecordType::A, ResponseCode::NXDomain),
        ("east.example.com.", RecordType::TXT, ResponseCode::NoError),
        ("under.example.com.", RecordType::A, ResponseCode::NoError),
    ] {
        let answer = ask(stage.zone.servers[0], name, kind).await;
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0), "{name}");
        let told: Vec<_> = answer.authorities.iter().map(Record::record_type).collect();
        assert_eq!(told, [RecordType::SOA], "{name}");
    }
    let elsewhere = ask(stage.zone.servers[0], "example.net.", RecordType::A).await;
    assert_eq!(elsewhere.metadata.response_code, ResponseCode::Refused);
    assert!(!elsewhere.metadata.authoritative);
}

#[tokio::test]
async fn a_wildcard_answers_for_names_that_are_not_there() {
    let stage = fill().await;
    assert_eq!(stage.data("any.wild.example.com.", RecordType::A).await, ["192.0.2.4"]);
    assert_eq!(stage.data("any.deep.under.example.com.", RecordType::A).await, [""; 0]);
}

#[tokio::test]
async fn each_quoted_string_is_a_string_of_its_own() {
    let stage = fill().await;
    let answer = ask(stage.zone.servers[0], "text.example.com.", RecordType::TXT).await;
    let [record] = answer.answers.as_slice() else { unreachable!("one record: {:?}", answer.answers) };
    let RData::TXT(text) = &record.data else { unreachable!("a text: {record:?}") };
    let strings: Vec<Vec<u8>> = text.txt_data.iter().map(|string| string.to_vec()).collect();
    assert_eq!(strings, [b"one two".to_vec(), b"a\"bA".to_vec()]);
}

#[tokio::test]
async fn an_answer_too_large_for_a_datagram_comes_by_tcp() {
    let stage = fill().await;
    let long = format!("\"{}\"", "x".repeat(255));
    let values: Vec<String> = (0..4).map(|number| format!("{long} \"{number}\"")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    stage.aws.put_record(&stage.zone.id, "large.example.com", "TXT", 60, &values);
    let server = stage.zone.servers[0];
    let cut = ask(server, "large.example.com.", RecordType::TXT).await;
    assert_eq!((cut.metadata.truncation, cut.answers.len()), (true, 0));
    let mut asker = TcpAsker::connect(server).await.expect("the server listens");
    let whole = asker.ask("large.example.com.", RecordType::TXT).await.expect("an answer");
    assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 4));
    let next = asker.ask("east.example.com.", RecordType::A).await.expect("another on the same connection");
    assert_eq!(next.answers.len(), 2);
}

#[tokio::test]
async fn a_server_that_is_stopped_is_silent_until_it_is_started_again() {
    let stage = fill().await;
    let (stopped, other) = (stage.zone.servers[0], stage.zone.servers[1]);
    let mut connected = TcpAsker::connect(stopped).await.expect("the server listens");
    assert!(connected.ask("east.example.com.", RecordType::A).await.is_ok());

    stage.aws.stop_server(stopped);
    assert!(connected.ask("east.example.com.", RecordType::A).await.is_err());
    let asked_anew = match TcpAsker::connect(stopped).await {
        Ok(mut asker) => asker.ask("east.example.com.", RecordType::A).await,
        Err(error) => Err(error),
    };
    assert!(asked_anew.is_err());
    assert_eq!(ask(other, "east.example.com.", RecordType::A).await.answers.len(), 2);

    stage.aws.start_server(stopped).await.expect("the port is free again");
    assert_eq!(ask(stopped, "east.example.com.", RecordType::A).await.answers.len(), 2);
    let unknown = stage.aws.start_server(SocketAddr::from(([127, 0, 0, 1], 1))).await;
    assert!(unknown.is_err());
}

#[tokio::test]
async fn the_servers_end_with_the_last_handle() {
    let stage = fill().await;
    let server = stage.zone.servers[0];
    let mut connected = TcpAsker::connect(server).await.expect("the server listens");
    let another_handle = stage.aws.clone();
    drop(stage);
    assert!(connected.ask("east.example.com.", RecordType::A).await.is_ok());
    drop(another_handle);
    assert!(connected.ask("east.example.com.", RecordType::A).await.is_err());
}
