//! Spans, contexts and the recorder of Throughline
