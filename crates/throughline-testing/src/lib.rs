//! Capture, picture and receive Throughline traces in tests
