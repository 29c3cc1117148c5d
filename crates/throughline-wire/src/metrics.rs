//! Owns metrics: sums and histograms, both cumulative. Does not know which there are.
//!
//! The messages around them have the numbers of those around spans, so that [`put_scope`] and
//! [`put_request`] make an `ExportMetricsServiceRequest` of what is written here.
//!
//! [`put_scope`]: crate::put_scope
//! [`put_request`]: crate::put_request

use alloc::vec::Vec;

use crate::varint::{fixed64_tag, len_tag, put_len_field, put_len_field_unless_empty, varint_tag};

/// What a metric is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct MetricHead<'a> {
    /// The name.
    pub name: &'a str,
    /// What it counts, for people; may be empty.
    pub description: &'a str,
    /// The unit, in UCUM.
    pub unit: &'a str,
}

/// One value of a sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberPoint<'a> {
    /// What [`put_attribute`](crate::put_attribute) wrote with
    /// [`AttributeField::NumberPoint`](crate::AttributeField::NumberPoint).
    pub attributes: &'a [u8],
    /// Since when was counted, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// When the value was read, in nanoseconds since the Unix epoch.
    pub unix_nano: u64,
    /// The value.
    pub value: i64,
}

/// One histogram.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistogramPoint<'a> {
    /// What [`put_attribute`](crate::put_attribute) wrote with
    /// [`AttributeField::HistogramPoint`](crate::AttributeField::HistogramPoint).
    pub attributes: &'a [u8],
    /// Since when was counted, in nanoseconds since the Unix epoch.
    pub start_unix_nano: u64,
    /// When the values were read, in nanoseconds since the Unix epoch.
    pub unix_nano: u64,
    /// The sum of all measured values.
    pub sum: f64,
    /// How many values there are up to each bound, and one more number for those above the last.
    pub buckets: &'a [u64],
    /// The upper bounds of all buckets but the last, in ascending order.
    pub bounds: &'a [f64],
}

/// Appends a cumulative sum as field `ScopeMetrics.metrics`; without points, nothing.
///
/// ```
/// use throughline_wire::{MetricHead, NumberPoint, put_sum};
///
/// let mut metrics = Vec::new();
/// let head = MetricHead { name: "jobs", unit: "{job}", ..MetricHead::default() };
/// put_sum(&mut metrics, &head, true, &[NumberPoint { value: 7, ..NumberPoint::default() }]);
/// assert_eq!(metrics[0], 0x12, "a metric is field 2 of ScopeMetrics");
/// ```
pub fn put_sum(
    out: &mut Vec<u8>,
    head: &MetricHead<'_>,
    is_monotonic: bool,
    points: &[NumberPoint<'_>],
) {
    let mut sum = Vec::new();
    for point in points {
        let mut body = Vec::new();
        put_times(&mut body, point.start_unix_nano, point.unix_nano);
        put_fixed64(&mut body, 6, point.value as u64);
        body.extend_from_slice(point.attributes);
        put_len_field(&mut sum, len_tag(1), &body);
    }
    sum.extend_from_slice(&CUMULATIVE);
    if is_monotonic {
        sum.extend_from_slice(&[varint_tag(3), 1]);
    }
    if !points.is_empty() {
        put_metric(out, head, len_tag(7), &sum);
    }
}

/// Appends a cumulative histogram as field `ScopeMetrics.metrics`; without points, nothing.
pub fn put_histogram(out: &mut Vec<u8>, head: &MetricHead<'_>, points: &[HistogramPoint<'_>]) {
    let mut histogram = Vec::new();
    for point in points {
        let mut body = Vec::new();
        put_times(&mut body, point.start_unix_nano, point.unix_nano);
        put_fixed64(&mut body, 4, point.buckets.iter().sum());
        put_fixed64(&mut body, 5, point.sum.to_bits());
        let buckets: Vec<u8> = point.buckets.iter().flat_map(|n| n.to_le_bytes()).collect();
        put_len_field_unless_empty(&mut body, len_tag(6), &buckets);
        let bounds: Vec<u8> = point.bounds.iter().flat_map(|n| n.to_le_bytes()).collect();
        put_len_field_unless_empty(&mut body, len_tag(7), &bounds);
        body.extend_from_slice(point.attributes);
        put_len_field(&mut histogram, len_tag(1), &body);
    }
    histogram.extend_from_slice(&CUMULATIVE);
    if !points.is_empty() {
        put_metric(out, head, len_tag(9), &histogram);
    }
}

/// `aggregation_temporality`, which has the same number in both.
const CUMULATIVE: [u8; 2] = [varint_tag(2), 2];

fn put_metric(out: &mut Vec<u8>, head: &MetricHead<'_>, tag: u8, data: &[u8]) {
    let mut metric = Vec::new();
    put_len_field_unless_empty(&mut metric, len_tag(1), head.name.as_bytes());
    put_len_field_unless_empty(&mut metric, len_tag(2), head.description.as_bytes());
    put_len_field_unless_empty(&mut metric, len_tag(3), head.unit.as_bytes());
    put_len_field(&mut metric, tag, data);
    put_len_field(out, len_tag(2), &metric);
}

fn put_times(out: &mut Vec<u8>, start_unix_nano: u64, unix_nano: u64) {
    put_fixed64(out, 2, start_unix_nano);
    put_fixed64(out, 3, unix_nano);
}

fn put_fixed64(out: &mut Vec<u8>, number: u8, value: u64) {
    out.push(fixed64_tag(number));
    out.extend_from_slice(&value.to_le_bytes());
}
