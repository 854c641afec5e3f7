//! The order of a listing, and its pages.

use crate::stage::{Answer, Stage, change_with, describe};

/// Names out of order, a wildcard, a hyphen, and two sets that only their identifiers tell apart.
async fn fill() -> Stage {
    let stage = Stage::start().await;
    for (name, kind, value) in [
        ("b.example.com", "A", "192.0.2.1"),
        ("a.example.com", "TXT", "\"one\""),
        ("a.example.com", "A", "192.0.2.1"),
        ("x.a.example.com", "A", "192.0.2.1"),
        ("a-b.example.com", "A", "192.0.2.1"),
        ("*.example.com", "A", "192.0.2.1"),
    ] {
        stage.aws.put_record(&stage.zone.id, name, kind, 60, &[value]);
    }
    let routed = ["west", "east"].map(|identifier| {
        let more = format!("<SetIdentifier>{identifier}</SetIdentifier><Weight>1</Weight>");
        change_with("CREATE", "c.example.com", "A", &more, &["192.0.2.1"])
    });
    assert_eq!(stage.change(&routed).await.status, 200);
    stage
}

fn names_and_types(answer: &Answer) -> Vec<String> {
    let first_two = |set: String| set.split(' ').take(2).collect::<Vec<_>>().join(" ");
    answer.texts("ResourceRecordSet").into_iter().map(describe).map(first_two).collect()
}

const WHOLE: [&str; 10] = [
    "example.com. NS",
    "example.com. SOA",
    "\\052.example.com. A",
    "a-b.example.com. A",
    "a.example.com. A",
    "a.example.com. TXT",
    "x.a.example.com. A",
    "b.example.com. A",
    "c.example.com. A",
    "c.example.com. A",
];

#[tokio::test]
async fn names_are_listed_by_their_labels_from_the_right() {
    let stage = fill().await;
    let answer = stage.get(&stage.sets()).await;
    assert_eq!(names_and_types(&answer), WHOLE);
    assert_eq!(answer.texts("SetIdentifier"), ["east", "west"]);
    assert_eq!(answer.texts("IsTruncated"), ["false"]);
    assert_eq!(answer.texts("NextRecordName"), [""; 0]);
    assert_eq!(answer.texts("MaxItems"), ["300"]);
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap() {
    let stage = fill().await;
    for size in [1, 2, 3, 9, 10] {
        let mut seen = Vec::new();
        let mut path = format!("{}?maxitems={size}", stage.sets());
        loop {
            let answer = stage.get(&path).await;
            seen.extend(names_and_types(&answer));
            if answer.texts("IsTruncated") == ["false"] {
                break;
            }
            let name = answer.texts("NextRecordName").concat().replace('\\', "%5C");
            let kind = answer.texts("NextRecordType").concat();
            path = format!("{}?maxitems={size}&name={name}&type={kind}", stage.sets());
            if let [identifier] = answer.texts("NextRecordIdentifier")[..] {
                path.push_str("&identifier=");
                path.push_str(identifier);
            }
        }
        assert_eq!(seen, WHOLE, "in pages of {size}");
    }
}

#[tokio::test]
async fn a_listing_starts_where_it_is_asked_to() {
    let stage = fill().await;
    let whole = WHOLE.as_slice();
    for (query, rest) in [
        ("name=a.example.com&type=TXT", &whole[5..]),
        ("name=A.example.com.", &whole[4..]),
        ("name=%2A.example.com", &whole[2..]),
        ("name=aa.example.com&type=A", &whole[7..]),
        ("name=example.org", &whole[10..]),
    ] {
        let answer = stage.get(&format!("{}?{query}", stage.sets())).await;
        assert_eq!(names_and_types(&answer), rest, "{query}");
    }
}

#[tokio::test]
async fn a_query_that_says_nothing_is_refused() {
    let stage = fill().await;
    for query in
        ["maxitems=0", "maxitems=all", "type=A", "name=a.example.com&identifier=east", "name=a&type=B"]
    {
        let (status, code, _) = stage.get(&format!("{}?{query}", stage.sets())).await.error();
        assert_eq!((status, code.as_str()), (400, "InvalidInput"), "{query}");
    }
}
