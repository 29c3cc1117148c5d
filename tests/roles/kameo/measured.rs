//! What is measured of kameo's messages: the same whether their traces are sampled or not.

use throughline::core::{RecorderConfig, Sampler};

use super::*;

#[tokio::test]
async fn what_is_measured_of_messages_does_not_depend_on_sampling() {
    let mut all = Vec::new();
    for sampler in [Sampler::always_on(), Sampler::always_off()] {
        let mut config = RecorderConfig::default();
        config.sampler = sampler;
        let capture = Capture::with_config(config);
        let measurements = capture.recorder().measure();
        let account = Account::spawn_default();
        let requests = async {
            account.tell_traced(Deposit(5)).await.expect("room");
            account.ask_traced(Withdraw(3)).await.expect("covered");
            let refused = account.ask_traced(Withdraw(3)).await;
            refused.expect_err("not covered");
        };
        in_request(&capture, requests).await;
        stop(&account).await;
        let mut lines = Vec::new();
        measurements.drain(|measurement| {
            // The types are the callsite's, which says them to metrics, too.
            let callsite = measurement.callsite();
            assert!(
                callsite.has_attribute("actor.message.type")
                    && callsite.has_attribute("actor.type")
            );
            lines.push(format!(
                "{}: {}, {:?}, waited: {}",
                callsite.name(),
                measurement.outcome().name(),
                measurement.error_type(),
                measurement.wait().is_some()
            ));
        });
        all.push(lines.join("\n"));
    }
    insta::assert_snapshot!(all[0], @r#"
    Account Deposit: completed, None, waited: true
    Account Withdraw: completed, None, waited: true
    Account Withdraw: error, Some("roles::kameo::Overdrawn"), waited: true
    "#);
    assert_eq!(all[0], all[1]);
}
