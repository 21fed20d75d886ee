//! Kamailio as the presence server of a PBX (RFC 3856, RFC 3903): what it is told before it starts.

use std::net::SocketAddr;
use std::path::Path;

use super::write;

/// The domain whose phones it knows.
pub const PRESENCE_DOMAIN: &str = "presence.test";

/// The tables that its presence modules look for, with their columns. All state is in memory: the
/// tables stay empty, but without them the modules do not start.
const TABLES: &[(&str, &str)] = &[
    (
        "version",
        "table_name(string) table_version(int) \npresentity:5\nactive_watchers:12\nwatchers:3\n\
         xcap:4",
    ),
    (
        "presentity",
        "id(int,auto) username(string) domain(string) event(string) etag(string) expires(int) \
         received_time(int) body(string) sender(string) priority(int) ruid(string,null)",
    ),
    (
        "active_watchers",
        "id(int,auto) presentity_uri(string) watcher_username(string) watcher_domain(string) \
         to_user(string) to_domain(string) event(string) event_id(string,null) to_tag(string) \
         from_tag(string) callid(string) local_cseq(int) remote_cseq(int) contact(string) \
         record_route(string,null) expires(int) status(int) reason(string,null) version(int) \
         socket_info(string) local_contact(string) from_user(string) from_domain(string) \
         updated(int) updated_winfo(int) flags(int) user_agent(string,null)",
    ),
    (
        "watchers",
        "id(int,auto) presentity_uri(string) watcher_username(string) watcher_domain(string) \
         event(string) status(int) reason(string,null) inserted_time(int)",
    ),
    (
        "xcap",
        "id(int,auto) username(string) domain(string) doc(string) doc_type(int) etag(string) \
         source(int) doc_uri(string) port(int)",
    ),
];

/// Writes its configuration and its tables into a folder that is empty but for what others have
/// there; returns the configuration's name as a word of a command line. `transport` is that of its
/// Contact, in lower case; it hears UDP and TCP.
///
/// # Errors
/// That the folder cannot be written.
pub fn presence_server(
    folder: &Path,
    address: SocketAddr,
    transport: &str,
) -> Result<String, String> {
    let tables = folder.join("tables");
    std::fs::create_dir_all(&tables)
        .map_err(|error| format!("{} cannot be made: {error}", tables.display()))?;
    for (table, columns) in TABLES {
        write(&tables, table, &format!("{columns} \n"))?;
    }
    let text = include_str!("presence.cfg")
        .replace("@ADDRESS@", &address.to_string())
        .replace("@TRANSPORT@", transport)
        .replace("@FOLDER@", &folder.display().to_string());
    write(folder, "presence.cfg", &text)
}
