#!/bin/sh
# Fuzzes one reader for some seconds: tests/fuzz/run.sh traceparent 600
# It is a format of propagation (see propagate.rs) or one of wire, console, json, zipkin, http_response,
# grpc_response, gunzip, retry_after, settings, split and spool (see export.rs). libFuzzer guides it by coverage; the
# stable compiler is enough, since no sanitizer is used.
set -eu
cd "$(dirname "$0")"
format=$1
seconds=$2
case $format in
    wire | console | json | zipkin | http_response | grpc_response | gunzip | retry_after | settings | split | spool)
        target=export
        ;;
    *) target=propagate ;;
esac
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Ccodegen-units=1" \
    cargo build --release --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
mkdir -p "corpus/$format" artifacts
THROUGHLINE_FORMAT=$format exec target/*/release/$target "corpus/$format" seeds \
    -max_total_time="$seconds" -max_len=20000 -artifact_prefix="artifacts/$format-" -print_final_stats=1
