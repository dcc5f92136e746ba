//! The portal's own small cookies. All begin with `__Host-yimen`, so that no platform ever sees or sets one.

/// The value of the first cookie of this name in `Cookie` header values.
pub(super) fn value<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<&'a str> {
    let pairs =
        headers.into_iter().filter_map(|header| std::str::from_utf8(header).ok()).flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Name and value of every cookie whose name begins so, in the order in which they came.
pub(super) fn all<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
    start: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let texts = headers.into_iter().filter_map(|header| std::str::from_utf8(header).ok());
    let pairs = texts.flat_map(|text| text.split(';'));
    pairs
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
        .filter(move |(name, _)| name.starts_with(start))
}

/// A `Set-Cookie` value. `life_s`: seconds it is kept; until the browser is closed when `None`.
pub(super) fn set(name: &str, value: &str, life_s: Option<u32>) -> String {
    let life = life_s.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    // Lax, not Strict: who comes by a link from elsewhere has chosen region and language all the same.
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{life}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cookie_of_exactly_this_name_counts() {
        let headers = [&b"a=1; xb=2;\tb=3"[..], b"b=4"];
        assert_eq!(value(headers, "b"), Some("3"));
        assert_eq!(value(headers, "x"), None);
        assert_eq!(value([&b"\xff=1; b=2"[..], b"c"], "b"), None);
        assert_eq!(value([&b"b=x=y"[..]], "b"), Some("x=y"));
    }
}
