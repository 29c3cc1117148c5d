//! OTLP protobuf encoding primitives, evaluable at compile time
