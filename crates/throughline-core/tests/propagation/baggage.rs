use throughline_core::Context;
use throughline_core::propagate::{Baggage, Format, Propagator};

use crate::support::{PARENT, passed_on, read};

fn shown(baggage: &Baggage) -> String {
    let member = |(name, value)| match baggage.metadata(name) {
        Some("") | None => format!("{name}={value}"),
        Some(metadata) => format!("{name}={value};{metadata}"),
    };
    baggage.iter().map(member).collect::<Vec<_>>().join(" ")
}

fn parsed(header: &str) -> String {
    shown(&Baggage::parse([header]))
}

#[test]
fn white_space_around_everything_is_ignored() {
    let header =
        "SomeKey \t = \t SomeValue \t ; \t SomeProp \t ,\tSomeKey2 = SomeValue2 ; a = b ; c";
    assert_eq!(
        parsed(header),
        "SomeKey=SomeValue;SomeProp SomeKey2=SomeValue2;a=b;c"
    );
}

#[test]
fn values_are_percent_decoded() {
    assert_eq!(
        parsed("user=Am%C3%A9lie%20%2c%22%3b%5C%25"),
        "user=Amélie ,\";\\%"
    );
}

#[test]
fn what_is_not_utf8_becomes_the_replacement_character() {
    assert_eq!(
        parsed("k=a%FFb%C3,l=%F0%9F"),
        "k=a\u{fffd}b\u{fffd} l=\u{fffd}"
    );
}

#[test]
fn a_percent_sign_without_digits_stands_for_itself() {
    assert_eq!(parsed("k=100%,l=%zz%4,m=%%41"), "k=100% l=%zz%4 m=%A");
}

#[test]
fn an_equals_sign_belongs_to_the_value() {
    assert_eq!(parsed("k=a=b==,empty="), "k=a=b== empty=");
}

#[test]
fn members_that_break_the_grammar_are_left_out_whole() {
    for broken in [
        "novalue", "=v", "a b=v", "k=a b", "k=\"q\"", "k=a\\b", "k(=v", "é=v", "k=é",
    ] {
        assert_eq!(parsed(&format!("x=1,{broken},y=2")), "x=1 y=2", "{broken}");
    }
    assert_eq!(parsed("x=1;good;b d;k=v w;also=good"), "x=1;good;also=good");
}

#[test]
fn several_headers_are_one_list() {
    let headers = [("baggage", "a=1,b=2"), ("Baggage", ""), ("BAGGAGE", "c=3")];
    assert_eq!(
        shown(read(Format::Baggage, &headers).baggage()),
        "a=1 b=2 c=3"
    );
}

#[test]
fn names_are_unique_and_the_last_value_counts() {
    assert_eq!(parsed("a=1;old,b=2,a=3"), "a=3 b=2");
    assert_eq!(parsed("a=1,A=2"), "a=1 A=2", "names differ by case");
}

#[test]
fn sixty_four_members_are_passed_on_and_no_more() {
    let members = |count: usize| (0..count).map(|n| format!("key{n}=v")).collect::<Vec<_>>();
    let header = members(64).join(",");
    assert_eq!(
        passed_on(Format::Baggage, &[("baggage", &header)]),
        format!("baggage: {header}")
    );
    let baggage = Baggage::parse([members(40).join(","), members(180)[40..].join(",")]);
    assert_eq!(
        (baggage.len(), baggage.get("key63"), baggage.get("key64")),
        (64, Some("v"), None)
    );
}

#[test]
fn eight_thousand_one_hundred_and_ninety_two_bytes_are_passed_on_and_no_more() {
    let fits = format!("a={}", "v".repeat(8190));
    assert_eq!(
        passed_on(Format::Baggage, &[("baggage", &fits)]),
        format!("baggage: {fits}")
    );
    assert!(
        Baggage::parse([format!("{fits}v")]).is_empty(),
        "no member is cut"
    );
    let (a, b) = (
        format!("a={}", "1".repeat(4000)),
        format!("b={}", "2".repeat(4187)),
    );
    assert_eq!(a.len() + 1 + b.len(), 8192);
    assert_eq!(Baggage::parse([format!("{a},{b}")]).len(), 2);
    assert_eq!(
        Baggage::parse([&a, &b]).len(),
        2,
        "all headers together, as if joined"
    );
    assert_eq!(Baggage::parse([format!("{a},{b},c=3")]).len(), 2);
    assert_eq!(Baggage::parse([&a, &format!("{b}2")]).len(), 1);
    assert_eq!(Baggage::parse([format!("{a},{b}2")]).len(), 1);
}

#[test]
fn output_is_percent_encoded() {
    let mut baggage = Baggage::new();
    baggage.insert("k", "a b,c;d\\e\"f%g=h/é\u{1}").unwrap();
    assert_eq!(
        baggage.to_header(|_| true).unwrap(),
        "k=a%20b%2Cc%3Bd%5Ce%22f%25g=h/%C3%A9%01"
    );
}

#[test]
fn metadata_travels_unchanged() {
    let header = "k=v;ttl=30;public;x=a%20b";
    assert_eq!(
        passed_on(Format::Baggage, &[("baggage", header)]),
        format!("baggage: {header}")
    );
}

#[test]
fn members_are_set_removed_and_cleared() {
    let mut baggage = Baggage::parse(["a=1;meta,b=2"]);
    baggage.insert("a", "3").unwrap();
    assert_eq!(shown(&baggage), "a=3 b=2");
    baggage.insert_with_metadata("c", "4", "p ; q = 1").unwrap();
    assert_eq!(shown(&baggage), "a=3 b=2 c=4;p;q=1");
    assert_eq!(
        (baggage.remove("a"), baggage.remove("a")),
        (Some("3".to_owned()), None)
    );
    let context = Context::default().with_baggage(baggage.clone());
    assert_ne!(context, Context::default());
    baggage.clear();
    assert_eq!(
        context.with_baggage(baggage),
        Context::default(),
        "clearing leaves no trace"
    );
}

#[test]
fn what_has_no_room_is_refused() {
    let mut baggage = Baggage::new();
    for n in 0..64 {
        baggage.insert(&format!("k{n}"), "v").unwrap();
    }
    assert!(baggage.insert("one-more", "v").is_err());
    baggage.insert("k0", "changed").unwrap();
    assert!(
        baggage.insert("k0", &"é".repeat(8192 / 6)).is_err(),
        "encoded, it is too long"
    );
    assert!(baggage.insert("", "v").is_err() && baggage.insert("a b", "v").is_err());
    assert_eq!((baggage.len(), baggage.get("k0")), (64, Some("changed")));
}

#[test]
fn nothing_leaves_unless_it_is_allowed() {
    let headers = [("traceparent", PARENT), ("baggage", "a=1,b=2,secret=3")];
    let sent = |propagator: &Propagator| {
        let mut sent = Vec::<(String, String)>::new();
        propagator.inject(&propagator.extract(&headers[..]), &mut sent);
        sent.retain(|(name, _)| name == "baggage");
        sent.pop().map(|(_, value)| value)
    };
    let none = Propagator::default();
    assert_eq!(sent(&none), None);
    assert_eq!(
        sent(&none.clone().allow_baggage(["b", "a"])).unwrap(),
        "a=1,b=2"
    );
    assert_eq!(sent(&none.allow_all_baggage()).unwrap(), "a=1,b=2,secret=3");
}

#[test]
fn debug_output_shows_no_value() {
    let context = read(Format::Baggage, &[("baggage", "token=canary")]);
    let shown = format!("{context:?}");
    assert!(
        shown.contains("token") && !shown.contains("canary"),
        "{shown}"
    );
}

#[test]
fn baggage_travels_without_a_trace() {
    let context = read(Format::Baggage, &[("baggage", "a=1")]);
    assert!(!context.span_context().is_valid());
    assert_eq!(context.baggage().get("a"), Some("1"));
}
