//! Bodies in the content encoding `aws-chunked`, whose chunks may be signed and are followed by trailers.
//!
//! ```text
//! 5;chunk-signature=...\r\n hello \r\n 0\r\n x-amz-checksum-crc32:...\r\n \r\n
//! ```
//!
//! What this module must never do: verify a checksum or a signature.

/// The content. `None`: the framing is broken, or ends before its last chunk.
pub(super) fn decode(body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut rest = body;
    loop {
        let (line, tail) = split_line(rest)?;
        let size = read_size(line)?;
        if size == 0 {
            return Some(content);
        }
        let (chunk, tail) = tail.split_at_checked(size)?;
        content.extend_from_slice(chunk);
        rest = tail.strip_prefix(b"\r\n")?;
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((bytes.get(..end)?, bytes.get(end + 2..)?))
}

/// Extensions follow a semicolon.
fn read_size(line: &[u8]) -> Option<usize> {
    let digits = line.split(|byte| *byte == b';').next()?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn chunks_are_joined_whether_they_are_signed_or_not() {
        let signed =
            b"5;chunk-signature=00ff\r\nhello\r\n1;chunk-signature=00\r\n!\r\n0;chunk-signature=11\r\n\r\n";
        assert_eq!(decode(signed).as_deref(), Some(b"hello!".as_slice()));
        let unsigned = b"A\r\n0123\r\n6789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        assert_eq!(decode(unsigned).as_deref(), Some(b"0123\r\n6789".as_slice()));
        assert_eq!(decode(b"0\r\n\r\n").as_deref(), Some(b"".as_slice()));
    }

    #[test]
    fn a_body_that_breaks_off_is_none() {
        for body in ["", "5\r\nhel", "5\r\nhello\r\n", "5\r\nhello world", "what\r\nhello\r\n0\r\n"] {
            assert_eq!(decode(body.as_bytes()), None, "{body}");
        }
    }
}
