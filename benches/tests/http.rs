//! The service under load as its users run it, without the load: whether there is `wrk` is the machine's affair.

use std::process::Command;

#[test]
fn every_variant_of_the_service_does_the_same_work_and_records_the_same_spans() {
    let output = Command::new(env!("CARGO_BIN_EXE_http"))
        .arg("--check")
        .output()
        .expect("the program starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
}
