use throughline_core::propagate::Format;
use throughline_core::{
    Callsite, CallsiteSpec, IdGenerator, Level, Recorder, RecorderConfig, Span, SpanKind,
    TraceFlags,
};

use crate::support::passed_on;

const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";
const PARENT: &str = "Parent=53995c3f42cd8ad8";

fn on(value: &str) -> String {
    passed_on(Format::XRay, &[("X-Amzn-Trace-Id", value)])
}

#[test]
fn the_header_is_passed_on() {
    for sampled in ["0", "1", "?"] {
        let value = format!("{ROOT};{PARENT};Sampled={sampled}");
        assert_eq!(on(&value), format!("x-amzn-trace-id: {value}"));
    }
}

#[test]
fn order_space_and_other_fields_do_not_matter() {
    let value = format!(
        "Self=1-67891234-12456789abcdef012345678; Sampled=1 ;{PARENT}; Lineage=a:1|b:2;{ROOT};"
    );
    assert_eq!(
        on(&value),
        format!("x-amzn-trace-id: {ROOT};{PARENT};Sampled=1")
    );
}

#[test]
fn a_missing_decision_is_ours_to_take() {
    assert_eq!(
        on(&format!("{ROOT};{PARENT}")),
        format!("x-amzn-trace-id: {ROOT};{PARENT};Sampled=?")
    );
}

#[test]
fn what_is_not_x_ray_is_refused() {
    for broken in [
        String::new(),
        ROOT.to_owned(),
        PARENT.to_owned(),
        format!("{ROOT};{PARENT};Sampled=2"),
        format!("{ROOT}0;{PARENT}"),
        format!("{};{PARENT}", &ROOT[..ROOT.len() - 1]),
        format!("{};{PARENT}", ROOT.replace("1-5", "2-5")),
        format!("{ROOT};{PARENT}0"),
        format!("{ROOT};Parent=0000000000000000"),
        format!("Root=1-00000000-000000000000000000000000;{PARENT}"),
        format!("{ROOT};{PARENT};Sampled=1;{}", "x".repeat(2000)),
    ] {
        assert_eq!(on(&broken), "", "{broken}");
    }
}

#[test]
fn the_generator_puts_the_date_into_the_id() {
    static PLACE: Callsite = Callsite::new(CallsiteSpec {
        name: "place",
        kind: SpanKind::Internal,
        level: Level::Info,
        target: "test",
        scope_name: "test",
        scope_version: "",
        static_fields: &[],
    });
    let seconds = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut config = RecorderConfig::default();
    config.id_generator = IdGenerator::XRay;
    let recorder = Recorder::start(config);
    let before = seconds();
    let one = Span::start_with(&PLACE, recorder.context())
        .context()
        .span_context();
    let other = Span::start_with(&PLACE, recorder.context())
        .context()
        .span_context();
    let date = |id: [u8; 16]| u64::from(u32::from_be_bytes(id[..4].try_into().unwrap()));
    for span in [one, other] {
        assert!((before..=seconds()).contains(&date(span.trace_id().to_bytes())));
        assert_eq!(
            span.trace_flags(),
            TraceFlags::SAMPLED,
            "not all of it is random"
        );
    }
    assert_ne!(one.trace_id(), other.trace_id());
}
