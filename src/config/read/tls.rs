//! Reads `[tls]`.

use crate::config::reader::Section;
use crate::config::tls::{ClientCertificates, Tls};
use crate::config::value;

const DEMANDS: [(&str, ClientCertificates); 3] = [
    ("none", ClientCertificates::None),
    ("request", ClientCertificates::Request),
    ("require", ClientCertificates::Require),
];

pub(super) fn read(mut section: Section<'_>) -> Tls {
    let mut file = |key, example| {
        let located = section.required(key, example, value::file);
        located.map_or("", |located| located.value).into()
    };
    let tls = Tls {
        certificate: file("certificate", "\"/etc/offhook/offhook.pem\""),
        key: file("key", "\"/etc/offhook/offhook.key\""),
        ca: file("ca", "\"/etc/offhook/ca.pem\""),
        client_certificates: section.choice(
            "client_certificates",
            &DEMANDS,
            ClientCertificates::None,
        ),
    };
    section.finish();
    tls
}
