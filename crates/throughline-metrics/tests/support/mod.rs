//! A meter whose metrics become text.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

/// A provider whose exports are kept.
pub(crate) struct Kept {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// One series of one instrument.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) attributes: Vec<String>,
    /// The number of values of a histogram, or the value; of a gauge of seconds, one unless it is zero.
    pub(crate) count: u64,
    /// Of a histogram, or the value of a gauge of seconds.
    pub(crate) sum: f64,
    /// Of a histogram: the upper bounds of the buckets that have values, and how many.
    pub(crate) buckets: Vec<(f64, u64)>,
}

impl Kept {
    pub(crate) fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        // It exports when it is told to; its own period is longer than a test.
        let reader = PeriodicReader::builder(exporter.clone())
            .with_interval(std::time::Duration::from_secs(3_600))
            .build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        Self { provider, exporter }
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("test")
    }

    /// Collects, and returns what is there now, in a fixed order.
    pub(crate) fn collect(&self) -> Vec<Series> {
        self.exporter.reset();
        self.provider.force_flush().expect("it is in memory");
        let finished = self.exporter.get_finished_metrics().expect("in memory");
        let metrics = finished
            .iter()
            .flat_map(|resource| resource.scope_metrics())
            .flat_map(|scope| scope.metrics());
        let mut series: Vec<_> = metrics.flat_map(series_of).collect();
        series.sort_by(|a, b| (&a.name, &a.attributes).cmp(&(&b.name, &b.attributes)));
        series
    }
}

fn texts<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<String> {
    let mut texts: Vec<_> = attributes
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    texts.sort();
    texts
}

fn series_of(metric: &Metric) -> Vec<Series> {
    let name = metric.name().to_owned();
    match metric.data() {
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => histogram
            .data_points()
            .map(|point| Series {
                name: name.clone(),
                attributes: texts(point.attributes()),
                count: point.count(),
                sum: point.sum(),
                buckets: point
                    .bounds()
                    .chain([f64::INFINITY])
                    .zip(point.bucket_counts())
                    .filter(|(_, count)| *count > 0)
                    .collect(),
            })
            .collect(),
        AggregatedMetrics::U64(MetricData::Sum(sum)) => sum
            .data_points()
            .map(|point| number(&name, point.attributes(), point.value()))
            .collect(),
        AggregatedMetrics::I64(MetricData::Sum(sum)) => sum
            .data_points()
            .map(|point| {
                let value = point.value().try_into().expect("as many as there are");
                number(&name, point.attributes(), value)
            })
            .collect(),
        AggregatedMetrics::U64(MetricData::Gauge(gauge)) => gauge
            .data_points()
            .map(|point| number(&name, point.attributes(), point.value()))
            .collect(),
        AggregatedMetrics::F64(MetricData::Gauge(gauge)) => gauge
            .data_points()
            .map(|point| Series {
                sum: point.value(),
                ..number(&name, point.attributes(), u64::from(point.value() > 0.0))
            })
            .collect(),
        other => panic!("{name}: {other:?}"),
    }
}

fn number<'a>(name: &str, attributes: impl Iterator<Item = &'a KeyValue>, count: u64) -> Series {
    Series {
        name: name.to_owned(),
        attributes: texts(attributes),
        count,
        sum: 0.0,
        buckets: Vec::new(),
    }
}
