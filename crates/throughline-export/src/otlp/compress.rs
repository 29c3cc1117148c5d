//! Compression of requests, decompression of responses.
//!
//! Owns which compressions were compiled in. Both directions run on the export
//! thread, so speed counts for more than the last byte.

#[cfg(any(feature = "gzip", feature = "zstd"))]
use std::io;

use bytes::Bytes;
use http::HeaderValue;

use crate::error::StartError;
use crate::exporter::ExportError;

use super::Compression;

/// What repeats is near, as a rule: the next level makes a tenth less of it, and takes
/// half as long again.
#[cfg(feature = "gzip")]
const GZIP_LEVEL: u32 = 1;

#[cfg(feature = "zstd")]
const ZSTD_LEVEL: i32 = 1;

impl Compression {
    /// # Errors
    ///
    /// It was not compiled in.
    pub(super) fn check(self) -> Result<(), StartError> {
        let feature = match self {
            Self::Gzip if cfg!(not(feature = "gzip")) => "gzip",
            Self::Zstd if cfg!(not(feature = "zstd")) => "zstd",
            _ => return Ok(()),
        };
        Err(StartError::unsupported(format!(
            "compression {feature} needs the feature `{feature}`"
        )))
    }

    /// The value of `content-encoding`.
    pub(super) fn encoding(self) -> Option<HeaderValue> {
        match self {
            Self::None => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Zstd => Some(HeaderValue::from_static("zstd")),
        }
    }

    pub(super) fn compress(self, body: Bytes) -> Result<Bytes, ExportError> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => finished(gzip(&body)),
            #[cfg(feature = "zstd")]
            Self::Zstd => finished(zstd::encode_all(&*body, ZSTD_LEVEL)),
            _ => Ok(body),
        }
    }
}

#[cfg(any(feature = "gzip", feature = "zstd"))]
fn finished(compressed: io::Result<Vec<u8>>) -> Result<Bytes, ExportError> {
    compressed.map(Bytes::from).map_err(|error| {
        ExportError::permanent(
            "compression",
            format!("the request was not compressed: {error}"),
        )
    })
}

#[cfg(feature = "gzip")]
fn gzip(body: &[u8]) -> io::Result<Vec<u8>> {
    use io::Write as _;
    // What repeats is most of it.
    let compressed = Vec::with_capacity(body.len() / 4);
    let mut encoder =
        flate2::write::GzEncoder::new(compressed, flate2::Compression::new(GZIP_LEVEL));
    encoder.write_all(body)?;
    encoder.finish()
}

/// What becomes of a compressed response.
#[cfg_attr(not(feature = "gzip"), expect(dead_code, reason = "none is asked for"))]
pub(crate) enum Decompressed {
    Body(Vec<u8>),
    TooLarge,
    Unreadable,
}

/// Decompresses a response of at most `limit` bytes.
///
/// It is done twice: a buffer that grows with its content would take three times the limit for a moment, and
/// whoever sends a bomb is owed no memory at all.
#[cfg(feature = "gzip")]
pub(crate) fn gunzip(body: &[u8], limit: usize) -> Decompressed {
    use io::Read as _;
    let decoder = || flate2::read::MultiGzDecoder::new(body);
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let size = io::copy(&mut decoder().take(more), &mut io::sink());
    let Some(size) = size.ok().and_then(|size| usize::try_from(size).ok()) else {
        return Decompressed::Unreadable;
    };
    if size > limit {
        return Decompressed::TooLarge;
    }
    let mut out = vec![0; size];
    match decoder().read_exact(&mut out) {
        Ok(()) => Decompressed::Body(out),
        Err(_) => Decompressed::Unreadable,
    }
}

/// No response is asked to be compressed.
#[cfg(not(feature = "gzip"))]
pub(super) fn gunzip(_: &[u8], _: usize) -> Decompressed {
    Decompressed::Unreadable
}

#[cfg(all(test, feature = "gzip"))]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_decompressed_body_stops_at_the_limit() {
        // Whoever sends a bomb compresses better than requests are.
        let best = flate2::Compression::best();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), best);
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 10_000);
        for (limit, fits) in [(1 << 20, true), ((1 << 20) - 1, false), (0, false)] {
            match gunzip(&bomb, limit) {
                Decompressed::Body(body) => assert!(fits && body.len() == 1 << 20),
                Decompressed::TooLarge => assert!(!fits),
                Decompressed::Unreadable => panic!("it is gzip"),
            }
        }
        assert!(matches!(gunzip(b"no gzip", 10), Decompressed::Unreadable));
        assert!(matches!(gunzip(&bomb[..9], 10), Decompressed::Unreadable));
    }
}
