use throughline_core::{Filter, set_filter};
use throughline_testing::{Capture, TreeOptions};
use throughline_tracing::{TraceFilter, TraceLayer, install_log_tracer};
use tracing::info_span;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use crate::support::{native, picture, under};

#[test]
fn records_are_events_with_their_own_target() {
    install_log_tracer();
    let tree = picture(|| {
        log::info!("outside");
        let _native = native().enter();
        log::info!(target: "legacy::module", "in a native {}", "span");
        let _span = info_span!("tracing").entered();
        log::error!("in a tracing span");
    });
    insta::assert_snapshot!(tree, @r#"
    native
    │  • in a native span {level="INFO", target="legacy::module"}
    └─ tracing
          • in a tracing span {level="ERROR", target="it::log_records"}
    "#);
}

#[test]
fn records_have_their_own_place() {
    install_log_tracer();
    let capture = Capture::start();
    let subscriber =
        tracing_subscriber::registry().with(TraceLayer::new().with_event_locations(true));
    let line = under(subscriber, || {
        let _here = capture.attach();
        let _span = info_span!("span").entered();
        log::warn!("here");
        line!() - 1
    });
    let spans = capture.spans();
    let event = spans[0].event("here").expect("the event was recorded");
    assert_eq!(
        event
            .attribute("code.line.number")
            .and_then(|value| value.as_i64()),
        Some(line.into())
    );
    let file = event
        .attribute("code.file.path")
        .and_then(|value| value.as_str());
    assert!(file.is_some_and(|file| file.ends_with("log_records.rs")));
}

#[test]
fn records_are_filtered_by_their_own_target() {
    install_log_tracer();
    set_filter("trace,it_legacy=warn".parse().expect("valid"));
    let logged = || {
        let _span = info_span!("span").entered();
        log::info!(target: "it_legacy", "rejected");
        log::warn!(target: "it_legacy", "kept");
    };
    let bare = picture(logged);
    let capture = Capture::start();
    under(
        tracing_subscriber::registry().with(TraceLayer::new().with_filter(TraceFilter::new())),
        || {
            let _here = capture.attach();
            logged();
        },
    );
    set_filter(Filter::default());
    insta::assert_snapshot!(bare, @r#"
    span
       • kept {level="WARN", target="it_legacy"}
    "#);
    assert_eq!(capture.tree_with(&TreeOptions::new()), bare);
}
