//! What spans call types.

/// The name of a type, as [`type_name`](std::any::type_name) gives it, without the path of its module; of
/// `Vec<my::Order>`, `Vec`. What is no path stays as it is.
///
/// ```
/// use std::any::type_name;
/// use throughline_core::short_type_name;
///
/// assert_eq!(short_type_name(type_name::<Option<String>>()), "Option");
/// assert_eq!(short_type_name(type_name::<(u8, u8)>()), "(u8, u8)");
/// ```
#[must_use]
pub fn short_type_name(name: &'static str) -> &'static str {
    // Bytes, since this runs for each message: searching for text takes several times as long.
    let bytes = name.as_bytes();
    let is_path = |first: &u8| first.is_ascii_alphabetic() || *first == b'_';
    if !bytes.first().is_some_and(is_path) {
        return name;
    }
    let end = bytes.iter().position(|byte| *byte == b'<');
    let end = end.unwrap_or(bytes.len());
    let colon = bytes[..end].iter().rposition(|byte| *byte == b':');
    let start = colon.map_or(0, |colon| colon + 1);
    name.get(start..end).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_short() {
        let names = [
            "shop::cart::Cart",
            "shop::Cache<alloc::string::String>",
            "u8",
            "(u8, a::B)",
            "&str",
            "orders",
        ];
        let short = names.map(short_type_name);
        assert_eq!(
            short,
            ["Cart", "Cache", "u8", "(u8, a::B)", "&str", "orders"]
        );
    }
}
