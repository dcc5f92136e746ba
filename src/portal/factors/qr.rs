//! A QR code as an inline picture: one path, no script, no request.

use std::fmt::Write;

use qrcodegen::{QrCode, QrCodeEcc};

/// The text as SVG, with the four modules of quiet around it that readers need. Empty for more than a code can hold.
pub(super) fn svg(text: &str) -> String {
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return String::new() };
    let (size, quiet) = (code.size(), 4);
    let whole = size + 2 * quiet;
    let mut path = String::new();
    for (x, y) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).filter(|(x, y)| code.get_module(*x, *y)) {
        let _ = write!(path, "M{} {}h1v1h-1z", x + quiet, y + quiet); // writing to a `String` cannot fail
    }
    format!(
        "<svg class=\"qr\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" width=\"220\" height=\"220\" \
         shape-rendering=\"crispEdges\" aria-hidden=\"true\"><path fill=\"#fff\" d=\"M0 0h{whole}v{whole}H0z\"/><path d=\"{path}\"/></svg>"
    )
}
