-- What packets tell of conversations, since schema 3. Conversations of which no packets were read have no row here, and
-- so cost nothing. `document` is all of it, as JSON; the columns are the fields that the views show.

CREATE TABLE wire (
    connection INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    application TEXT,
    vlan INTEGER,
    inner_vlan INTEGER,
    application_basis TEXT,
    tunnel TEXT,
    source_ip_bytes INTEGER,
    destination_ip_bytes INTEGER,
    segments_sent_again INTEGER,
    segments_out_of_order INTEGER,
    conn_state TEXT,
    history TEXT,
    missed_bytes INTEGER,
    tls_protocol TEXT,
    tls_version TEXT,
    tls_next_protocol TEXT,
    server_name TEXT,
    ja3 TEXT,
    ja4 TEXT,
    alpn TEXT,
    ja3s TEXT,
    tls_subject TEXT,
    tls_issuer TEXT,
    certificate_sha256 TEXT,
    http_version TEXT,
    http_method TEXT,
    http_referrer TEXT,
    http_request_mime_type TEXT,
    http_request_bytes INTEGER,
    http_status INTEGER,
    http_response_mime_type TEXT,
    http_response_bytes INTEGER,
    url_domain TEXT,
    url_path TEXT,
    url_query TEXT,
    user_agent TEXT,
    ssh_client TEXT,
    ssh_server TEXT,
    hassh TEXT,
    hassh_server TEXT,
    ssh_authenticated INTEGER,
    interface TEXT
) STRICT;

CREATE TRIGGER wire_goes_with_its_connection AFTER DELETE ON connection BEGIN
    DELETE FROM wire WHERE connection = old.id;
END;
