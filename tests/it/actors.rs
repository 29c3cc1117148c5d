//! The example `actors`, run as its users run it.

use crate::support::example;

#[test]
fn one_story_makes_the_same_traces_on_two_kinds_of_actors() {
    let output = example("actors", &[]).output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{text}");
    let (tokio, kameo) = text.split_once("On kameo:").expect("two stories");
    assert!(kameo.ends_with("traces are the same.\n"), "{kameo}");
    insta::assert_snapshot!(tokio, @r#"
    On plain Tokio:

    transfer
    └─ Teller Transfer {trace.relation="child", trace.relation.reason="ask"}
       ├─ Account Deposit {trace.relation="child", trace.relation.reason="tell"}
       ├─ Account Withdraw {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       └─ Checker Check {trace.relation="child", trace.relation.reason="ask"}

    Auditor start {trace.relation="root", trace.relation.reason="no_sender"}

    Printer start {trace.relation="root", trace.relation.reason="no_sender"}

    Teller Settle {trace.relation="link", trace.relation.reason="timer"}
       → Teller Transfer (another trace)

    transfer error: there is not enough money
    │  • exception
    └─ Teller Transfer {trace.relation="child", trace.relation.reason="ask"} error: there is not enough money
       │  • exception
       ├─ Account Withdraw {trace.relation="child", trace.relation.reason="ask"} error: there is not enough money
       │     • exception
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       ├─ Checker Check {trace.relation="child", trace.relation.reason="ask"}
       └─ Checker Check {trace.relation="child", trace.relation.reason="ask"}

    audit
    ├─ Auditor Audit {trace.relation="child", trace.relation.reason="tell", span.outcome="panicked"} error: panicked
    └─ Auditor Audit {trace.relation="child", trace.relation.reason="tell"}

    Auditor panic {trace.relation="link", trace.relation.reason="receiver"} error: the actor panicked: index out of bounds: the len is 3 but the index is 3
       • exception
       → Auditor Audit (another trace)

    Auditor stop {trace.relation="link", trace.relation.reason="receiver", actor.stop.reason="panicked"}
       → Auditor Audit (another trace)

    Auditor restart {trace.relation="link", trace.relation.reason="receiver"}
       → Auditor Audit (another trace)

    look up error: there was no answer in time
    │  • actor.ask.timeout
    │  • exception
    ├─ Archive GetTape {trace.relation="child", trace.relation.reason="tell"}
    └─ Archive LookUp {trace.relation="child", trace.relation.reason="ask", span.outcome="abandoned"}

    print
    ├─ Printer Print {trace.relation="child", trace.relation.reason="tell", span.outcome="cancelled"} error: dropped before it was ready
    ├─ process printer {trace.relation="child", trace.relation.reason="tell", span.outcome="undelivered"}
    ├─ process printer {trace.relation="child", trace.relation.reason="tell", span.outcome="undelivered"}
    └─ process printer {trace.relation="child", trace.relation.reason="tell", span.outcome="undelivered"}

    Printer stop {trace.relation="link", trace.relation.reason="receiver", actor.stop.reason="killed"}
       → Printer start (another trace)

    Auditor stop {trace.relation="link", trace.relation.reason="receiver", actor.stop.reason="normal"}
       → Auditor restart (another trace)
    "#);
}
