//! Sums and histograms as `opentelemetry-proto` decodes them.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric, number_data_point,
};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use throughline_wire::{
    AttributeField, Buffer, HistogramPoint, Limits, MetricHead, NumberPoint, Scope, put_attribute,
    put_histogram, put_request, put_scope, put_sum,
};

use crate::arbitrary::text;

const CUMULATIVE: i32 = 2;

fn encoded(field: AttributeField, value: &str) -> Buffer {
    let mut out = Buffer::new();
    put_attribute(&mut out, field, &"key", Limits::default(), |out| {
        out.str(value);
    });
    out
}

fn attributes(value: &str) -> Vec<KeyValue> {
    let value = any_value::Value::StringValue(value.to_owned());
    vec![KeyValue {
        key: "key".to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }]
}

proptest! {
    #[test]
    fn metrics_are_decoded_as_they_were_written(
        names in (text(), text(), text()),
        numbers in vec((text(), any::<i64>(), any::<u64>()), 0..4),
        is_monotonic in any::<bool>(),
        histograms in vec((text(), vec(0..u64::MAX >> 8, 0..30), -1e9..1e9_f64), 0..4),
    ) {
        let head = MetricHead { name: &names.0, description: &names.1, unit: &names.2 };
        let mut metrics = Vec::new();

        let labels: Vec<_> = numbers
            .iter()
            .map(|(label, ..)| encoded(AttributeField::NumberPoint, label))
            .collect();
        let points: Vec<_> = numbers
            .iter()
            .zip(&labels)
            .map(|((_, value, time), attributes)| NumberPoint {
                attributes,
                start_unix_nano: 1,
                unix_nano: *time,
                value: *value,
            })
            .collect();
        put_sum(&mut metrics, &head, is_monotonic, &points);

        let labels: Vec<_> = histograms
            .iter()
            .map(|(label, ..)| encoded(AttributeField::HistogramPoint, label))
            .collect();
        let bounds: Vec<f64> = (0..30).map(f64::from).collect();
        let points: Vec<_> = histograms
            .iter()
            .zip(&labels)
            .map(|((_, buckets, sum), attributes)| HistogramPoint {
                attributes,
                start_unix_nano: 1,
                unix_nano: 2,
                sum: *sum,
                buckets,
                bounds: &bounds[..buckets.len().saturating_sub(1)],
            })
            .collect();
        put_histogram(&mut metrics, &head, &points);

        let (mut scope, mut request) = (Vec::new(), Vec::new());
        put_scope(&mut scope, &Scope { name: "scope", ..Scope::default() });
        put_request(&mut request, &[], "", [(&scope[..], &metrics[..])].into_iter());
        let decoded = ExportMetricsServiceRequest::decode(&request[..]).unwrap();

        let expected_sum = metric::Data::Sum(Sum {
            data_points: numbers
                .iter()
                .map(|(label, value, time)| NumberDataPoint {
                    attributes: attributes(label),
                    start_time_unix_nano: 1,
                    time_unix_nano: *time,
                    value: Some(number_data_point::Value::AsInt(*value)),
                    ..NumberDataPoint::default()
                })
                .collect(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic,
        });
        let expected_histogram = metric::Data::Histogram(Histogram {
            data_points: histograms
                .iter()
                .map(|(label, buckets, sum)| HistogramDataPoint {
                    attributes: attributes(label),
                    start_time_unix_nano: 1,
                    time_unix_nano: 2,
                    count: buckets.iter().sum(),
                    sum: Some(*sum),
                    bucket_counts: buckets.clone(),
                    explicit_bounds: bounds[..buckets.len().saturating_sub(1)].to_vec(),
                    ..HistogramDataPoint::default()
                })
                .collect(),
            aggregation_temporality: CUMULATIVE,
        });
        let expected: Vec<_> = [
            (!numbers.is_empty()).then_some(expected_sum),
            (!histograms.is_empty()).then_some(expected_histogram),
        ]
        .into_iter()
        .flatten()
        .map(|data| Metric {
            name: names.0.clone(),
            description: names.1.clone(),
            unit: names.2.clone(),
            data: Some(data),
            ..Metric::default()
        })
        .collect();
        let decoded: Vec<_> = decoded
            .resource_metrics
            .into_iter()
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .collect();
        prop_assert_eq!(decoded, expected);
    }
}
