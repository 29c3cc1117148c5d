//! What is measured of records: the same whether their traces are sampled or not.

use super::*;

#[tokio::test]
async fn what_is_measured_of_records_does_not_depend_on_sampling() {
    let mut all = Vec::new();
    for sampler in [Sampler::always_on(), Sampler::always_off()] {
        let mut recording = RecorderConfig::default();
        recording.sampler = sampler;
        let capture = Capture::with_config(recording);
        let measurements = capture.recorder().measure();
        let cluster = cluster();
        let producer = future_producer(&cluster);
        in_request(&capture, async {
            send(&producer, "book").await;
            let record = || FutureRecord::<str, str>::to(TOPIC).payload("book");
            for wants_to_know_late in [false, true] {
                let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
                cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
                let refused = if wants_to_know_late {
                    let sent = producer.send_result(record()).map_err(|(error, _)| error);
                    sent.expect("enqueued").await.expect("a report")
                } else {
                    producer.send(record(), PATIENCE).await
                };
                refused.expect_err("refused by the broker");
            }
        })
        .await;
        let messages = receive(&cluster, 1);
        let observer = Observer::new().group("billing");
        let record = observer.record(&messages[0]);
        capture
            .run(async { record.try_process(async { Err::<(), _>("torn") }).await })
            .await
            .expect_err("it is torn");
        capture
            .run(async { observer.batch(&messages).process(async {}).await })
            .await;
        let mut lines = Vec::new();
        measurements.drain(|measurement| {
            let labels = measurement.labels().pairs();
            let labels: Vec<_> = labels.iter().map(|(_, value)| &**value).collect();
            lines.push(format!(
                "{} {}: {}, {:?}",
                measurement.callsite().name(),
                labels.join(" "),
                measurement.outcome().name(),
                measurement.error_type()
            ));
        });
        all.push(lines.join("\n"));
    }
    insta::assert_snapshot!(all[0], @r#"
    send kafka send send orders: completed, None
    send kafka send send orders: error, Some("MessageSizeTooLarge")
    send kafka send send orders: error, Some("MessageSizeTooLarge")
    process kafka process orders billing: error, Some("&str")
    process kafka process orders billing: completed, None
    "#);
    assert_eq!(all[0], all[1]);
}
