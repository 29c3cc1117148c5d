//! `read` on bytes of any origin: it never panics, and it accepts what prost accepts.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use throughline_wire::Limits;
use throughline_wire::read::{self, Field, FieldValue, Malformed};

use crate::arbitrary;

/// Reads to the end and checks that the fields lie end to end up to the first error, which is
/// the last item.
fn read_all(bytes: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
    let mut fields = read::fields(bytes);
    let mut read = Vec::new();
    let mut end = 0;
    for field in &mut fields {
        match field {
            Ok(field) => {
                assert_eq!(field.range.start, end);
                end = field.range.end;
                read.push(field);
            }
            Err(malformed) => {
                assert_eq!(malformed.offset(), end);
                assert!(fields.next().is_none());
                return Err(malformed);
            }
        }
    }
    assert_eq!(end, bytes.len());
    Ok(read)
}

/// Compares with prost's reading of a message without known fields. Groups are the exception:
/// prost skips them, OTLP has none.
fn agrees_with_prost(bytes: &[u8]) -> Result<(), TestCaseError> {
    let prost = <()>::decode(bytes).is_ok();
    match read_all(bytes) {
        Ok(_) => prop_assert!(prost),
        Err(malformed) => {
            let group = matches!(bytes[malformed.offset()] & 7, 3 | 4);
            prop_assert!(!prost || group);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..64)) {
        agrees_with_prost(&bytes)?;
    }

    /// Bytes that are fields more often than noise is.
    #[test]
    fn nearly_fields(
        fields in vec((1..40_u8, 0..8_u8, vec(prop_oneof![Just(0xFF), 0..12_u8], 0..12)), 0..8),
    ) {
        let bytes: Vec<u8> = fields
            .into_iter()
            .flat_map(|(number, wire, content)| [vec![number << 3 | wire], content].concat())
            .collect();
        agrees_with_prost(&bytes)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_requests(
        request in arbitrary::request(),
        cut in any::<prop::sample::Index>(),
        damaged in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = request.write(Limits::default());
        prop_assume!(!bytes.is_empty());
        read_every_level(&bytes[..cut.index(bytes.len())], 0);
        let damaged = damaged.index(bytes.len());
        bytes[damaged] = byte;
        read_every_level(&bytes, 0);
    }
}

/// Reads every content as a message, whatever it is.
fn read_every_level(bytes: &[u8], level: u32) {
    for field in read_all(bytes).into_iter().flatten() {
        if let FieldValue::Len(content) = field.value
            && level < 50
        {
            read_every_level(content, level + 1);
        }
    }
}

#[test]
fn each_wire_type() {
    let bytes =
        b"\x08\xAC\x02\x11\x01\x02\x03\x04\x05\x06\x07\x08\x1A\x02hi\x85\x01\x01\x00\x00\x80";
    let fields: Vec<_> = read_all(bytes)
        .unwrap()
        .into_iter()
        .map(|field| (field.number, field.value, field.range))
        .collect();
    assert_eq!(
        fields,
        [
            (1, FieldValue::Varint(300), 0..3),
            (2, FieldValue::Fixed64(0x0807_0605_0403_0201), 3..12),
            (3, FieldValue::Len(b"hi"), 12..16),
            (16, FieldValue::Fixed32(0x8000_0001), 16..22),
        ]
    );
}

#[test]
fn malformed_bytes_are_an_error_where_they_begin() {
    let cases: [(&str, &[u8]); 10] = [
        ("tag cut off", b"\x80"),
        ("varint cut off", b"\x08\x80"),
        (
            "varint of eleven bytes",
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
        ),
        (
            "varint beyond 64 bits",
            b"\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02",
        ),
        ("fixed64 cut off", b"\x09\x00\x00\x00\x00\x00\x00\x00"),
        ("fixed32 cut off", b"\x0D\x00\x00\x00"),
        ("content cut off", b"\x0A\x02x"),
        (
            "content beyond all memory",
            b"\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
        ),
        ("field number zero", b"\x00\x00"),
        ("group", b"\x0B\x0C"),
    ];
    for (case, bytes) in cases {
        assert_eq!(read_all(bytes).unwrap_err().offset(), 0, "{case}");
        let behind = [b"\x08\x01", bytes].concat();
        let error = read_all(&behind).unwrap_err();
        assert_eq!(
            error.to_string(),
            "malformed protobuf field at byte 2",
            "{case}"
        );
    }
}
