//! The password, and how it is compared.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::secret;

/// A password's length at most, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 1024;
/// A password as it is compared: padded with zeros, followed by its length in bytes.
const PADDED_BYTES: usize = PASSWORD_MAX_BYTES + size_of::<u64>();

/// The password that clients have to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8; PADDED_BYTES]>);

impl Password {
    /// A password. One of more than [`PASSWORD_MAX_BYTES`] would match nothing.
    pub fn new(text: impl AsRef<[u8]>) -> Self {
        Self(padded(text.as_ref()))
    }

    /// Whether this is it. Takes the same time for every wrong one, also of another length: the same number of bytes
    /// is compared, whatever the password is.
    pub fn matches(&self, given: &[u8]) -> bool {
        let fits = given.len() <= PASSWORD_MAX_BYTES;
        let same: bool = self.0.as_slice().ct_eq(padded(given).as_slice()).into();
        same && fits
    }

    /// Has it masked in errors and logs.
    pub fn learn(&self) {
        let (text, length) = self.0.split_at(PASSWORD_MAX_BYTES);
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        let length = usize::try_from(length).unwrap_or(0);
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or(text));
        secret::learn([text.into_owned()]);
    }
}

fn padded(text: &[u8]) -> Box<[u8; PADDED_BYTES]> {
    let mut padded = Box::new([0; PADDED_BYTES]);
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let (room, end) = padded.split_at_mut(PASSWORD_MAX_BYTES);
    room.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    end.copy_from_slice(&length.to_le_bytes());
    padded
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_matches() {
        let password = Password::new("secret");
        assert!(password.matches(b"secret"));
        for wrong in [
            &b""[..],
            b"secre",
            b"Secret",
            b"secret\0",
            b"secret\0\0",
            &[b'x'; PASSWORD_MAX_BYTES],
            &[b'x'; 2 * PASSWORD_MAX_BYTES],
        ] {
            assert!(!password.matches(wrong));
        }
        let longest = [b'x'; PASSWORD_MAX_BYTES];
        assert!(Password::new(longest).matches(&longest));
        assert!(!Password::new(longest).matches(&[b'x'; PASSWORD_MAX_BYTES + 1]));
    }

    #[test]
    fn it_is_masked_once_it_was_learned() {
        Password::new("auth-password-unit-test").learn();
        assert_eq!(secret::mask("is auth-password-unit-test!"), "is [masked]!");
    }
}
