//! Messages as a table, and a number that changes with it.

/// Defines the types of messages, and `TABLE`: their definition as text, without comments.
macro_rules! table {
    ($($(#[$meta:meta])* pub $kind:ident $name:ident $(<$life:lifetime>)? { $($body:tt)* })*) => {
        $(table!(@one $(#[$meta])* $kind $name $(<$life>)? { $($body)* });)*
        /// The definition of all messages, as text: what the schema hash is made of.
        pub const TABLE: &[&str] = &[$(stringify!($kind $name { $($body)* })),*];
    };
    (@one $(#[$meta:meta])* enum $name:ident $(<$life:lifetime>)? { $($body:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $name $(<$life>)? { $($body)* }
    };
    (@one $(#[$meta:meta])* struct $name:ident $(<$life:lifetime>)? { $($body:tt)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name $(<$life>)? { $($body)* }
    };
}
pub(crate) use table;

/// A hash (FNV-1a) of definitions; documentation and white space do not count.
pub(crate) const fn hash(table: &[&str]) -> u32 {
    let (mut hash, mut entry) = (0x811C_9DC5_u32, 0);
    while entry < table.len() {
        let text = table[entry].as_bytes();
        let mut at = 0;
        while at < text.len() {
            // An attribute, to its closing bracket; brackets within a string do not count.
            if text[at] == b'#' {
                let (mut depth, mut quoted) = (0, false);
                loop {
                    at += 1;
                    match text[at] {
                        b'\\' if quoted => at += 1,
                        b'"' => quoted = !quoted,
                        b'[' if !quoted => depth += 1,
                        b']' if !quoted => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
                at += 1;
                continue;
            }
            // `/// …`: to the end of the line.
            if text[at] == b'/' {
                while at < text.len() && text[at] != b'\n' {
                    at += 1;
                }
                continue;
            }
            if !text[at].is_ascii_whitespace() {
                hash = (hash ^ text[at] as u32).wrapping_mul(0x0100_0193);
            }
            at += 1;
        }
        entry += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn only_definitions_count() {
        let plain = hash(&["enum A { B, C(u8), }"]);
        assert_eq!(plain, hash(&["enum A {\n B,\n  C(u8), }"]));
        assert_eq!(
            plain,
            hash(&["enum A { #[doc = \"So \\\"[so.\"] B, #[doc = \"x\"]\n C(u8), }"])
        );
        assert_eq!(plain, hash(&["enum A {\n /// So's so.\n B, C(u8), }"]));
        assert_ne!(plain, hash(&["enum A { B, C(u16), }"]));
        assert_ne!(plain, hash(&["enum A { C(u8), B, }"]));
    }
}
