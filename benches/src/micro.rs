//! Micro measurements.

use std::io;

use serde::{Deserialize, Serialize};

use crate::scenario::PathName;

#[derive(Serialize, Deserialize)]
pub(crate) struct MicroTask;

pub(crate) fn compare(_paths: &[PathName]) -> io::Result<String> {
    Ok(String::new())
}

pub(crate) fn run(_task: &MicroTask) {}
